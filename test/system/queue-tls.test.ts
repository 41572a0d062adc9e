import { createServer, type Server } from 'node:https'
import { Dns } from '@postern/net/dns.ts'
import { allowedAddressesOf } from '@postern/net/http/allowed-addresses.ts'
import type { Assurance } from '@postern/queue/assure/assurance.ts'
import { DnssecResolver } from '@postern/queue/assure/dnssec.ts'
import { MtaSts } from '@postern/queue/assure/mta-sts.ts'
import { Trust } from '@postern/queue/client/certificate.ts'
import { type Rows, Testbed, until } from '@postern/queue/test/testbed.ts'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type Authority, startAuthority } from '../peers/authority.ts'
import { selfSigned } from '../peers/certificate.ts'
import { freePort } from '../peers/peer.ts'
import { type Postfix, startPostfix } from '../peers/postfix.ts'
import { type SignedDns, startSignedDns, tlsaOf } from '../peers/signed-dns.ts'

/**
 * Tests outbound TLS against Postfix with certificates of a test authority and with a self-signed one. The DNS server
 * is unbound, which validates zones signed by ldns. All remote hosts listen on one port, as real ones do on 25.
 */

let authority: Authority
let dns: SignedDns
let policies: Server
let policyPort = 0
let port = 0
const remotes = new Map<string, Postfix>()
/** The text of the policy page by domain. */
const pages = new Map<string, string>()

const page = (mode: string, mx: string) => `version: STSv1\r\nmode: ${mode}\r\nmx: ${mx}\r\nmax_age: 86400\r\n`

beforeAll(async () => {
  authority = await startAuthority()
  port = await freePort('127.0.0.2')
  const good = await authority.issue(['mx.good.test', 'mx.dane.test', 'mx.sts.test', 'mx.ta.test', 'mx.testing.test'])
  const self = await selfSigned(['mx.self.test'])
  const strange = await authority.issue(['other.test'])
  const certificates = { '127.0.0.2': good, '127.0.0.3': self, '127.0.0.4': strange, '127.0.0.5': undefined }
  for (const [host, certificate] of Object.entries(certificates)) {
    const settings = { inet_interfaces: 'loopback-only' }
    const postfix = { deliver: { to: 'discard' as const }, host, port, settings, log: false }
    remotes.set(host, await startPostfix({ ...postfix, ...(certificate ? { certificate } : {}) }))
  }
  const at = (address: string, more: string[] = []) => ['@ MX 10 mx', `mx A ${address}`, ...more]
  const sts = (address: string) => at(address, ['_mta-sts TXT "v=STSv1; id=1"', 'mta-sts A 127.0.0.1'])
  const alias = (to: string, more: string[] = []) => ['@ MX 10 mx', `mx CNAME ${to}.`, ...more]
  const tlsa = (data: string) => `_${port}._tcp.mx TLSA ${data}`
  dns = await startSignedDns({
    signed: {
      'dane.test': at('127.0.0.2', [tlsa(tlsaOf(good.cert, 3))]),
      'daneself.test': at('127.0.0.3', [tlsa(tlsaOf(self.cert, 3))]),
      'ta.test': at('127.0.0.2', [tlsa(tlsaOf(authority.cert, 2))]),
      'tawrong.test': at('127.0.0.4', [tlsa(tlsaOf(authority.cert, 2))]),
      'danewrong.test': at('127.0.0.2', [tlsa(tlsaOf(self.cert, 3))]),
      'danenone.test': at('127.0.0.5', [tlsa(tlsaOf(good.cert, 3))]),
      'unusable.test': at('127.0.0.3', [tlsa('0 0 1 00')]),
      'signed.test': at('127.0.0.5'),
      'other.test': at('127.0.0.4', [tlsa(tlsaOf(authority.cert, 2))]),
      'target.test': ['mx A 127.0.0.3', tlsa(tlsaOf(self.cert, 3)), 'bare A 127.0.0.3'],
      'alias.test': alias('mx.target.test'),
      'aliasboth.test': alias('mx.target.test', [tlsa(tlsaOf(good.cert, 3))]),
      'aliasown.test': alias('bare.target.test', [tlsa(tlsaOf(self.cert, 3))]),
      'aliasout.test': alias('mx.self.test', [tlsa(tlsaOf(self.cert, 3))]),
      'aliaswrong.test': alias('mx.self.test', [tlsa(tlsaOf(good.cert, 3))]),
      'aliasfree.test': alias('mx.self.test'),
    },
    forged: { 'forged.test': at('127.0.0.2') },
    unsigned: {
      'good.test': at('127.0.0.2'),
      'self.test': at('127.0.0.3'),
      'strange.test': at('127.0.0.4'),
      'plain.test': at('127.0.0.5'),
      'aliasopen.test': alias('mx.target.test'),
      'insecure.test': at('127.0.0.2', [tlsa(tlsaOf(self.cert, 3))]),
      'sts.test': sts('127.0.0.2'),
      'stsself.test': sts('127.0.0.3'),
      'stsname.test': sts('127.0.0.2'),
      'testing.test': sts('127.0.0.3'),
      'testplain.test': sts('127.0.0.5'),
    },
  })
  pages.set('sts.test', page('enforce', '*.sts.test'))
  pages.set('stsself.test', page('enforce', 'mx.stsself.test'))
  pages.set('stsname.test', page('enforce', 'mail.stsname.test'))
  pages.set('testing.test', page('testing', 'mx.testing.test'))
  pages.set('testplain.test', page('testing', 'mx.testplain.test'))
  const site = await authority.issue([...pages.keys()].map((domain) => `mta-sts.${domain}`))
  policies = createServer({ cert: site.cert, key: site.key }, (request, response) => {
    const text = pages.get((request.headers.host ?? '').replace('mta-sts.', ''))
    response.writeHead(text ? 200 : 404, { 'content-type': 'text/plain' }).end(text)
  })
  await new Promise<void>((resolve) => policies.listen(0, '127.0.0.1', resolve))
  policyPort = (policies.address() as { port: number }).port
})
afterAll(async () => {
  policies?.close()
  await dns?.stop()
  for (const remote of remotes.values()) await remote.stop()
  await authority?.remove()
})

