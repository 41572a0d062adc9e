import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { type Fixture, startFixture, writesOf } from './test/fixture.ts'

let api: Fixture
beforeAll(async () => {
  api = await startFixture({ fixed: { 'advanced.port': 'POSTERN_SMTP_PORT=2525' } })
})

const { head, post, patch } = writesOf(() => api)

describe('conventions of writes', () => {
  it('answers 412 to a stale If-Match and saves nothing', async () => {
    const revision = await head()
    await patch('/v1/settings/general', { hostname: 'a.example.org' })
    const stale = await patch('/v1/settings/general', { hostname: 'b.example.org' }, { 'if-match': `"${revision}"` })
    expect(stale.status).toBe(412)
    expect((await api.send('GET', '/v1/settings/general')).json.settings.hostname).toBe('a.example.org')
    const fresh = await patch(
      '/v1/settings/general',
      { hostname: 'b.example.org' },
      { 'if-match': `"${revision + 1}"` },
    )
    expect(fresh.status).toBe(200)
    expect((await patch('/v1/settings/general', {}, { 'if-match': 'x' })).status).toBe(400)
  })

  it('carries out a write with an Idempotency-Key once', async () => {
    const headers = { 'idempotency-key': 'one' }
    const first = await post('/v1/lists/kill', { value: '@once.example' }, headers)
    const second = await post('/v1/lists/kill', { value: '@once.example' }, headers)
    expect(first.status).toBe(201)
    expect([second.status, second.text, second.headers.get('etag')]).toEqual([
      201,
      first.text,
      first.headers.get('etag'),
    ])
    expect((await post('/v1/lists/kill', { value: '@other.example' }, headers)).status).toBe(422)
  })

  it('carries it out once, with the same answer for all, if the same request arrives several times at once', async () => {
    const headers = { 'idempotency-key': 'at-once' }
    const before = await head()
    const asked = () => post('/v1/lists/kill', { value: '@at-once.example' }, headers)
    const answers = await Promise.all([asked(), asked(), asked(), asked()])
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 201, 201])
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1)
    expect(await head()).toBe(before + 1)
    await api.send('DELETE', `/v1/lists/kill/${answers[0]?.json.id}`)
  })

  it('shows the diff of a dry run and saves nothing', async () => {
    const revision = await head()
    const result = await patch('/v1/settings/general?dryRun=true', { maxMessageBytes: 77 })
    expect(result.json).toMatchObject({
      revision,
      dryRun: true,
      diff: [{ kind: 'settings', after: { maxMessageBytes: 77 } }],
    })
    expect(await head()).toBe(revision)
    expect((await patch('/v1/settings/general?dryRun=true', { maxMessageBytes: -1 })).status).toBe(422)
  })

  it('stores the comment from the query or a header', async () => {
    await patch('/v1/settings/queue?comment=why%20not', { retryTimerMinutes: 7 })
    await patch('/v1/settings/queue', { retryTimerMinutes: 8 }, { 'postern-comment': 'because' })
    const { items } = (await api.send('GET', '/v1/revisions?limit=2')).json
    expect(items.map(({ comment }: { comment: string }) => comment)).toEqual(['because', 'why not'])
  })

  it('answers bad JSON with 400, a long body with 413, unknown keys and null with 422', async () => {
    expect((await patch('/v1/settings/general', '{"a":')).status).toBe(400)
    expect((await patch('/v1/settings/general', `{"hostname":"${'x'.repeat(5_000_000)}"}`)).status).toBe(413)
    const unknown = await patch('/v1/settings/general', { nonsense: 1 })
    expect(unknown.json.errors).toEqual([{ path: 'nonsense', message: expect.stringContaining('nonsense') }])
    expect((await patch('/v1/settings/general', { gateway: null })).status).toBe(422)
    expect((await patch('/v1/settings/general', [])).status).toBe(422)
    expect((await patch('/v1/settings/nothing', {})).status).toBe(404)
    expect((await api.send('GET', '/v1/queue?stat=held')).status).toBe(422)
    const method = await api.send('PUT' as 'PATCH', '/v1/settings/general')
    expect([method.status, method.headers.get('allow')]).toEqual([405, 'GET, HEAD, PATCH'])
    expect((await api.send('GET', '/v1/nothing')).headers.get('content-type')).toBe('application/problem+json')
  })

  it('is closed to other origins and sends the security headers', async () => {
    const { headers } = await api.send('GET', '/healthz', { headers: { origin: 'https://elsewhere.example' } })
    expect(headers.get('access-control-allow-origin')).toBeNull()
    expect(headers.get('content-security-policy')).toContain("default-src 'none'")
    expect(headers.get('x-content-type-options')).toBe('nosniff')
  })
})

