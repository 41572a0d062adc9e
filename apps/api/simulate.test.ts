import { beforeAll, describe, expect, it } from 'vitest'
import { type Fixture, startFixture } from './test/fixture.ts'

let api: Fixture
beforeAll(async () => {
  api = await startFixture()
  await api.send('POST', '/v1/domains', { body: { name: 'example.org', route: { type: 'maildir' } } })
  const jane = { address: 'jane@example.org', secret: 'a long password' }
  await api.send('POST', '/v1/accounts', { body: jane })
})

const session = {
  ip: '198.51.100.7',
  helo: 'mx.remote.example',
  mailFrom: 'eve@remote.example',
  rcptTo: ['jane@example.org'],
}
const simulate = (change: object = {}, draft?: object) =>
  api.send('POST', '/v1/simulate', { body: { session: { ...session, ...change }, ...(draft && { draft }) } })
const brief = ({ stages }: { stages: { stage: string; rule: string; reply: string }[] }) =>
  stages.map(({ stage, rule, reply }) => `${stage} ${rule} ${reply.slice(0, 9).trim()}`)

describe('POST /v1/simulate', () => {
  it('answers for each stage with rule, trail, reply and revision', async () => {
    const { status, json } = await simulate()
    expect(status).toBe(200)
    const head = (await api.send('GET', '/v1/settings')).json.revision
    expect(json).toMatchObject({ revision: head, draft: false, outcome: 'accepted' })
    expect(brief(json)).toEqual([
      'connect accept 220 local',
      'hello accept 250 local',
      'mail accept 250 2.1.0',
      'rcpt accept 250 2.1.5',
      'data accept 250 2.0.0',
    ])
    expect(json.stages[3]).toMatchObject({
      about: 'jane@example.org',
      revision: head,
      recipients: [{ address: 'jane@example.org' }],
      trail: expect.arrayContaining([{ rule: 'relay', said: 'passed' }]),
    })
  })

  it('evaluates each recipient, and shows what was refused and why', async () => {
    const { json } = await simulate({ rcptTo: ['nobody@example.org', 'x@far.example', 'jane@example.org'] })
    expect(json.stages.filter(({ stage }: { stage: string }) => stage === 'rcpt')).toMatchObject([
      { rule: 'unknown-recipient', reply: '550 5.1.1 User unknown: nobody@example.org', outcome: 'refuse' },
      { rule: 'relay', reply: '550 5.7.1 Relaying denied for x@far.example' },
      { rule: 'accept' },
    ])
    expect(json.outcome).toBe('accepted')
  })

  it('logs in only with valid credentials', async () => {
    const login = { login: 'jane@example.org', tls: true, rcptTo: ['x@far.example'] }
    expect((await simulate(login)).json).toMatchObject({ outcome: 'accepted' })
    const wrong = (await simulate({ ...login, loginResult: 'invalid' })).json
    expect(brief(wrong)).toContain('auth auth-credentials 535 5.7.8')
    expect(wrong.outcome).toBe('refused')
  })

  it('answers for a draft without saving it', async () => {
    const before = (await api.send('GET', '/v1/settings')).json.revision
    const { json } = await simulate(
      {},
      { settings: { general: { hostname: 'mx.new.example' } }, lists: { kill: { add: ['@remote.example'] } } },
    )
    expect(json).toMatchObject({ draft: true, outcome: 'refused' })
    expect(json.stages[0]).toMatchObject({ reply: '220 mx.new.example ESMTP Postern', revision: 'draft' })
    expect(json.stages.at(-1)).toMatchObject({ rule: 'kill-file', reply: '501 5.7.1 unacceptable mail address' })
    expect((await api.send('GET', '/v1/settings')).json.revision).toBe(before)
    expect((await simulate()).json.outcome).toBe('accepted')
  })

  it('accepts the lists and directory of a draft as a whole, or as additions and removals', async () => {
    const whole = (await simulate({}, { lists: { 'control-access': [{ value: '198.51.100.0/24', comment: 'x' }] } }))
      .json
    expect(whole.stages).toMatchObject([{ stage: 'connect', rule: 'control-access', close: true }])
    const gone = (await simulate({}, { domains: { add: [{ name: 'new.example' }] } })).json
    expect(gone.outcome).toBe('accepted')
    const refused = await simulate({}, { domains: { remove: ['example.org'] } })
    expect(refused.status).toBe(422)
    expect(refused.json.errors[0].path).toBe('draft.name')
    expect((await simulate({}, { lists: { relay: { remove: ['192.0.2.1'] } } })).json.errors[0]).toMatchObject({
      path: 'draft.lists.relay.remove.0',
    })
  })

  it('refuses a draft with the same errors as saving it', async () => {
    const saved = await api.send('PATCH', '/v1/settings/queue', { body: { retryThreads: 40 } })
    const drafted = await simulate({}, { settings: { queue: { retryThreads: 40 } } })
    expect([saved.status, drafted.status]).toEqual([422, 422])
    expect(drafted.json.errors).toEqual([
      { path: 'draft.settings.queue.retryThreads', message: saved.json.errors[0].message },
    ])
    for (const draft of [
      { settings: { queue: { nonsense: 1 } } },
      { settings: { general: { hostname: null } } },
      { settings: { nonsense: {} } },
      { lists: { kill: ['no entry'] } },
      { nonsense: true },
    ])
      expect((await simulate({}, draft)).status).toBe(422)
  })

  it.each([
    [{ ip: 'nonsense' }, 'session.ip'],
    [{ ip: undefined }, 'session.ip'],
    [{ nonsense: 1 }, 'session.nonsense'],
    [{ size: -1 }, 'session.size'],
    [{ rcptTo: 'x' }, 'session.rcptTo'],
    [{ lookups: { spf: { result: 'perhaps', domain: 'x' } } }, 'session.lookups.spf.result'],
  ])('refuses the session %j and names %s', async (change, path) => {
    const { status, json } = await simulate(change)
    expect(status).toBe(422)
    expect(json.errors[0].path).toBe(path)
  })

  it('includes every change at once, also one that was undone', async () => {
    const { json } = await api.send('POST', '/v1/lists/control-access', { body: { value: '198.51.100.7' } })
    expect((await simulate()).json.stages[0].rule).toBe('control-access')
    await api.send('DELETE', `/v1/lists/control-access/${json.id}`)
    expect((await simulate()).json.outcome).toBe('accepted')
  })

  it('finds an entry among 100 000 in the Kill File without loading them', { timeout: 60_000 }, async () => {
    const refused = async (mailFrom: string) =>
      (await simulate({ mailFrom })).json.stages.some(({ rule }: { rule: string }) => rule === 'kill-file')
    /** CPU time, because other work on the machine does not count. */
    const cost = async () => {
      const before = process.threadCpuUsage()
      for (let i = 0; i < 30; i++) await refused('a@remote3.example')
      return process.threadCpuUsage(before).user / 30
    }
    await cost()
    const costWithout = await cost()
    const lines = Array.from({ length: 100_000 }, (_, i) => `@k${i}.junk.example`).join('\n')
    const imported = await api.send('POST', '/v1/lists/kill/import', {
      body: `${lines}\n@*ote2.example\nann@remote3.example`,
      headers: { 'content-type': 'text/plain' },
    })
    expect(imported.status).toBe(200)
    for (const [mailFrom, hit] of [
      ['a@k99999.junk.example', true],
      ['a@remote2.example', true],
      ['ANN@remote3.example', true],
      ['a@remote3.example', false],
    ] as const)
      expect(await refused(mailFrom), mailFrom).toBe(hit)
    const costWith = await cost()
    console.log(
      `CPU time of a simulation: ${costWithout.toFixed(0)} µs without entries, ${costWith.toFixed(0)} µs with 100 000`,
    )
    expect(costWith).toBeLessThan(costWithout * 5 + 1000)
  })
})
