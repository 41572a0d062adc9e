import type { Offence } from '@postern/contract/offences.ts'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { sweep } from './housekeeping.ts'
import { type Fixture, startFixture } from './test/fixture.ts'

let api: Fixture
beforeAll(async () => {
  api = await startFixture({
    fixed: { 'advanced.proxyProtocol': 'POSTERN_PROXY_PROTOCOL=198.51.100.0/28, 203.0.113.9' },
  })
})
afterAll(() => api?.settled())
beforeEach(() => {
  api.clock.ahead += 25 * 3_600_000
})

let serial = 0
const offence = (address: string, change: Partial<Offence> = {}): Offence => ({
  id: `test-${serial++}`,
  kind: 'failed-login',
  address,
  count: 5,
  at: new Date(api.parts.now()).toISOString(),
  evidence: ['smtp-1: failed login as "ann" by PLAIN'],
  ...change,
})
async function report(...offences: Offence[]) {
  const token = await workerToken()
  const answer = await api.send('POST', '/v1/worker/offences', { token, body: { offences } })
  if (answer.status !== 200) throw new Error(answer.text)
  return answer.json as { revision: number; blocked: { address: string; kind: string }[] }
}
/** Gets a new token: the clock is advanced by days, and a worker's token lasts an hour. */
async function workerToken(): Promise<string> {
  await api.tokens.smtp()
  const body = { token: 'enrol-token-of-smtp', service: 'smtp', name: 'smtp-1', version: '0.1.0' }
  return (await api.send('POST', '/v1/worker/enrol', { token: '', body })).json.accessToken
}
const signIn = () => api.signIn({ email: 'owner@example.org', password: 'correct horse' })
async function entries(q: string): Promise<{ id: string; value: string; createdBy: string; expiresAt: string }[]> {
  const token = await signIn()
  return (await api.send('GET', `/v1/lists/control-access?q=${q}`, { token })).json.items
}
const names = ({ blocked }: { blocked: { address: string }[] }) => blocked.map(({ address }) => address)

describe('a batch', () => {
  it('with many blocks is one revision', async () => {
    const many = Array.from({ length: 500 }, (_, i) => offence(`10.1.${i >> 8}.${i & 255}`))
    const before = (await report(offence('10.9.9.9', { count: 1 }))).revision
    const answer = await report(...many)
    expect(answer.blocked).toHaveLength(500)
    expect(answer.revision).toBe(before + 1)
    const { json } = await api.send('GET', `/v1/revisions/${answer.revision}`, { token: await signIn() })
    expect(json).toMatchObject({ actor: 'system:offences' })
  })

  it('that is repeated is counted once', async () => {
    const one = offence('10.2.0.1', { count: 3 })
    expect(names(await report(one))).toEqual([])
    expect(names(await report(one))).toEqual([])
    expect(names(await report(offence('10.2.0.1', { count: 2 })))).toEqual(['10.2.0.1'])
    expect(names(await report(one))).toEqual([])
  })

  // [harvesting.withinMinutes]
  it('adds to earlier offences within the window, and to no older ones', async () => {
    await report(offence('10.2.1.1', { count: 4 }))
    api.clock.ahead += 10 * 60_000
    expect(names(await report(offence('10.2.1.1', { count: 4 })))).toEqual([])
    api.clock.ahead += 9 * 60_000
    expect(names(await report(offence('10.2.1.1', { count: 1 })))).toEqual(['10.2.1.1'])
  })

  it('with a time in the future or long ago does not last forever', async () => {
    const at = '2099-01-01T00:00:00.000Z'
    await report(offence('10.2.2.1', { count: 4, at }), offence('10.2.2.2', { at: '1999-01-01T00:00:00.000Z' }))
    api.clock.ahead += 11 * 60_000
    expect(names(await report(offence('10.2.2.1', { count: 1 })))).toEqual([])
  })

  it.each<[string, object]>([
    ['no address', { address: 'x' }],
    ['an address that is not canonical', { address: '2001:DB8::1' }],
    ['no such kind', { kind: 'looked-at-me' }],
    ['no count', { count: 0 }],
    ['an endless sentence', { evidence: ['x'.repeat(301)] }],
    ['unknown keys', { password: 'x' }],
  ])('%s: 422, nothing counted', async (_name, change) => {
    const body = { offences: [{ ...offence('10.2.3.1'), ...change }] }
    expect((await api.send('POST', '/v1/worker/offences', { token: await workerToken(), body })).status).toBe(422)
  })

  it('is for workers only', async () => {
    const body = { offences: [offence('10.2.4.1')] }
    expect((await api.send('POST', '/v1/worker/offences', { token: await signIn(), body })).status).toBe(403)
    expect((await api.send('POST', '/v1/worker/offences', { token: '', body })).status).toBe(401)
  })
})

