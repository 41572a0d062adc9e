import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ListInput } from '@postern/contract/lists.ts'
import { beforeAll, describe, expect, it } from 'vitest'
import { sweep } from './housekeeping.ts'
import { type Fixture, startFixture, writesOf } from './test/fixture.ts'

let api: Fixture
beforeAll(async () => {
  api = await startFixture({ fixed: { 'advanced.port': 'POSTERN_SMTP_PORT=2525' } })
})

const { post, patch } = writesOf(() => api)

describe('the directory', () => {
  it('keeps passwords as argon2id and never shows them', async () => {
    const made = await post('/v1/accounts', { address: 'pw@example.org', secret: 'my password 1' })
    expect(made.json.item).toEqual({
      id: made.json.id,
      address: 'pw@example.org',
      login: '',
      forwardTo: [],
      keepCopy: true,
      disabled: false,
    })
    expect(made.text).not.toMatch(/my password|argon2/)
    const changed = await patch(`/v1/accounts/${made.json.id}`, { disabled: true })
    expect(changed.status).toBe(200)
    const rows = (await api.send('GET', '/v1/worker/snapshot', { token: await api.tokens.smtp() })).text.split('\n')
    const row = JSON.parse(rows.find((line) => line.includes('pw@example.org')) ?? '{}')
    expect(row.value).toMatchObject({ disabled: true, secretHash: expect.stringMatching(/^\$argon2id\$/) })
    expect((await api.send('GET', `/v1/accounts/${made.json.id}`)).json.disabled).toBe(true)
    expect((await api.send('DELETE', `/v1/accounts/${made.json.id}`)).status).toBe(200)
    expect((await api.send('GET', `/v1/accounts/${made.json.id}`)).status).toBe(404)
  })

  it('reads a certificate, and refuses a key that does not match', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'postern-cert-'))
    const make = (name: string) => {
      const out = join(directory, name)
      execFileSync(
        'openssl',
        [
          'req',
          '-x509',
          '-newkey',
          'ec',
          '-pkeyopt',
          'ec_paramgen_curve:P-256',
          '-nodes',
          '-days',
          '30',
          '-subj',
          `/CN=${name}`,
          '-addext',
          `subjectAltName=DNS:${name},DNS:*.${name}`,
          '-keyout',
          `${out}.key`,
          '-out',
          `${out}.crt`,
        ],
        { stdio: 'ignore' },
      )
      return { certificate: readFileSync(`${out}.crt`, 'utf8'), privateKey: readFileSync(`${out}.key`, 'utf8') }
    }
    const one = make('mx.example.org')
    const two = make('other.example.org')
    const made = await post('/v1/certificates', { name: 'mx', ...one })
    expect(made.status).toBe(201)
    expect(made.json.item).toMatchObject({
      names: ['mx.example.org', '*.mx.example.org'],
      fingerprint: expect.stringMatching(/^[0-9A-F:]{95}$/),
    })
    expect(made.text).not.toContain('PRIVATE KEY')
    const wrong = await post('/v1/certificates', {
      name: 'x',
      certificate: one.certificate,
      privateKey: two.privateKey,
    })
    expect([wrong.status, wrong.json.detail]).toEqual([422, expect.stringContaining('does not match the private key')])
    expect((await post('/v1/certificates', { name: 'y', certificate: 'nonsense', privateKey: 'z' })).status).toBe(422)
    const renewed = await patch(`/v1/certificates/${made.json.id}`, two)
    expect(renewed.json.item.names[0]).toBe('other.example.org')
  })

  it('makes DKIM keys and shows the DNS record', async () => {
    const made = await post('/v1/dkim-keys', { domain: 'example.org', selector: 'p1', algorithm: 'ed25519' })
    expect(made.json.item).toMatchObject({
      dnsName: 'p1._domainkey.example.org',
      dnsValue: expect.stringMatching(/^v=DKIM1; k=ed25519; p=.{44}$/),
    })
    expect(made.text).not.toContain('PRIVATE KEY')
  })
})

