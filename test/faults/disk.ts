import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Books } from '@postern/contract/views.ts'
import { type SmallDisk, smallDisk } from '@postern/runtime/test/disk.ts'
import { idOf, type Load, startLoad } from '../bench/load.ts'
import { temporaryDirectory, until } from '../peers/peer.ts'
import { ApiRefusal } from '../system/api.ts'
import { type Postern, startPostern } from '../system/postern.ts'

/**
 * Fills the disk of each directory while mail flows, then frees space. No message that got 250 may be lost or cut,
 * refusals must be temporary, the service must say why it is degraded, and everything must recover by itself.
 */

const MiB = 1 << 20

/** Below the data directory, and how large its disk is. The spool keeps 128 MiB free. */
export const places = {
  spool: 160 * MiB,
  queue: 8 * MiB,
  worker: 8 * MiB,
  db: 16 * MiB,
  log: 4 * MiB,
  mail: 4 * MiB,
  '': 200 * MiB,
} as const
export type Place = keyof typeof places

export type DiskRound = {
  place: Place
  accepted: number
  /** Messages that got 250 and never arrived. Must be empty. */
  lost: string[]
  /** Messages that arrived cut. Must be 0. */
  cut: number
  /** Replies other than 250 while the disk was full; each must be a deferral. */
  refused: Map<string, number>
  /** What the services reported about themselves in that time. */
  states: Set<string>
  /** The status of the response to a settings change while the disk was full. */
  savedWhileFull: number
  /** The books at the end, or why they did not balance. */
  books: Books | string
}

const fullForMs = 8_000
const longestFullMs = 60_000

/** `degraded`: what a service must say meanwhile; the disk stays full until it does, within reason. */
export async function fillDisk(
  place: Place,
  { say, degraded }: { say: (line: string) => void; degraded?: RegExp | undefined },
): Promise<DiskRound> {
  const dataDirectory = await temporaryDirectory('data')
  const disk = smallDisk(places[place], join(dataDirectory, place))
  let postern: Postern | undefined
  try {
    postern = await startPostern({ dataDirectory, readyWithinMs: 120_000 })
    await postern.api.post('/v1/domains', { name: 'home.test', route: { type: 'maildir' } })
    const { revision } = await postern.api.post<{ revision: number }>('/v1/accounts', {
      address: 'ann@home.test',
      secret: 'correct horse',
    })
    await postern.settle(revision)
    const round = await fillWhileMailFlows(postern, { place, disk, degraded })
    say(lineOf(round))
    return round
  } catch (error) {
    say(postern?.logs().slice(-10_000) ?? 'Postern is not started')
    throw error
  } finally {
    disk.free()
    await postern?.stop().finally(() => disk.unmount())
  }
}

async function fillWhileMailFlows(
  postern: Postern,
  { place, disk, degraded }: { place: Place; disk: SmallDisk; degraded: RegExp | undefined },
): Promise<DiskRound> {
  const load = startLoad({
    host: postern.host,
    port: postern.smtpPort,
    sessions: 4,
    perSecond: 60,
    bytes: 3_000,
    prefix: `${place || 'all'}-`,
    to: { address: 'ann@home.test' },
    afterLoss: 'reconnect',
  })
  await sleep(1_000)
  const states = new Set<string>()
  const from = Date.now()
  const isSaid = () => !degraded || [...states].some((state) => degraded.test(state))
  while (Date.now() < from + (isSaid() ? fullForMs : longestFullMs)) {
    await disk.fill()
    for (const state of await statesOf(postern)) states.add(state)
    await sleep(100)
  }
  const savedWhileFull = await statusOfSaving(postern)
  disk.free()
  await sleep(2_500)
  await load.stop()
  return account(postern, { load, place, states, savedWhileFull })
}

async function statesOf(postern: Postern): Promise<string[]> {
  const workers = await postern.workers().catch(() => [])
  return workers.map(({ id, observed, detail }) => `${id} ${observed}: ${detail ?? ''}`)
}

async function statusOfSaving(postern: Postern): Promise<number> {
  try {
    await postern.api.patch('/v1/settings/general', { maxMessageBytes: 20_000_000 })
    return 200
  } catch (error) {
    if (error instanceof ApiRefusal) return error.status
    throw error
  }
}

type Counted = { load: Load } & Pick<DiskRound, 'place' | 'states' | 'savedWhileFull'>

async function account(postern: Postern, { load, ...seen }: Counted): Promise<DiskRound> {
  await until('all services run again', async () => {
    const states = await statesOf(postern)
    return states.length >= 2 && states.every((state) => / running: /.test(state))
  })
  let mails: string[] = []
  const missing = () => {
    const ids = new Set(mails.map((mail) => idOf(mail)))
    return [...load.accepted].filter((id) => !ids.has(id))
  }
  await until(
    'all that got 250 arrived',
    async () => {
      await postern.api.post('/v1/queue/run', {})
      mails = await postern.mail('ann@home.test')
      return missing().length === 0
    },
    { withinMs: 60_000, everyMs: 1_000 },
  ).catch(() => {})
  const books = await postern.quiet({ withinMs: 30_000 }).catch((error: Error) => error.message)
  return {
    ...seen,
    accepted: load.accepted.size,
    lost: missing(),
    cut: mails.filter((mail) => idOf(mail) === undefined).length,
    refused: load.refused,
    books,
  }
}

function lineOf({ place, accepted, lost, cut, refused, states, savedWhileFull, books }: DiskRound): string {
  const replies = [...refused].map(([reply, count]) => `${count} × ${reply}`).join('; ') || 'none'
  const degraded = [...states].filter((state) => state.includes('degraded')).join(' | ') || 'never degraded'
  const balance = typeof books === 'string' ? books : 'balance'
  return `${place || 'everything'}: ${accepted} accepted, ${lost.length} lost, ${cut} cut; refused ${replies}; ${degraded}; saving ${savedWhileFull}; books ${balance}`
}
