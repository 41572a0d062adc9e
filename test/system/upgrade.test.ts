import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, expect, it } from 'vitest'
import { showLogsOnFailure } from '../peers/failure.ts'
import { temporaryDirectory, until } from '../peers/peer.ts'
import { startWireSink } from '../wire/sink.ts'
import { type Postern, startPostern } from './postern.ts'

/** README, "Upgrade": with a data directory of release 0.1.0 after a stop. */

let postern: Postern | undefined
showLogsOnFailure(() => [postern])
afterAll(() => postern?.stop())

const former = join(import.meta.dirname, 'former/data-0.1.0.tar.gz')

it("starts on the previous release's data: settings, sign-in, mailboxes, and waiting mail", async () => {
  const dataDirectory = await temporaryDirectory('former')
  await promisify(execFile)('tar', ['-xzf', former, '-C', dataDirectory])
  postern = await startPostern({ dataDirectory })
  const { api } = postern
  await postern.settle()
  expect(await api.get('/v1/settings/general')).toMatchObject({ settings: { maxMessageBytes: 1_234_567 } })
  const kill = await api.get<{ items: { value: string; comment: string }[] }>('/v1/lists/kill')
  expect(kill.items).toMatchObject([{ value: '@spam.test', comment: 'from the former release' }])
  expect((await postern.mail('ann@home.test')).length).toBe(5)
  type Waiting = { items: { id: string; state: string }[] }
  const waiting = async () => (await api.get<Waiting>('/v1/queue')).items
  await expect.poll(async () => (await waiting()).map(({ state }) => state)).toEqual(Array(5).fill('held'))
  // The queue of that release had the subjects from its events. They are in the log now.
  const subjects = (await waiting()).map(async ({ id }) => {
    const { subject } = await api.get<{ subject?: string }>(`/v1/messages/${id}`)
    return subject
  })
  expect((await Promise.all(subjects)).sort()).toEqual([0, 1, 2, 3, 4].map((n) => `waiting-${n}`))

  const taken: string[] = []
  const sink = await startWireSink({ take: ({ content }) => taken.push(/waiting-\d/.exec(content)?.[0] ?? content) })
  try {
    const { items } = await api.get<{ items: { id: string; name: string }[] }>('/v1/domains')
    const far = items.find(({ name }) => name === 'far.test')
    const route = { type: 'smtp', host: '127.0.0.1', port: sink.port }
    const { revision } = await api.patch(`/v1/domains/${far?.id}`, { route })
    await postern.settle(revision)
    for (const { id } of await waiting()) await api.post(`/v1/messages/${id}/release`)
    await until('all that waited is delivered', () => taken.length >= 5)
    const { total } = await postern.quiet()
    expect(taken.sort()).toEqual([0, 1, 2, 3, 4].map((n) => `waiting-${n}`))
    expect(total).toMatchObject({ received: 10, delivered: 10, queued: 0, balance: 0 })
  } finally {
    await sink.stop()
  }
})
