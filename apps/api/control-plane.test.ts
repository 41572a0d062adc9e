import { beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { sweep } from './housekeeping.ts'
import { type Fixture, startFixture, writesOf } from './test/fixture.ts'
import { workerReport } from './test/worker-report.ts'

let api: Fixture
beforeAll(async () => {
  api = await startFixture({ fixed: { 'advanced.port': 'POSTERN_SMTP_PORT=2525' } })
})

const { head, post, patch } = writesOf(() => api)

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
  it('removes them and restores them', async () => {
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
  it('plans no changes for its own export, applies a changed document, and refuses an old plan', async () => {
    const gateway = { host: 'smart.example.org', user: 'u', secret: 'very secret indeed' }
    await patch('/v1/settings/general', { gateway })
    for (const value of ['@a.example', '@b.example', '@c.example']) await post('/v1/lists/kill', { value })
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
  it('have a desired and an observed state, and are notified of revisions', async () => {
    const token = await api.tokens.smtp()
    const report = {
      ...workerReport('smtp', { sessions: 3, queueUrl: 'http://127.0.0.1:1/q/postern-smtp-1' }),
      metrics: { messages_accepted_total: 5, made_up_total: 2 },
    }
    expect((await api.send('POST', '/v1/worker/report', { token, body: report })).status).toBe(200)
    // Lag counts only after two seconds, and the previous revisions may be newer than that.
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
    expect(api.notifications.at(-1)).toEqual({ queueUrl: report.queueUrl, revision: restart.json.revision })
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

  it('repeats notifications that SQS did not accept', async () => {
    const { notifyWorkers } = api.parts
    api.parts.notifyWorkers = { send: () => Promise.reject(new Error('SQS is away')) }
    const { json } = await patch('/v1/settings/queue', { retryTimerMinutes: 41 })
    await api.settled()
    api.parts.notifyWorkers = notifyWorkers
    api.notifications.length = 0
    await sweep(api.parts)
    expect(api.notifications).toEqual([{ queueUrl: expect.any(String), revision: json.revision }])
    await sweep(api.parts)
    expect(api.notifications).toHaveLength(1)
  })
})

describe('users and tokens', () => {
  it('shows a token once, stores its hash, and accepts it for its role until it expires', async () => {
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

  it('keeps the last owner, and ends sessions on a new password', async () => {
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
