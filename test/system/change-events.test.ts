import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from '@postern/smtp/test/wire-client.ts'
import { afterEach, expect, it } from 'vitest'
import { showLogsOnFailure } from '../peers/failure.ts'
import { freePort, until } from '../peers/peer.ts'
import { type Postern, startPostern } from './postern.ts'
import { type FakeSqs, sqsEnvironment, startFakeSqs } from './sqs.ts'

/** A change is enforced whatever happens to its notifications: only the revision number counts, and every worker also polls. */

const posterns: Postern[] = []
const queues: FakeSqs[] = []
afterEach(async () => {
  await Promise.all(posterns.splice(0).map((postern) => postern.stop()))
  await Promise.all(queues.splice(0).map((queue) => queue.stop()))
})
showLogsOnFailure(() => posterns)

async function start(env: Record<string, string>): Promise<Postern> {
  const postern = await startPostern({ env })
  posterns.push(postern)
  return postern
}

async function fake(options: Parameters<typeof startFakeSqs>[0]): Promise<FakeSqs> {
  const queue = await startFakeSqs(options)
  queues.push(queue)
  return queue
}

/** Returns the size limit that a new session gets. */
async function announcedSize({ smtpPort }: Postern): Promise<number> {
  const client = await connect({ port: smtpPort, from: '127.0.0.7' })
  const size = Number((await client.hello()).get('SIZE'))
  client.destroy()
  return size
}

it('enforces a change within 16 s when SQS is down or hangs, and the API answers as fast as usual', async () => {
  const dead = sqsEnvironment(`http://127.0.0.1:${await freePort()}`)
  const hanging = (await fake({ hangs: true })).env
  await Promise.all(
    [dead, hanging].map(async (env) => {
      const postern = await start(env)
      await postern.settle()
      await postern.api.get('/v1/me')
      for (const maxMessageBytes of [5000, 6000]) {
        const startedAt = performance.now()
        await postern.api.patch('/v1/settings/general', { maxMessageBytes })
        expect(performance.now() - startedAt).toBeLessThan(4_000)
        const enforced = async () => (await announcedSize(postern)) === maxMessageBytes
        await until(`SIZE is ${maxMessageBytes}`, enforced, { withinMs: 16_000, everyMs: 100 })
      }
    }),
  )
})

it('ends on the newest policy and never goes back when notifications are lost, duplicated or late', async () => {
  let turn = 0
  const fates = [[], [0, 0], [300], [0], [150, 900], [], [40, 41, 42]]
  const sqs = await fake({ fate: () => fates[turn++ % fates.length] as number[] })
  const postern = await start(sqs.env)
  await postern.settle()
  const first = 10_000
  await postern.settle((await postern.api.patch('/v1/settings/general', { maxMessageBytes: first })).revision)
  const seen: number[] = []
  let watching = true
  const watch = (async () => {
    while (watching) {
      seen.push(await announcedSize(postern))
      await sleep(10)
    }
  })()
  let last = 0
  for (let i = 1; i <= 40; i++) {
    last = (await postern.api.patch('/v1/settings/general', { maxMessageBytes: first + i })).revision
    await sleep((i * 7) % 50)
  }
  await postern.settle(last)
  // The latest event of all comes 900 ms late; here the last of them has been asked for, and a session after it was told.
  const { length } = seen
  await until('the queue is empty, and it was looked at again', () => sqs.waiting === 0 && seen.length > length + 5)
  watching = false
  await watch
  expect(seen).toEqual(seen.toSorted((a, b) => a - b))
  expect(new Set(seen).size).toBeGreaterThan(5)
  expect(await announcedSize(postern)).toBe(first + 40)
  expect(sqs.sent).toBeGreaterThan(40)
  expect(sqs.received).toBeGreaterThan(10)
})
