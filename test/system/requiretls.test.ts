import { Dns } from '@postern/net/dns.ts'
import { DnssecResolver } from '@postern/queue/assure/dnssec.ts'
import { Trust } from '@postern/queue/client/certificate.ts'
import { type Rows, Testbed, until } from '@postern/queue/test/testbed.ts'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type Authority, startAuthority } from '../peers/authority.ts'
import { selfSigned } from '../peers/certificate.ts'
import { freePort } from '../peers/peer.ts'
import { type SignedDns, startSignedDns, tlsaOf } from '../peers/signed-dns.ts'
import { type SmtpServerPeer, startSmtpServer } from '../peers/smtp-server.ts'

/**
 * RFC 8689, against servers by another author: one that offers REQUIRETLS, one that does not, and one whose certificate
 * is not trusted. All listen on one port, as real ones do on 25. The DNS is signed.
 */

let authority: Authority
let dns: SignedDns
let port = 0
let offers: SmtpServerPeer
let lacks: SmtpServerPeer
let strange: SmtpServerPeer

beforeAll(async () => {
  authority = await startAuthority()
  port = await freePort('127.0.0.2')
  const names = ['with', 'without', 'both', 'dane', 'open', 'gone'].flatMap((name) => [
    `mx.${name}.test`,
    `mx2.${name}.test`,
  ])
  const good = await authority.issue(names)
  const self = await selfSigned(['mx.strange.test'])
  offers = await startSmtpServer({ host: '127.0.0.2', port, certificate: good, requireTls: true })
  lacks = await startSmtpServer({ host: '127.0.0.3', port, certificate: good })
  strange = await startSmtpServer({ host: '127.0.0.4', port, certificate: self, requireTls: true })
  dns = await startSignedDns({
    signed: {
      'with.test': ['@ MX 10 mx', 'mx A 127.0.0.2'],
      'dane.test': ['@ MX 10 mx', 'mx A 127.0.0.2', `_${port}._tcp.mx TLSA ${tlsaOf(good.cert, 3)}`],
      'without.test': ['@ MX 10 mx', 'mx A 127.0.0.3'],
      'strange.test': ['@ MX 10 mx', 'mx A 127.0.0.4'],
      'both.test': ['@ MX 10 mx', '@ MX 20 mx2', 'mx A 127.0.0.3', 'mx2 A 127.0.0.2'],
      'gone.test': ['@ MX 10 mx', '@ MX 20 mx2', 'mx A 127.0.0.9', 'mx2 A 127.0.0.3'],
    },
    unsigned: { 'open.test': ['@ MX 10 mx', 'mx A 127.0.0.2'] },
  })
})
afterAll(async () => {
  for (const peer of [offers, lacks, strange]) await peer?.stop()
  await dns?.stop()
  await authority?.remove()
})

const open: Testbed[] = []
afterEach(async () => {
  for (const box of open.splice(0)) await box.close()
  for (const { taken } of [offers, lacks, strange]) taken.length = 0
})

async function bed(rows: Rows = {}): Promise<Testbed> {
  const servers = [dns.server]
  const assurance = {
    trust: new Trust({ caFile: authority.file }),
    mtaSts: undefined,
    secureDns: new DnssecResolver({ servers }),
  }
  const box = await Testbed.open(rows, { dns: new Dns({ servers }), outboundPort: port, assurance })
  open.push(box)
  return box
}

async function outcome(box: Testbed, id: string) {
  const kinds = ['delivery.delivered', 'delivery.deferred', 'delivery.bounced'] as const
  const told = () => kinds.flatMap((kind) => box.of(kind, id))[0]
  await until('an outcome', () => told() !== undefined)
  return told()
}

const asked = { requireTls: true }
const verified = {
  type: 'delivery.delivered',
  remote: { tls: expect.stringMatching(/^TLSv1\.[23], certificate verified$/) },
}