describe('settings', () => {
  it('warns of settings that are fixed by the environment or dangerous', async () => {
    const fixed = await patch('/v1/settings/advanced', { port: 2626 })
    expect(fixed.json.warnings).toEqual([expect.stringContaining('POSTERN_SMTP_PORT=2525')])
    const open = await patch('/v1/settings/general', { relayMode: 'anyone' })
    expect(open.json.warnings[0]).toContain('open relay')
    await patch('/v1/settings/general', { relayMode: 'addresses' })
    expect((await api.send('GET', '/v1/settings/advanced')).json.fixed).toEqual({
      'advanced.port': 'POSTERN_SMTP_PORT=2525',
    })
  })

  it('sends the Queue Manager the accounts, but not even the hashes of their passwords', async () => {
    await api.send('POST', '/v1/domains', { body: { name: 'hash.example' } })
    await api.send('POST', '/v1/accounts', { body: { address: 'ann@hash.example', secret: 'a long password' } })
    const rows = async (service: 'smtp' | 'queue') =>
      (await api.send('GET', '/v1/worker/snapshot', { token: await api.tokens[service]() })).text
    expect(await rows('smtp')).toContain('$argon2id$')
    expect(await rows('queue')).toContain('ann@hash.example')
    expect(await rows('queue')).not.toContain('$argon2id$')
    const changes = await api.send('GET', '/v1/worker/changes?after=1', { token: await api.tokens.queue() })
    expect(changes.text).not.toContain('$argon2id$')
  })

  it('keeps secrets private, encrypted on disk, and unchanged by writes that omit them', async () => {
    const gateway = { host: 'smart.example.org', user: 'u', secret: 'very secret indeed' }
    const made = await patch('/v1/settings/general', { gateway })
    expect(made.text).not.toContain('very secret')
    expect(made.json.diff[0].after.gateway.secret).toBe('(secret)')
    await patch('/v1/settings/general', { gateway: { host: 'other.example.org' } })
    expect((await api.send('GET', '/v1/settings/general')).json.settings.gateway).toEqual({
      host: 'other.example.org',
      port: 25,
      tls: 'opportunistic',
      user: 'u',
    })
    for (const path of ['/v1/worker/snapshot', '/v1/worker/changes?after=1']) {
      const rows = async (service: 'smtp' | 'queue') =>
        (await api.send('GET', path, { token: await api.tokens[service]() })).text
      expect(await rows('queue')).toContain('very secret indeed')
      expect(await rows('smtp')).toContain('other.example.org')
      expect(await rows('smtp')).not.toContain('very secret indeed')
    }
    for (const file of ['settings.db', 'settings.db-wal'])
      expect(readFileSync(join(api.directory, file)).includes('very secret indeed')).toBe(false)
  })

  it('has a schema with titles, units and help', async () => {
    const { json } = await api.send('GET', '/v1/settings/schema')
    expect(json.properties.queue.properties.retryTimerMinutes).toMatchObject({
      title: 'Retry timer',
      unit: 'minutes',
      default: 30,
      maximum: 1440,
    })
  })
})

