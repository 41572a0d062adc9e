import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, expect, it } from 'vitest'
import { startLoad } from '../bench/load.ts'
import { showLogsOnFailure } from '../peers/failure.ts'
import { type ApiProxy, type Meddling, startMiddle } from './api-proxy.ts'
import { type Postern, startPostern } from './postern.ts'
import { startBothByHand, type WorkerProcess } from './worker-process.ts'

let postern: Postern | undefined
let middle: ApiProxy | undefined
let workers: WorkerProcess[] = []
afterEach(async () => {
  await Promise.all(workers.map((worker) => worker.stop()))
  await middle?.stop()
  await postern?.stop()
  workers = []
})
showLogsOnFailure(() => [postern, ...workers.map(({ logs }) => ({ name: 'worker by hand', logs }))])

const measuredMs = 2_000

it('accepts mail at about the same speed while storage is slow or unavailable, and stores every event later, once', async () => {
  postern = await startPostern({ env: { POSTERN_WORKERS: 'none' } })
  middle = await startMiddle(postern.url)
  workers = Object.values(await startBothByHand(postern, middle.url))
  await postern.settle()
  await postern.api.post('/v1/domains', { name: 'a.test', route: { type: 'discard' } })
  const account = await postern.api.post('/v1/accounts', {
    address: 'all@a.test',
    login: 'all',
    secret: 'a long enough secret',
  })
  await postern.settle(account.revision)

  const { host, smtpPort } = postern
  let accepted = 0
  const rate = async (prefix: string) => {
    const to = { address: 'all@a.test' }
    const load = startLoad({ host, port: smtpPort, sessions: 10, bytes: 1_000, prefix, to, afterLoss: 'give up' })
    await sleep(measuredMs)
    await load.stop()
    expect([...load.refused, load.dropped]).toEqual([0])
    accepted += load.accepted.size
    return Math.round((load.accepted.size * 1_000) / measuredMs)
  }
  const under = async (how: Meddling) => {
    middle?.meddle('/v1/worker/events', how)
    const measured = await rate(`${how}-`.replaceAll(' ', '-'))
    middle?.clear()
    return measured
  }
  await rate('warm-')
  const rates = {
    undisturbed: await rate('free-'),
    slow: await under(2_000),
    away: await under('hang'),
    forgetful: await under('lose the answer'),
  }
  console.log(`accepted per second, by state of storage: ${JSON.stringify(rates)}`)
  // Only printed, because other tests run at the same time. Mail that waited for storage would stop.
  for (const disturbed of [rates.slow, rates.away, rates.forgetful])
    expect(disturbed).toBeGreaterThan(rates.undisturbed / 10)

  const { total } = await postern.quiet({ withinMs: 60_000 })
  expect(total).toMatchObject({ received: accepted, discarded: accepted, balance: 0 })
  const text = (await postern.api.call('GET', '/v1/events/export?type=message.accepted')).text
  const ids = text
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { messageId: string }).messageId)
  expect({ events: ids.length, ids: new Set(ids).size }).toEqual({ events: accepted, ids: accepted })
})