describe('RFC 8689 REQUIRETLS', () => {
  test.each(['with.test', 'dane.test', 'both.test'])(
    '%s: verified TLS, and REQUIRETLS is handed on',
    async (domain) => {
      const box = await bed({ queue: { outboundTls: 'none' } })
      for (const to of ['jane', 'joe']) {
        expect(await outcome(box, await box.send([`${to}@${domain}`], asked))).toMatchObject(verified)
      }
      expect(offers.taken.map(({ requireTls, secure }) => ({ requireTls, secure }))).toEqual(
        Array(2).fill({ requireTls: true, secure: true }),
      )
      expect(lacks.taken).toEqual([])
    },
  )

  test('a route and the gateway: verified TLS, and REQUIRETLS is passed on', async () => {
    const to = { host: 'mx.with.test', port, tls: 'opportunistic' }
    const box = await bed({
      domains: [{ name: 'route.test', route: { type: 'smtp', ...to } }],
      general: { gateway: to },
    })
    expect(await outcome(box, await box.send(['jane@route.test'], asked))).toMatchObject(verified)
    expect(await outcome(box, await box.send(['jane@far.test'], asked))).toMatchObject(verified)
    expect(offers.taken.map(({ requireTls }) => requireTls)).toEqual([true, true])
    const strangeRoute = { type: 'smtp', host: 'mx.strange.test', port, tls: 'opportunistic' }
    box.apply({ domains: [{ name: 'route.test', route: strangeRoute }] })
    expect(await outcome(box, await box.send(['jane@route.test'], asked))).toMatchObject({ status: '5.7.10' })
  })

  test.each([
    ['a host that does not offer it', 'without.test', '5.7.30', /mx\.without\.test does not offer REQUIRETLS/],
    ['a certificate that proves nothing', 'strange.test', '5.7.10', /certificate of mx\.strange\.test is not verified/],
    ['an MX that nobody vouches for', 'open.test', '5.7.10', /neither DNSSEC nor MTA-STS/],
  ])('%s: it comes back', async (_name, domain, status, reply) => {
    const box = await bed()
    const id = await box.send([`jane@${domain}`], asked)
    expect(await outcome(box, id)).toMatchObject({
      type: 'delivery.bounced',
      status,
      reply: expect.stringMatching(reply),
    })
    expect([offers, lacks, strange].flatMap(({ taken }) => taken)).toEqual([])
    await until('the sender is told', async () => (await box.mailOf('sender@sender.test')).length === 1)
    expect((await box.mailOf('sender@sender.test'))[0]).toContain(`Status: ${status}`)
  })

  test('one host unavailable, the other without REQUIRETLS: waits for the unavailable one', async () => {
    const box = await bed()
    expect(await outcome(box, await box.send(['jane@gone.test'], asked))).toMatchObject({
      type: 'delivery.deferred',
      cause: 'cannot-connect',
    })
    expect(lacks.taken).toEqual([])
  })

  test('without REQUIRETLS the same hosts take the same mail', async () => {
    const box = await bed()
    for (const domain of ['without.test', 'strange.test', 'open.test'])
      expect(await outcome(box, await box.send([`jane@${domain}`]))).toMatchObject({ type: 'delivery.delivered' })
    expect(offers.taken.map(({ requireTls }) => requireTls)).toEqual([false])
  })

  test.each([
    ['REQUIRETLS where the way back offers it', 'with.test', () => offers, { requireTls: true, secure: true }],
    ['none where it does not: it is not lost', 'without.test', () => lacks, { requireTls: false, secure: true }],
    ['none where nothing is proved', 'strange.test', () => strange, { requireTls: false, secure: true }],
  ] as const)('§5: the notification has no body of the message, and %s', async (_name, back, peer, expected) => {
    const box = await bed({ queue: { outboundTls: 'none' } })
    const text = 'Subject: private\r\n\r\nthe secret plan\r\n'
    const id = await box.send(['jane@open.test'], { ...asked, ret: 'full', sender: `me@${back}`, text })
    expect(await outcome(box, id)).toMatchObject({ type: 'delivery.bounced' })
    await until('the notification', () => peer().taken.length === 1)
    const [notification] = peer().taken
    expect(notification).toMatchObject({ from: '', to: [`me@${back}`], ...expected })
    expect(notification?.content).toContain('Content-Type: text/rfc822-headers')
    expect(notification?.content).toContain('Subject: private')
    expect(notification?.content).not.toContain('the secret plan')
  })
})