describe('contradictions between rows', () => {
  it('are refused, naming both rows', async () => {
    expect((await post('/v1/domains', { name: 'example.org', aliases: ['example.net'] })).status).toBe(201)
    expect((await post('/v1/accounts', { address: 'jane_doe@example.org', secret: 'long enough' })).status).toBe(201)
    expect((await post('/v1/aliases', { address: 'sales@example.org', to: ['jane_doe@example.org'] })).status).toBe(201)
    const cases: [
      Promise<{ status: number; json: { errors: { path: string; message: string }[] } }>,
      string,
      string,
    ][] = [
      [patch('/v1/settings/advanced', { mailboxDelimiter: '_' }), 'mailboxDelimiter', 'jane_doe@example.org'],
      [post('/v1/accounts', { address: 'a+b@example.org', secret: 'long enough' }), 'address', 'delimiter'],
      [
        post('/v1/groups', { address: 'sales@example.org', members: ['x@example.com'] }),
        'address',
        'the alias sales@example.org',
      ],
      [
        post('/v1/accounts', { address: 'other@example.org', login: 'JANE_DOE@example.org', secret: 'long enough' }),
        'login',
        'jane_doe',
      ],
      [
        post('/v1/aliases', { address: 'jane_doe@example.net', to: ['x@example.com'] }),
        'address',
        'the account jane_doe@example.org',
      ],
      [post('/v1/domains', { name: 'example.net' }), 'name', 'the domain example.org'],
      [
        post('/v1/domains', { name: 'asked.example', verifyRecipients: 'callout' }),
        'verifyRecipients',
        'has no host to ask',
      ],
      [patch('/v1/settings/tls', { implicitTlsPort: 587 }), 'implicitTlsPort', 'advanced.submissionPort'],
      [patch('/v1/settings/advanced', { extraPorts: [465] }), 'extraPorts.0', 'tls.implicitTlsPort'],
      [patch('/v1/settings/advanced', { submissionPort: 2626 }), 'submissionPort', 'twice'],
      [patch('/v1/settings/advanced', { mailboxDelimiter: '%', hostDelimiters: '$%' }), 'hostDelimiters', 'both'],
      [patch('/v1/settings/advanced', { authMechanisms: ['PLAIN', 'PLAIN'] }), 'authMechanisms', 'twice'],
      [patch('/v1/settings/queue', { retryThreads: 30, deliveryThreads: 30 }), 'retryThreads', 'less than'],
    ]
    for (const [answer, path, text] of cases) {
      const { status, json } = await answer
      expect([path, status]).toEqual([path, 422])
      expect(json.errors[0]).toEqual({ path, message: expect.stringContaining(text) })
    }
    const domain = (await api.send('GET', '/v1/domains')).json.items[0]
    // A mailbox has one owner under all names of its domain, so a new domain alias can merge two mailboxes.
    expect((await post('/v1/aliases', { address: 'jane_doe@third.example', to: ['x@example.com'] })).status).toBe(201)
    const joined = await patch(`/v1/domains/${domain.id}`, { aliases: ['example.net', 'third.example'] })
    expect([joined.status, joined.json.errors]).toEqual([
      422,
      [
        {
          path: 'aliases',
          message: expect.stringContaining('the account jane_doe@example.org, the alias jane_doe@third.example'),
        },
      ],
    ])
    const elsewhere = await post('/v1/accounts', { address: 'kay@example.net', secret: 'long enough' })
    expect(elsewhere.status).toBe(201)
    const parted = await patch(`/v1/domains/${domain.id}`, { aliases: [] })
    expect([parted.status, parted.json.errors[0].path, parted.json.detail]).toEqual([
      422,
      'aliases',
      expect.stringContaining('the account kay@example.net'),
    ])
    const gone = await api.send('DELETE', `/v1/domains/${domain.id}`)
    expect([gone.status, gone.json.detail]).toEqual([422, expect.stringContaining('jane_doe@example.org')])
  })
})
