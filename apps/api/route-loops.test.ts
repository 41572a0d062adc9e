import { beforeEach, describe, expect, it } from 'vitest'
import { type Fixture, startFixture } from './test/fixture.ts'

let api: Fixture
beforeEach(async () => {
  api = await startFixture()
  await warnings('PATCH', '/v1/settings/general', { hostname: 'mail.home.test' })
})

async function warnings(method: string, path: string, body: object): Promise<string> {
  const { status, json } = await api.send(method, path, { body })
  expect(status, JSON.stringify(json)).toBeLessThan(300)
  return json.warnings.join('\n')
}
const general = (patch: object) => warnings('PATCH', '/v1/settings/general', patch)

describe('warns when a saved route leads to this server itself', () => {
  const here = [
    '127.0.0.1',
    '127.9.9.9',
    '::1',
    '[::1]',
    '::ffff:127.0.0.1',
    '0.0.0.0',
    '::',
    'localhost',
    'Mail.Home.Test',
  ]

  it('every spelling', async () => {
    for (const [i, host] of here.entries()) {
      expect(await general({ gateway: { host, port: 587 } })).toMatch(/^general.gateway leads to this server itself/)
      const named = host.includes(':') ? `[${host.replace(/[[\]]/g, '')}]` : host
      expect(await general({ defaultMailHost: named })).toMatch(/^general.defaultMailHost leads to this server itself/)
      expect(await general({ defaultMailHost: `${named}:587` })).toMatch(/itself \(.*port 587\): mail loops/)
      for (const type of ['smtp', 'lmtp'])
        expect(
          await warnings('POST', '/v1/domains', { name: `${type}${i}.test`, route: { type, host, port: 25 } }),
        ).toMatch(/^The route of (smtp|lmtp)\d.test leads to this server itself/)
    }
  })

  it('another server at another port', async () => {
    for (const [i, host] of [...here, 'mx.far.test', '192.0.2.1'].entries()) {
      expect(await general({ gateway: { host, port: 2526 } })).toBe('')
      const route = { type: 'lmtp', host, port: 24 }
      expect(await warnings('POST', '/v1/domains', { name: `a${i}.test`, route })).toBe('')
    }
  })

  it('another host', async () => {
    for (const [i, host] of ['mx.far.test', '192.0.2.1', 'home.test', '2001:db8::1'].entries()) {
      expect(await general({ gateway: { host, port: 25 } })).toBe('')
      expect(await warnings('POST', '/v1/domains', { name: `a${i}.test`, route: { type: 'smtp', host } })).toBe('')
    }
  })

  it('a port or name that becomes our own', async () => {
    await general({ gateway: { host: '127.0.0.1', port: 2526 }, defaultMailHost: 'mx.home.test' })
    await warnings('POST', '/v1/domains', { name: 'a.test', route: { type: 'smtp', host: '::1', port: 2527 } })
    const extraPorts = [2526, 2527]
    const said = await warnings('PATCH', '/v1/settings/advanced', { extraPorts })
    expect(said).toMatch(/general.gateway leads/)
    expect(said).toMatch(/The route of a.test leads/)
    expect(await general({ hostname: 'mx.home.test' })).toMatch(/^general.defaultMailHost leads [^\n]*$/)
  })

  it('implicit TLS only if it is on', async () => {
    expect(await general({ gateway: { host: '127.0.0.1', port: 465, tls: 'implicit' } })).toBe('')
    expect(await warnings('PATCH', '/v1/settings/tls', { implicitTls: true })).toMatch(/general.gateway leads/)
  })

  it('once: another change does not repeat it', async () => {
    await general({ gateway: { host: '127.0.0.1', port: 25 } })
    expect(await general({ postmaster: 'ops@far.test' })).toBe('')
    expect(await warnings('POST', '/v1/domains', { name: 'a.test' })).toBe('')
  })

  it('a port that the environment fixes', async () => {
    api = await startFixture({ fixed: { 'advanced.port': 'POSTERN_SMTP_PORT=2525' } })
    expect(await general({ gateway: { host: '127.0.0.1', port: 25 } })).toBe('')
    expect(await general({ gateway: { host: '127.0.0.1', port: 2525 } })).toMatch(/general.gateway leads/)
  })

  it('in a document as well', async () => {
    const { json: document } = await api.send('GET', '/v1/document?format=json')
    const domains = [...document.domains, { name: 'doc.test', route: { type: 'smtp', host: 'localhost' } }]
    expect(await warnings('POST', '/v1/plan', { document: { ...document, domains } })).toMatch(
      /route of doc.test leads/,
    )
  })
})