describe('an entry', () => {
  it('is not duplicated; after it expires the sweeper removes it, and a new one may follow', async () => {
    await report(offence('10.3.0.1'))
    expect(names(await report(offence('10.3.0.1')))).toEqual([])
    expect((await entries('10.3.0.1')).filter(({ value }) => value === '10.3.0.1')).toHaveLength(1)
    api.clock.ahead += 31 * 60_000
    // It has not been removed yet, so it is replaced.
    expect(names(await report(offence('10.3.0.1')))).toEqual(['10.3.0.1'])
    const again = (await entries('10.3.0.1')).filter(({ value }) => value === '10.3.0.1')
    expect(again).toHaveLength(1)
    expect(Date.parse(again[0]?.expiresAt ?? '')).toBeGreaterThan(api.parts.now())
    api.clock.ahead += 31 * 60_000
    await sweep(api.parts)
    expect(await entries('10.3.0.1')).toEqual([])
  })

  it('removed by an administrator returns only after new offences', async () => {
    await report(offence('10.3.1.1'))
    const entry = (await entries('10.3.1.1')).find(({ value }) => value === '10.3.1.1')
    await api.send('DELETE', `/v1/lists/control-access/${entry?.id}`, { token: await signIn() })
    expect(names(await report(offence('10.3.1.1', { count: 4 })))).toEqual([])
    expect(names(await report(offence('10.3.1.1', { count: 1 })))).toEqual(['10.3.1.1'])
  })
})

describe('never blocked', () => {
  it('white-listed addresses, blocks and ranges', async () => {
    for (const value of ['10.4.0.1', '10.4.1.0/24', '10.4.2.1-10.4.2.9', '2001:db8::/32'])
      await api.send('POST', '/v1/lists/white', { token: await signIn(), body: { value } })
    const exempt = ['10.4.0.1', '10.4.1.77', '10.4.2.5', '2001:db8::7']
    const others = ['10.4.0.2', '10.4.2.10', '2001:db9::7']
    expect(names(await report(...[...exempt, ...others].map((address) => offence(address))))).toEqual(others)
  })

  it('balancers trusted by the environment or the setting', async () => {
    const body = { proxyProtocol: ['192.0.2.0/30'] }
    await api.send('PATCH', '/v1/settings/advanced', { token: await signIn(), body })
    const all = ['198.51.100.3', '203.0.113.9', '192.0.2.1', '192.0.2.7'].map((address) => offence(address))
    expect(names(await report(...all))).toEqual(['192.0.2.7'])
  })

  it('the address of a console session, until it has ended or was not used for a day', async () => {
    const token = await signIn()
    expect(names(await report(offence('127.0.0.1')))).toEqual([])
    await api.send('DELETE', '/v1/me/session', { token })
    expect(names(await report(offence('127.0.0.1')))).toEqual(['127.0.0.1'])
    await signIn()
    api.clock.ahead += 25 * 3_600_000
    await sweep(api.parts)
    expect(names(await report(offence('127.0.0.1')))).toEqual(['127.0.0.1'])
  })
})

it('offences too old for every window are removed', async () => {
  await report(offence('10.5.0.1', { count: 1 }))
  const count = async () =>
    Number((await api.parts.control.$client.execute('select count(*) as n from offences')).rows[0]?.n)
  expect(await count()).toBeGreaterThan(0)
  api.clock.ahead += 25 * 3_600_000
  await sweep(api.parts)
  expect(await count()).toBe(0)
})