const open: Testbed[] = []
afterEach(async () => {
  for (const box of open.splice(0)) await box.close()
})

async function bed(rows: Rows = {}): Promise<Testbed> {
  const resolver = new Dns({ servers: [dns.server] })
  const trust = new Trust({ caFile: authority.file })
  const mtaSts = new MtaSts({ dns: resolver, trust, port: policyPort, reach: allowedAddressesOf(['127.0.0.0/8']) })
  const assurance: Assurance = { trust, mtaSts, secureDns: new DnssecResolver({ servers: [dns.server] }) }
  const box = await Testbed.open(rows, { dns: resolver, outboundPort: port, assurance })
  open.push(box)
  return box
}

type Outcome = {
  kind: string
  tls?: string
  cause?: string
  reply: string
  status?: string
}

async function outcome(box: Testbed, domain: string, change: Parameters<Testbed['send']>[1] = {}): Promise<Outcome> {
  const id = await box.send([`jane@${domain}`], change)
  const kinds = ['delivery.delivered', 'delivery.deferred', 'delivery.bounced'] as const
  const told = () => kinds.flatMap((kind) => box.of(kind, id))[0]
  await until(`an outcome for ${domain}`, () => told() !== undefined)
  const { type, remote, cause, reply, status } = told() as never as {
    type: string
    remote: { tls?: string }
    cause?: string
    reply: string
    status?: string
  }
  return { kind: type.replace('delivery.', ''), ...remote, cause, reply, status } as Outcome
}

const delivered = { kind: 'delivered' }
const verified = { kind: 'delivered', tls: expect.stringMatching(/^TLSv1\.[23], certificate verified$/) }
const unverified = { kind: 'delivered', tls: expect.stringMatching(/^TLSv1\.[23]$/) }
const deferred = (reply: RegExp, cause = 'tls-not-verified') => ({
  kind: 'deferred',
  cause,
  reply: expect.stringMatching(reply),
})

test('outboundTls: none, opportunistic and require, changed at run time', async () => {
  const box = await bed({ queue: { outboundTls: 'none' } })
  expect((await outcome(box, 'good.test')).tls).toBeUndefined()
  box.apply({ queue: { outboundTls: 'opportunistic' } })
  expect(await outcome(box, 'good.test')).toMatchObject(unverified)
  expect(await outcome(box, 'self.test')).toMatchObject(unverified)
  expect(await outcome(box, 'plain.test')).toMatchObject(delivered)
  box.apply({ queue: { outboundTls: 'require' } })
  expect(await outcome(box, 'good.test')).toMatchObject(verified)
  expect(await outcome(box, 'self.test')).toMatchObject(
    deferred(/certificate of mx\.self\.test is not verified: .*DEPTH_ZERO_SELF_SIGNED_CERT/),
  )
  expect(await outcome(box, 'strange.test')).toMatchObject(deferred(/it is not for mx\.strange\.test/))
  expect(await outcome(box, 'plain.test')).toMatchObject(deferred(/does not offer STARTTLS/, 'no-tls'))
})

test('a route and the gateway verify under `require`', async () => {
  const route = (host: string) => ({ type: 'smtp', host, port, tls: 'require' })
  const box = await bed({
    domains: [
      { name: 'well.test', route: route('mx.good.test') },
      { name: 'ill.test', route: route('mx.self.test') },
    ],
  })
  expect(await outcome(box, 'well.test')).toMatchObject(verified)
  expect(await outcome(box, 'ill.test')).toMatchObject(deferred(/wanted by the settings/))
  box.apply({ general: { gateway: { host: 'mx.good.test', port, tls: 'require' } } })
  expect(await outcome(box, 'far.test')).toMatchObject(verified)
  box.apply({ general: { gateway: { host: 'mx.strange.test', port, tls: 'require' } } })
  expect(await outcome(box, 'far.test')).toMatchObject(deferred(/it is not for mx\.strange\.test/))
})

