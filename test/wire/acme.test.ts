import type { X509Certificate } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { CertificateView } from '@postern/contract/views.ts'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Dns, startDns } from '../peers/dns.ts'
import { type Pebble, startPebble } from '../peers/pebble.ts'
import { freePort, until } from '../peers/peer.ts'
import { homeDomain, livePostern } from './live.ts'

/** Certificates from a real ACME authority, used with a real client. */

let dns: Dns
let pebble: Pebble
let port80: Server
/** Forwards port 80 to the API, as README describes. */
async function startPort80(): Promise<Server> {
  const server = createServer(async ({ url }, response) => {
    const answer = await fetch(new URL(url ?? '/', live.postern.url))
    response.writeHead(answer.status).end(Buffer.from(await answer.arrayBuffer()))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return server
}

beforeAll(async () => {
  port80 = await startPort80()
  const here = { a: ['127.0.0.1'] }
  dns = await startDns({ names: { 'mail.home.test': here, 'mx.home.test': here } })
  pebble = await startPebble({ httpPort: (port80.address() as AddressInfo).port, dns: dns.server })
})
const live = livePostern({ prepare: homeDomain, postern: () => ({ env: { NODE_EXTRA_CA_CERTS: pebble.trust } }) })
afterAll(async () => {
  await pebble?.stop()
  await dns?.stop()
  port80?.close()
})

const certificate = (id: string) => live.api.get<CertificateView>(`/v1/certificates/${id}`)
const order = (names: string[], more: object = {}) =>
  live.make('certificates', {
    name: names[0],
    source: { type: 'acme', names, directoryUrl: pebble.directoryUrl, email: 'admin@home.test', agreed: true, ...more },
  })

async function shown(servername: string): Promise<X509Certificate> {
  const client = await live.greeted()
  const socket = await client.startTls({ servername })
  await client.ehlo()
  await client.quit()
  return socket.getPeerX509Certificate() as X509Certificate
}

async function issued(id: string, not = ''): Promise<CertificateView> {
  let view = await certificate(id)
  await until(
    'the certificate is issued',
    async () => {
      view = await certificate(id)
      return view.fingerprint !== undefined && view.fingerprint !== not
    },
    { withinMs: 20_000, everyMs: 100 },
  ).catch((error) => {
    throw new Error(`${error.message}: ${JSON.stringify(view)}\n${pebble.logs().slice(-3000)}`)
  })
  const { revision } = await live.api.get<{ revision: number }>('/v1/settings')
  await live.postern.settle(revision)
  return view
}

describe('ACME', () => {
  it('a certificate is ordered, issued, shown in the next handshake, and renewed with a new key on request', async () => {
    const id = await order(['mail.home.test', 'mx.home.test'])
    const view = await issued(id)
    expect(view).toMatchObject({ state: 'valid', key: 'ECDSA P-256', isDefault: true })
    expect([...view.names].sort()).toEqual(['mail.home.test', 'mx.home.test'])
    expect(view.issuer).toMatch(/Pebble/)
    const first = await shown('mx.home.test')
    expect(first.fingerprint256).toBe(view.fingerprint)
    await live.event('certificate.issued', ({ name }) => name === 'mail.home.test')

    const open = await live.greeted()
    await open.startTls({ servername: 'mail.home.test' })
    await open.ehlo()
    await live.change(() => live.api.post(`/v1/certificates/${id}/renew`))
    const renewed = await issued(id, view.fingerprint)
    const second = await shown('mail.home.test')
    expect(second.fingerprint256).toBe(renewed.fingerprint)
    expect(second.publicKey.export({ format: 'pem', type: 'spki' })).not.toBe(
      first.publicKey.export({ format: 'pem', type: 'spki' }),
    )
    await open.say('NOOP').expect(250)
    // The challenges were removed.
    expect((await live.api.call('GET', '/.well-known/acme-challenge/anything', { token: null })).status).toBe(404)
  })

  it('RSA and P-384 keys', async () => {
    const rsa = await issued(await order(['mail.home.test'], { key: 'rsa-2048' }))
    expect(rsa.key).toBe('RSA 2048')
    const p384 = await issued(await order(['mx.home.test'], { key: 'ecdsa-p384' }))
    expect(p384.key).toBe('ECDSA P-384')
  })

  it('a failed order says why, is tried again later, and keeps the existing certificate', async () => {
    const id = await order(['nowhere.home.test'])
    await until('the trouble is shown', async () => (await certificate(id)).trouble !== undefined, { withinMs: 30_000 })
    const view = await certificate(id)
    expect(view).toMatchObject({ state: 'ordered', names: ['nowhere.home.test'], isDefault: false })
    expect(view.trouble).toMatch(/nowhere\.home\.test|NXDOMAIN|DNS|resolv|dial|lookup/i)
    expect(Date.parse(view.nextTryAt ?? '')).toBeGreaterThan(Date.now())
    await live.event('certificate.failed', ({ name }) => name === 'nowhere.home.test')
  })

  it('reports a directory that cannot be reached, and refuses http, wildcards and a missing agreement', async () => {
    const id = await order(['mail.home.test'], { directoryUrl: `https://127.0.0.1:${await freePort()}/dir` })
    await until('the trouble is shown', async () => (await certificate(id)).trouble !== undefined, { withinMs: 30_000 })
    expect((await certificate(id)).trouble).toMatch(/ECONNREFUSED/)
    const refused = async (source: object) => {
      const body = { name: 'x', source: { type: 'acme', names: ['mail.home.test'], agreed: true, ...source } }
      const { status, text } = await live.api.call('POST', '/v1/certificates', { body })
      expect(status, text).toBe(422)
      return text
    }
    expect(await refused({ directoryUrl: 'http://127.0.0.1/dir' })).toContain('directoryUrl')
    expect(await refused({ names: ['*.home.test'] })).toContain('wildcards')
    expect(await refused({ agreed: false })).toContain('agree')
    expect(await refused({ names: [] })).toContain('names')
  })

  it('never returns the account key or a private key', async () => {
    const id = await order(['mail.home.test'])
    await issued(id)
    const paths = [
      '/v1/certificates',
      `/v1/certificates/${id}`,
      '/v1/document',
      '/v1/audit',
      '/v1/revisions',
      '/v1/events',
    ]
    const { items } = await live.api.get<{ items: { revision: number }[] }>('/v1/revisions')
    for (const { revision } of items) paths.push(`/v1/revisions/${revision}`)
    for (const path of paths) expect((await live.api.call('GET', path)).text, path).not.toContain('PRIVATE KEY')
    expect(live.postern.logs()).not.toContain('PRIVATE KEY')
  })
})