describe('lists', () => {
  it('imports all lines or none, and lists the bad ones', async () => {
    const bad = await api.send('POST', '/v1/lists/kill/import', {
      body: '@a.example\nnot a sender\n*@x\n',
      headers: { 'content-type': 'text/plain' },
    })
    expect(bad.status).toBe(422)
    expect(bad.json.errors.map(({ path }: { path: string }) => path)).toEqual(['line 2', 'line 3'])
    expect((await api.send('GET', '/v1/lists/kill?q=a.example')).json.items).toEqual([])
    await post('/v1/lists/kill', { value: '@once.example' })
    const good = await api.send('POST', '/v1/lists/kill/import', {
      body: '# mine\r\n@a.example\r\nBAD@b.example\r\n@once.example\r\n',
      headers: { 'content-type': 'text/plain' },
    })
    expect(good.json).toMatchObject({ lines: 3, added: 2, unchanged: 1 })
    const csv = (await api.send('GET', '/v1/lists/kill/export?format=csv')).text
    expect(csv.split('\r\n')[0]).toBe('value,action,comment,expiresAt,reason,createdBy,createdAt')
    expect((await api.send('POST', '/v1/lists/kill/import?format=csv', { body: csv })).json).toMatchObject({
      added: 0,
      unchanged: 3,
    })
    expect((await api.send('GET', '/v1/lists/kill/export')).text).toBe('@a.example\n@once.example\nbad@b.example\n')
  })

  it('pages by cursor and searches', async () => {
    const first = (await api.send('GET', '/v1/lists/kill?limit=2')).json
    const second = (await api.send('GET', `/v1/lists/kill?limit=2&cursor=${first.nextCursor}`)).json
    expect([...first.items, ...second.items].map(({ value }) => value)).toEqual([
      '@a.example',
      '@once.example',
      'bad@b.example',
    ])
    expect(second.nextCursor).toBeNull()
    expect((await api.send('GET', '/v1/lists/kill?q=bad')).json.items).toHaveLength(1)
    expect((await api.send('GET', '/v1/lists/kill?cursor=%ff')).status).toBe(422)
  })

  it('accepts a new entry, alone or in an import, if the old one with the same value has expired', async () => {
    const soon = () => new Date(Date.now() + 60_000).toISOString()
    for (const value of ['192.0.2.21', '192.0.2.22'])
      expect((await post('/v1/lists/control-access', { value, expiresAt: soon() })).status).toBe(201)
    expect((await post('/v1/lists/control-access', { value: '192.0.2.21' })).status).toBe(422)
    api.clock.ahead = 61_000
    const again = await post('/v1/lists/control-access', { value: '192.0.2.21' })
    const imported = await api.send('POST', '/v1/lists/control-access/import', { body: '192.0.2.21\n192.0.2.22\n' })
    await sweep(api.parts)
    api.clock.ahead = 0
    expect([again.status, imported.json]).toEqual([201, expect.objectContaining({ added: 1, unchanged: 1 })])
    const { items } = (await api.send('GET', '/v1/lists/control-access')).json
    expect(items.map(({ value, expiresAt }: ListInput) => [value, expiresAt])).toEqual([
      ['192.0.2.21', undefined],
      ['192.0.2.22', undefined],
    ])
    for (const { id } of items) await api.send('DELETE', `/v1/lists/control-access/${id}`)
  })

  it('removes expired entries, in an automatic revision', async () => {
    const expiresAt = new Date(Date.now() + 60_000).toISOString()
    const made = await post('/v1/lists/control-access', {
      value: '192.0.2.1',
      action: 'deny',
      expiresAt,
      reason: 'harvesting',
    })
    expect(made.status).toBe(201)
    api.clock.ahead = 61_000
    await sweep(api.parts)
    api.clock.ahead = 0
    expect((await api.send('GET', '/v1/lists/control-access')).json.items).toEqual([])
    expect((await api.send('GET', '/v1/revisions?limit=1')).json.items[0]).toMatchObject({
      actor: 'system',
      revision: made.json.revision + 1,
    })
  })
})