describe('DANE (RFC 7672)', () => {
  test.each([
    ['3 1 1 that matches', 'dane.test', verified],
    ['3 1 1 of a self-signed certificate', 'daneself.test', verified],
    ['2 1 1 that matches', 'ta.test', verified],
    ['2 1 1 and another name', 'tawrong.test', deferred(/it is not for mx\.tawrong\.test.*DANE/)],
    ['3 1 1 of another key', 'danewrong.test', deferred(/no TLSA record of its host matches/)],
    ['TLSA and no STARTTLS', 'danenone.test', deferred(/does not offer STARTTLS/, 'no-tls')],
    ['only records that nobody can use', 'unusable.test', unverified],
    ['a signed zone without TLSA', 'signed.test', delivered],
    ['TLSA in a zone that is not signed', 'insecure.test', unverified],
    ['2 1 1 and the name of the recipient’s domain', 'other.test', verified],
    ['an alias: the records where it leads', 'alias.test', verified],
    ['an alias: those before its own', 'aliasboth.test', verified],
    ['an alias: its own where there are none', 'aliasown.test', verified],
    ['an alias out of the signed world: its own', 'aliasout.test', verified],
    [
      'an alias out of the signed world: its own do not match',
      'aliaswrong.test',
      deferred(/no TLSA record of its host/),
    ],
    ['an alias out of the signed world, without records', 'aliasfree.test', unverified],
    ['an alias that is not signed', 'aliasopen.test', unverified],
    ['a zone with broken signatures', 'forged.test', deferred(/could not be looked up/, 'dns-failure')],
  ])('%s', async (_name, domain, expected) => {
    expect(await outcome(await bed(), domain)).toMatchObject(expected)
  })
})

describe.each(['route', 'gateway'])('DANE (RFC 7672) of the host that a %s names', (kind) => {
  const to = (host: string, tls: string): Rows =>
    kind === 'gateway'
      ? { general: { gateway: { host, port, tls } } }
      : { domains: [{ name: 'far.test', route: { type: 'smtp', host, port, tls } }] }

  test.each([
    ['self-signed, as its records say', 'mx.daneself.test', 'opportunistic', verified],
    ['so under require, without an authority', 'mx.daneself.test', 'require', verified],
    ['another key', 'mx.danewrong.test', 'opportunistic', deferred(/no TLSA record of its host matches/)],
    ['another key and none', 'mx.danewrong.test', 'none', { ...delivered, tls: 'none' }],
    ['TLSA and no STARTTLS', 'mx.danenone.test', 'opportunistic', deferred(/does not offer STARTTLS/, 'no-tls')],
    ['an alias', 'mx.alias.test', 'opportunistic', verified],
    ['TLSA in a zone that is not signed', 'mx.insecure.test', 'opportunistic', unverified],
    ['no TLSA', 'mx.signed.test', 'opportunistic', { ...delivered, tls: 'none' }],
  ])('%s', async (_name, host, tls, expected) => {
    expect({ tls: 'none', ...(await outcome(await bed(to(host, tls)), 'far.test')) }).toMatchObject(expected)
  })
})

describe('MTA-STS (RFC 8461)', () => {
  test.each([
    ['enforce', 'sts.test', verified],
    [
      'enforce and a self-signed certificate',
      'stsself.test',
      deferred(/wanted by the MTA-STS policy of stsself\.test/),
    ],
    ['enforce and a host that is not named', 'stsname.test', deferred(/not among the hosts/)],
  ])('%s', async (_name, domain, expected) => {
    expect(await outcome(await bed(), domain)).toMatchObject(expected)
  })

  test.each([
    ['testing.test', unverified, /policy of testing\.test: the certificate of mx\.testing\.test is not verified/],
    ['testplain.test', delivered, /does not offer STARTTLS/],
  ])('testing: %s is delivered and told of', async (domain, expected, detail) => {
    const box = await bed()
    expect(await outcome(box, domain)).toMatchObject(expected)
    expect(box.of('tls.unproved')).toMatchObject([{ domain, detail: expect.stringMatching(detail) }])
  })

  test('a cached policy stays valid although its page is gone', async () => {
    const box = await bed()
    expect(await outcome(box, 'stsself.test')).toMatchObject(deferred(/MTA-STS/))
    pages.delete('stsself.test')
    expect(await outcome(box, 'stsself.test')).toMatchObject(deferred(/MTA-STS/))
    pages.set('stsself.test', page('enforce', 'mx.stsself.test'))
  })
})

describe('what the message itself requires (RFC 8689)', () => {
  test('TLS-Required: No waives what the recipient’s domain demands, not what the settings do', async () => {
    const text = 'Subject: x\r\nTLS-Required: No\r\n\r\nHello.\r\n'
    const box = await bed()
    expect(await outcome(box, 'danewrong.test', { text })).toMatchObject(unverified)
    expect(await outcome(box, 'stsself.test', { text })).toMatchObject(unverified)
    expect(await outcome(box, 'danewrong.test')).toMatchObject(deferred(/no TLSA/))
    box.apply({ queue: { outboundTls: 'require' } })
    expect(await outcome(box, 'stsself.test', { text })).toMatchObject(deferred(/MTA-STS/))
  })
})
