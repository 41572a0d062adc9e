import { beforeAll, describe, expect, it } from 'vitest'
import { type Fixture, owner, startFixture } from './test/fixture.ts'
import { workerReport } from './test/worker-report.ts'

let api: Fixture
beforeAll(async () => {
  api = await startFixture()
})

describe('sessions', () => {
  it('signs in, refreshes once, and ends a session whose refresh token is reused', async () => {
    const first = await api.send('POST', '/v1/auth/token', { token: '', body: owner })
    expect(first.json).toEqual({ accessToken: expect.any(String), refreshToken: expect.any(String), expiresIn: 900 })
    const second = await api.send('POST', '/v1/auth/refresh', {
      token: '',
      body: { refreshToken: first.json.refreshToken },
    })
    expect(second.status).toBe(200)
    expect((await api.send('GET', '/v1/me', { token: second.json.accessToken })).json.role).toBe('owner')
    const again = await api.send('POST', '/v1/auth/refresh', {
      token: '',
      body: { refreshToken: first.json.refreshToken },
    })
    expect(again.status).toBe(401)
    const third = await api.send('POST', '/v1/auth/refresh', {
      token: '',
      body: { refreshToken: second.json.refreshToken },
    })
    expect(third.status).toBe(401)
    expect((await api.send('GET', '/v1/me', { token: second.json.accessToken })).status).toBe(401)
  })

  it('gives the same answer for an unknown name and a wrong password', async () => {
    const unknown = await api.send('POST', '/v1/auth/token', {
      token: '',
      body: { email: 'no@example.org', password: 'x' },
    })
    const wrong = await api.send('POST', '/v1/auth/token', { token: '', body: { ...owner, password: 'x' } })
    expect(unknown.status).toBe(401)
    expect(unknown.text).toBe(wrong.text)
  })
})

describe('settings', () => {
  it('reads and changes settings, and returns the new revision in body and ETag', async () => {
    const before = await api.send('GET', '/v1/settings')
    const result = await api.send('PATCH', '/v1/settings/general', { body: { maxMessageBytes: 1000 } })
    expect(result.status).toBe(200)
    expect(result.json.revision).toBe(before.json.revision + 1)
    expect(result.headers.get('etag')).toBe(`"${result.json.revision}"`)
    expect(result.json.diff[0].after.maxMessageBytes).toBe(1000)
    expect((await api.send('GET', '/v1/settings/general')).json.settings.maxMessageBytes).toBe(1000)
  })

  it('refuses a value out of range, naming key, value and range, and saves nothing', async () => {
    const before = (await api.send('GET', '/v1/settings')).json
    const result = await api.send('PATCH', '/v1/settings/queue', { body: { retryTimerMinutes: 0 } })
    expect(result.status).toBe(422)
    expect(result.headers.get('content-type')).toBe('application/problem+json')
    expect(result.json.errors).toEqual([
      { path: 'retryTimerMinutes', message: expect.stringMatching(/retryTimerMinutes is 0 but must be .*1.*1440/) },
    ])
    expect((await api.send('GET', '/v1/settings')).json).toEqual(before)
  })
})

describe('workers', () => {
  it('enrol, fetch the snapshot and follow the changes', async () => {
    const token = await api.tokens.smtp()
    const snapshot = (await api.send('GET', '/v1/worker/snapshot', { token })).text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(snapshot.at(-1)).toEqual({ end: true })
    const { revision } = snapshot[0]
    expect(snapshot.filter(({ kind }) => kind === 'settings')).toHaveLength(8)
    await api.send('PATCH', '/v1/settings/general', { body: { hostname: 'mx.example.org' } })
    const changes = (await api.send('GET', `/v1/worker/changes?after=${revision}`, { token })).text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(changes[0]).toEqual({ revision: revision + 1, id: expect.stringMatching(/^[0-9a-f]{64}$/) })
    const asked = `/v1/worker/changes?after=${revision}&id=`
    expect((await api.send('GET', asked + snapshot[0].id, { token })).status).toBe(200)
    // The same number in a restored database is another revision.
    expect((await api.send('GET', asked + changes[0].id, { token })).status).toBe(410)
    expect(changes[1]).toMatchObject({
      kind: 'settings',
      id: 'general',
      revision: revision + 1,
      value: { hostname: 'mx.example.org' },
    })
    expect(changes.at(-1)).toEqual({ end: true })
    expect((await api.send('GET', `/v1/worker/changes?after=9999`, { token })).status).toBe(410)
  })

  it('report, and deliver each event once', async () => {
    const token = await api.tokens.queue()
    const body = workerReport('queue')
    expect((await api.send('POST', '/v1/worker/report', { token, body })).json.revision).toBeGreaterThan(0)
    const at = new Date().toISOString()
    const started = { n: 1, at, type: 'worker.started', service: 'queue', version: '0.1.0', pid: 1 }
    const batch = { log: 'aaaaaaaaaaaa', after: 0, first: 1, last: 1, text: `${JSON.stringify(started)}\n` }
    for (let i = 0; i < 2; i++) expect((await api.sendBatch(token, batch)).json).toEqual({ acknowledged: 1 })
  })
})
