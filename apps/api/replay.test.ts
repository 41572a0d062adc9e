import { zstdCompressSync } from 'node:zlib'
import type { SessionRecord } from '@postern/contract/session-facts.ts'
import { factsIn, storeFacts } from '@postern/store/records/facts.ts'
import { beforeAll, describe, expect, it } from 'vitest'
import { applyRetention } from './housekeeping.ts'
import { TokenKeys } from './identity/keys.ts'
import { type Fixture, startFixture } from './test/fixture.ts'

let api: Fixture
const hour = 3_600_000
const start = Date.now() - 3 * hour

beforeAll(async () => {
  api = await startFixture()
  await api.send('POST', '/v1/domains', { body: { name: 'example.org' } })
  await api.send('POST', '/v1/accounts', { body: { address: 'jane@example.org', secret: 'a long password' } })
  await give(
    Array.from(
      { length: 100 },
      (_, i): SessionRecord => ({
        now: start + i * 1000,
        ip: `198.51.100.${i}`,
        helo: 'mx.remote.example',
        mailFrom: `eve@${i % 10 === 0 ? 'bad' : 'good'}.example`,
        rcptTo: ['jane@example.org', ...(i % 4 === 0 ? ['x@far.example'] : [])],
        size: 1000 + i,
      }),
    ),
  )
})

let made = 0
function batch(sessions: SessionRecord[], dropped = 0) {
  return {
    id: `019a0000-0000-7000-8000-${String(++made).padStart(12, '0')}`,
    since: Math.min(...sessions.map(({ now = 0 }) => now)),
    until: Math.max(...sessions.map(({ now = 0 }) => now)),
    sessions: sessions.length,
    dropped,
    records: zstdCompressSync(sessions.map((session) => `${JSON.stringify(session)}\n`).join('')),
  }
}

async function give(sessions: SessionRecord[], dropped = 0) {
  const { records: body, ...query } = batch(sessions, dropped)
  const token = await api.tokens.smtp()
  for (let twice = 0; twice < 2; twice++)
    expect((await api.send('POST', '/v1/worker/facts', { token, query, body })).status).toBe(204)
}

const replay = (draft: object, more: object = {}) => api.send('POST', '/v1/replay', { body: { draft, ...more } })

describe('POST /v1/replay', () => {
  it('counts what would change, by rule and reply, with examples', async () => {
    const { status, json } = await replay({ lists: { kill: { add: ['@bad.example'] } } }, { examples: 3 })
    expect(status).toBe(200)
    expect(json).toMatchObject({
      state: 'done',
      sessions: 100,
      verdicts: 100 * 5 + 25,
      changedSessions: 10,
      changedVerdicts: 10,
      progress: { sessions: 100, of: 100 },
      notAnswerable: [],
      dropped: 0,
    })
    expect(json.changes).toMatchObject([
      {
        stage: 'mail',
        before: { rule: 'accept', reply: 'proceed' },
        after: { rule: 'kill-file', reply: '501 5.7.1 unacceptable mail address' },
        count: 10,
      },
    ])
    expect(json.changes[0].examples).toHaveLength(3)
    expect(json.changes[0].examples[0]).toMatchObject({
      ip: '198.51.100.0',
      sender: 'eve@bad.example',
      after: 'The sender eve@bad.example matches the Kill File entry @bad.example.',
    })
    expect(json.timeline.reduce((sum: number, { changed }: { changed: number }) => sum + changed, 0)).toBe(10)
  })

  it('names the recipient, and shows what is refused now and would be accepted', async () => {
    const { json } = await replay({ settings: { general: { relayMode: 'anyone' } } })
    expect(json).toMatchObject({ changedVerdicts: 25, changedSessions: 25 })
    expect(json.changes[0]).toMatchObject({ stage: 'rcpt', before: { rule: 'relay' }, after: { rule: 'accept' } })
    expect(json.changes[0].examples[0].recipient).toBe('x@far.example')
  })

  it('detects mail that would go elsewhere', async () => {
    const alias = { address: 'all@example.org', to: ['jane@example.org'] }
    await give([{ now: start, ip: '192.0.2.1', helo: 'x', mailFrom: '', rcptTo: ['all@example.org'] }])
    const { json } = await replay({ aliases: { add: [alias] } })
    expect(json.changes).toMatchObject([{ before: { rule: 'unknown-recipient' }, after: { rule: 'accept' }, count: 1 }])
  })

  it('covers only the requested period, and says which changes it cannot test', async () => {
    const at = (ms: number) => new Date(ms).toISOString()
    const span = { since: at(start + 10_000), until: at(start + 20_000) }
    const { json } = await replay({ settings: { queue: { retryTimerMinutes: 5 } } }, span)
    expect(json).toMatchObject({ sessions: 10, changedSessions: 0, withoutVerdict: ['queue.retryTimerMinutes'] })
  })

  it('continues in the background, and can be polled', async () => {
    const { json } = await replay({}, { waitSeconds: 0 })
    expect(json).toMatchObject({ state: 'running' })
    for (let tries = 0; tries < 200; tries++) {
      const now = (await api.send('GET', `/v1/replay/${json.id}`)).json
      if (now.state === 'done') return expect(now).toMatchObject({ changedSessions: 0 })
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    throw new Error('the replay did not end')
  })

  it('counts sessions that a worker or storage dropped', async () => {
    const now = start + 2 * hour
    await give([{ now, ip: '192.0.2.1' }], 17)
    const span = { since: new Date(now).toISOString(), until: new Date(now + 1).toISOString() }
    expect((await replay({}, span)).json).toMatchObject({ sessions: 1, dropped: 17 })
  })

  it('refuses a draft that cannot be saved, and a period that ends before it starts', async () => {
    expect((await replay({ settings: { queue: { retryThreads: 40 } } })).json.errors[0].path).toBe(
      'draft.settings.queue.retryThreads',
    )
    const span = { since: '2026-01-02T00:00:00Z', until: '2026-01-01T00:00:00Z' }
    expect((await replay({}, span)).json.errors[0].path).toBe('since')
    expect((await replay({}, { nonsense: 1 })).status).toBe(422)
    expect((await api.send('POST', '/v1/replay', { body: {} })).status).toBe(422)
  })
})

describe('recorded facts', () => {
  it('[logging.retentionDays] are removed when older than this, and the oldest when the storage is full', async () => {
    const other = await startFixture()
    const { records } = other.parts
    const count = async () => (await factsIn(records, { since: 0, until: start + hour })).length
    for (let i = 0; i < 3; i++)
      await storeFacts(records, 'smtp-1', batch([{ now: start + i, ip: '192.0.2.1' }]), 100_000)
    expect(await count()).toBe(3)
    await storeFacts(records, 'smtp-1', batch([{ now: start + 9, ip: '192.0.2.1' }]), 100)
    expect(await count()).toBeLessThan(3)
    const { json } = await other.send('POST', '/v1/replay', { body: { draft: {} } })
    expect(json.sessions + json.dropped).toBe(4)
    expect(json.dropped).toBeGreaterThan(1)
    other.clock.ahead = 31 * 24 * hour
    await applyRetention(other.parts, new TokenKeys(other.parts))
    expect(await count()).toBe(0)
  })
})
