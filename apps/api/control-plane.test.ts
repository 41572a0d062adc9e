import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ListInput } from '@postern/contract/lists.ts'
import { beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { sweep } from './housekeeping.ts'
import { type Fixture, startFixture } from './test/fixture.ts'

let api: Fixture
beforeAll(async () => {
  api = await startFixture({ fixed: { 'advanced.port': 'POSTERN_SMTP_PORT=2525' } })
})

const head = async () => (await api.send('GET', '/v1/settings')).json.revision as number
const post = (path: string, body?: unknown, headers?: Record<string, string>) =>
  api.send('POST', path, { ...(body === undefined ? {} : { body }), ...(headers ? { headers } : {}) })
const patch = (path: string, body: unknown, headers?: Record<string, string>) =>
  api.send('PATCH', path, { body, ...(headers ? { headers } : {}) })

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

  it('does a write with an Idempotency-Key once', async () => {
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

  it('does it once, and answers all alike, when the same request comes several times at once', async () => {
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

  it('keeps the comment, by query or by header', async () => {
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
  it('warns of what is fixed by the environment or dangerous', async () => {
    const fixed = await patch('/v1/settings/advanced', { port: 2626 })
    expect(fixed.json.warnings).toEqual([expect.stringContaining('POSTERN_SMTP_PORT=2525')])
    const open = await patch('/v1/settings/general', { relayMode: 'anyone' })
    expect(open.json.warnings[0]).toContain('open relay')
    await patch('/v1/settings/general', { relayMode: 'addresses' })
    expect((await api.send('GET', '/v1/settings/advanced')).json.fixed).toEqual({
      'advanced.port': 'POSTERN_SMTP_PORT=2525',
    })
  })

  it('tells the Queue Manager which accounts there are, and of their passwords not even the hash', async () => {
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

  it('keeps secrets to itself, sealed on disk, through changes that leave them out', async () => {
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
  it('are refused with the names of both', async () => {
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
    // One mailbox has one owner under all names of its domain: an alias of the domain joins what stood apart.
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

  it('reads a certificate, and refuses a key that is not its own', async () => {
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
    expect([wrong.status, wrong.json.detail]).toEqual([422, expect.stringContaining('does not belong')])
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
  it('imports all lines or none, and names the bad ones', async () => {
    const bad = await api.send('POST', '/v1/lists/kill/import', {
      body: '@a.example\nnot a sender\n*@x\n',
      headers: { 'content-type': 'text/plain' },
    })
    expect(bad.status).toBe(422)
    expect(bad.json.errors.map(({ path }: { path: string }) => path)).toEqual(['line 2', 'line 3'])
    expect((await api.send('GET', '/v1/lists/kill?q=a.example')).json.items).toEqual([])
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

  it('takes a new entry, alone or in an import, where the old one of its value has had its time', async () => {
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

  it('sweeps entries whose time is over, as a revision of the system', async () => {
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

describe('history', () => {
  it('shows what a revision changed and rolls back to it', async () => {
    await patch('/v1/settings/queue', { retryTimerMinutes: 11 })
    const then = await head()
    await patch('/v1/settings/queue', { retryTimerMinutes: 12 })
    const added = await post('/v1/lists/accept', { value: 'later.example' })
    await post('/v1/services/smtp/stop')
    const detail = (await api.send('GET', `/v1/revisions/${then + 1}`)).json
    expect(detail.diff[0]).toMatchObject({
      label: 'queue',
      before: { retryTimerMinutes: 11 },
      after: { retryTimerMinutes: 12 },
    })
    expect((await api.send('GET', `/v1/revisions/${then}?against=${added.json.revision}`)).json.diff).toHaveLength(2)
    const back = await post(`/v1/revisions/${then}/rollback`)
    expect(back.json).toMatchObject({ revision: added.json.revision + 2, rolledBackTo: then })
    expect((await api.send('GET', '/v1/settings/queue')).json.settings.retryTimerMinutes).toBe(11)
    expect((await api.send('GET', '/v1/lists/accept')).json.items).toEqual([])
    expect((await api.send('GET', '/v1/services/smtp')).json.desired).toBe('stopped')
    await post('/v1/services/smtp/start')
    const audit = (await api.send('GET', '/v1/audit?q=rollback')).json.items
    expect(audit[0]).toMatchObject({ action: 'rollback', actor: 'owner@example.org' })
    expect((await post('/v1/revisions/99999/rollback')).status).toBe(404)
  })
})

describe('a rollback of very many rows', () => {
  it('takes them away and brings them back', async () => {
    const then = await head()
    const kill = async () => (await api.send('GET', '/v1/lists/kill/export')).text
    const before = await kill()
    const lines = Array.from({ length: 2500 }, (_, i) => `@bulk${i}.example`).join('\n')
    const full = await api.send('POST', '/v1/lists/kill/import', { body: lines })
    const imported = await kill()
    const back = await post(`/v1/revisions/${then}/rollback`)
    expect(back.json).toMatchObject({ changes: 2500, diff: { length: 200 } })
    expect(back.json.diff[0]).toMatchObject({ kind: 'kill', before: { createdBy: 'owner@example.org' }, after: null })
    expect(await kill()).toBe(before)
    const token = await api.tokens.smtp()
    const changes = (await api.send('GET', `/v1/worker/changes?after=${full.json.revision}`, { token })).text.split(
      '\n',
    )
    expect(changes.filter((line) => line.includes('"value":null'))).toHaveLength(2500)
    await post(`/v1/revisions/${full.json.revision}/rollback`)
    expect(await kill()).toBe(imported)
    await post(`/v1/revisions/${then}/rollback`)
  })
})

describe('settings as code', () => {
  it('plans nothing for its own document, applies a changed one, and refuses an old plan', async () => {
    const yaml = await api.send('GET', '/v1/document?format=yaml')
    expect(yaml.text).not.toContain('very secret')
    const same = await post('/v1/plan', { document: yaml.text })
    expect(same.json).toMatchObject({ creates: [], updates: [], deletes: [] })
    const document = parse(yaml.text)
    document.settings.queue.retryTimerMinutes = 99
    document.lists.accept.push({ value: 'partner.example' })
    document.lists.kill = []
    const plan = (await post('/v1/plan', { document })).json
    expect([plan.creates.length, plan.updates.length, plan.deletes.length]).toEqual([1, 1, 3])
    const applied = await post('/v1/apply', { document, revision: plan.revision })
    expect(applied.json.revision).toBe(plan.revision + 1)
    expect((await post('/v1/apply', { document, revision: plan.revision })).status).toBe(412)
    expect((await api.send('GET', '/v1/worker/snapshot', { token: await api.tokens.queue() })).text).toContain(
      'very secret indeed',
    )
    const bad = await post('/v1/plan', { document: { postern: 2 } })
    expect([bad.status, bad.json.errors[0].path]).toEqual([422, 'document.postern'])
    expect((await post('/v1/plan', { document: 'a: [' })).status).toBe(422)
  })
})

describe('services and workers', () => {
  it('have a desired and an observed state, and are told of revisions', async () => {
    const token = await api.tokens.smtp()
    const report = {
      service: 'smtp',
      version: '0.1.0',
      pid: 4,
      startedAt: new Date().toISOString(),
      observed: 'running',
      revision: 1,
      generation: 0,
      sessions: 3,
      listeners: [],
      eventsUnsent: 0,
      queueUrl: 'http://127.0.0.1:1/q/postern-smtp-1',
      metrics: { messages_accepted_total: 5, made_up_total: 2 },
    }
    expect((await api.send('POST', '/v1/worker/report', { token, body: report })).status).toBe(200)
    // Lag counts from two seconds on, and the revisions before may be younger.
    api.clock.ahead = 2_500
    const { items } = (await api.send('GET', '/v1/services')).json
    api.clock.ahead = 0
    expect(items[0]).toMatchObject({
      name: 'smtp',
      desired: 'running',
      observed: 'running',
      workers: [{ id: 'smtp-1', live: true, sessions: 3 }],
    })
    expect(items[0].workers[0].lag).toBe((await head()) - 1)
    await api.send('POST', '/v1/worker/report', { token, body: { ...report, revision: await head() } })
    const restart = await post('/v1/services/smtp/restart')
    const lag = async () => (await api.send('GET', '/v1/workers')).json.items[0].lag
    expect(await lag()).toBe(0)
    api.clock.ahead = 2_500
    expect(await lag()).toBe(1)
    api.clock.ahead = 0
    await api.settled()
    expect(api.nudges.at(-1)).toEqual({ queueUrl: report.queueUrl, revision: restart.json.revision })
    const metrics = (await api.send('GET', '/metrics', { token: '' })).text
    expect(metrics).toContain('postern_messages_accepted_total{worker="smtp-1",service="smtp"} 5\n')
    expect(metrics).toContain('postern_made_up_total{worker="smtp-1",service="smtp"} 2\n')
    api.clock.ahead = 21_000
    const later = (
      await api.send('GET', '/v1/services/smtp', {
        token: await api.signIn({ email: 'owner@example.org', password: 'correct horse' }),
      })
    ).json
    api.clock.ahead = 0
    expect([later.observed, later.workers[0].live]).toEqual(['degraded', false])
    expect((await post('/v1/services/actions', { action: 'stop', services: ['smtp', 'queue'] })).json.changes).toBe(2)
    await post('/v1/services/actions', { action: 'start', services: ['smtp', 'queue'] })
  })

  it('says again what SQS did not take', async () => {
    const { nudge } = api.parts
    api.parts.nudge = { send: () => Promise.reject(new Error('SQS is away')) }
    const { json } = await patch('/v1/settings/queue', { retryTimerMinutes: 41 })
    await api.settled()
    api.parts.nudge = nudge
    api.nudges.length = 0
    await sweep(api.parts)
    expect(api.nudges).toEqual([{ queueUrl: expect.any(String), revision: json.revision }])
    await sweep(api.parts)
    expect(api.nudges).toHaveLength(1)
  })
})

describe('users and tokens', () => {
  it('gives a token once, hashed at rest, for its role, until it expires', async () => {
    const expiresAt = new Date(Date.now() + 60_000).toISOString()
    const made = await post('/v1/tokens', { name: 'ci', role: 'operator', expiresAt })
    const token = made.json.token as string
    expect(token).toMatch(/^pst_/)
    expect((await api.send('GET', '/v1/tokens')).text).not.toContain(token)
    expect((await api.send('GET', '/v1/me', { token })).json).toMatchObject({ type: 'token', role: 'operator' })
    expect((await api.send('PATCH', '/v1/settings/general', { token, body: {} })).status).toBe(403)
    api.clock.ahead = 61_000
    expect((await api.send('GET', '/v1/me', { token })).status).toBe(401)
    api.clock.ahead = 0
    await api.send('DELETE', `/v1/tokens/${made.json.id}`)
    expect((await api.send('GET', '/v1/me', { token })).status).toBe(401)
  })

  it('keeps the last owner, and a new password ends sessions', async () => {
    const made = await post('/v1/users', { email: 'Bob@example.org', role: 'admin', password: 'long enough' })
    const bob = await api.signIn({ email: 'bob@example.org', password: 'long enough' })
    expect((await api.send('GET', '/v1/me', { token: bob })).json.role).toBe('admin')
    await patch(`/v1/users/${made.json.id}`, { role: 'viewer' })
    expect((await api.send('GET', '/v1/me', { token: bob })).json.role).toBe('viewer')
    await patch(`/v1/users/${made.json.id}`, { password: 'another one' })
    expect((await api.send('GET', '/v1/me', { token: bob })).status).toBe(401)
    const { items } = (await api.send('GET', '/v1/users?q=owner')).json
    expect((await patch(`/v1/users/${items[0].id}`, { role: 'viewer' })).status).toBe(422)
    expect((await api.send('DELETE', `/v1/users/${items[0].id}`)).status).toBe(422)
  })

  it('limits failed logins', async () => {
    let status = 0
    for (let i = 0; i < 11; i++)
      status = (
        await api.send('POST', '/v1/auth/token', { token: '', body: { email: 'bob@example.org', password: 'no' } })
      ).status
    expect(status).toBe(429)
  })

  it('rotates the signing key without ending sessions', async () => {
    const token = await api.tokens.owner()
    const before = (await api.send('GET', '/.well-known/jwks.json', { token: '' })).json.keys
    await post('/v1/signing-keys/rotate')
    const after = (await api.send('GET', '/.well-known/jwks.json', { token: '' })).json.keys
    expect(after).toHaveLength(before.length + 1)
    expect(JSON.stringify(after)).not.toContain('"d"')
    expect((await api.send('GET', '/v1/me', { token })).status).toBe(200)
  })
})

describe('the document of the API', () => {
  it('describes every path', async () => {
    const { json } = await api.send('GET', '/openapi.json', { token: '' })
    expect(json.openapi).toBe('3.1.0')
    expect(json.paths['/v1/settings/{group}'].patch.responses['412']).toBeDefined()
    expect(json.paths['/v1/domains'].post.requestBody.content['application/json'].schema).toBeDefined()
    expect((await api.send('GET', '/docs', { token: '' })).text).not.toMatch(/https?:\/\//)
  })
})
