import { setTimeout as sleep } from 'node:timers/promises'
import type { Books } from '@postern/contract/views.ts'
import { idOf, type Load, startLoad } from '../bench/load.ts'
import { freePort, until } from '../peers/peer.ts'
import { type Postern, type PosternProcess, startPostern } from '../system/postern.ts'
import { startWireSink } from '../wire/sink.ts'
import { settableClock } from './kinds/clock.ts'
import { kinds as allKinds } from './kinds.ts'
import type { AnyKind, Kind, OwnKind, World } from './round.ts'

/**
 * Runs faults of every kind in turn, at random moments, while mail flows in and out. Every message that got 250 must
 * reach the sink intact at least once, nothing may bounce, and the books must balance after each round.
 */

export type FaultRoundsOptions = {
  rounds: number
  /** Gets one line per round, and Postern's output if something is wrong. */
  say: (line: string) => void
  /** All without it. */
  kinds?: readonly AnyKind[]
  sessions?: number
  /** Aborted: the round in progress is the last. */
  signal?: AbortSignal
  perSecond?: number
}

/** The results of the rounds of one kind. */
export type KindResult = {
  rounds: number
  /** Messages that got 250. */
  accepted: number
  /** Messages that got 250 and never arrived. Must be empty. */
  lost: string[]
  /** Deliveries beyond the first of a message, of whichever round, that came in rounds of this kind. */
  duplicates: number
  /** Rounds after which the books did not balance, with the books. Must be empty. */
  unbalanced: string[]
}

export type FaultRoundsResult = KindResult & {
  byKind: Map<string, KindResult>
  /** Those of them that a Postern of a round's own accepted. */
  acceptedElsewhere: number
  /** Messages that arrived cut or changed. Must be 0. */
  damaged: number
  /** Messages that arrived without a 250, because the connection was lost. Allowed: RFC 5321 §6.1 leaves the sender in doubt. */
  withoutReply: number
  refused: Map<string, number>
}

const parts: PosternProcess[] = ['smtp', 'queue', 'api']
/** The fault comes at a random moment within this time after the load has begun. */
const faultWithinMs = 1_500

const empty = (): KindResult => ({ rounds: 0, accepted: 0, lost: [], duplicates: 0, unbalanced: [] })

export async function runFaultRounds(options: FaultRoundsOptions): Promise<FaultRoundsResult> {
  const copies = new Map<string, number>()
  const result: FaultRoundsResult = {
    ...empty(),
    byKind: new Map(),
    acceptedElsewhere: 0,
    damaged: 0,
    withoutReply: 0,
    refused: new Map(),
  }
  let inProgress = empty()
  const sink = await startWireSink({
    take: ({ content }) => {
      const id = idOf(content)
      if (id === undefined) result.damaged += 1
      else {
        if (copies.has(id)) for (const sum of [result, inProgress]) sum.duplicates += 1
        copies.set(id, (copies.get(id) ?? 0) + 1)
      }
    },
  })
  const nobody = await freePort('127.0.0.1')
  const postern = await startPostern({ readyWithinMs: 120_000, env: { NODE_OPTIONS: settableClock } })
  const sendTo = async (port: number) => {
    const { revision } = await postern.api.patch('/v1/settings/general', {
      gateway: { host: sink.host, port, tls: 'none' },
    })
    return revision
  }
  try {
    await postern.settle()
    await postern.settle(await sendTo(sink.port))
    const kinds = options.kinds ?? allKinds
    for (let round = 0; round < options.rounds && !options.signal?.aborted; round += 1) {
      const kind = kinds[round % kinds.length] as AnyKind
      if ('run' in kind) {
        options.say(await ownRound(round, kind, result))
        continue
      }
      inProgress = result.byKind.get(kind.name) ?? empty()
      result.byKind.set(kind.name, inProgress)
      const hands = {
        holdUp: async () => void (await sendTo(nobody)),
        letGo: async () => void (await sendTo(sink.port)),
        sendTo: async (port: number) => void (await sendTo(port)),
        sinkPort: sink.port,
      }
      const load = await oneRound(postern, { round, kind, options, hands })
      await account({ load, copies, postern, round, kind, result })
      options.say(line(round, { kind, load, result }))
    }
    return result
  } catch (error) {
    options.say(postern.logs().slice(-30_000))
    throw error
  } finally {
    await postern.stop()
    await sink.stop()
  }
}

async function ownRound(round: number, kind: OwnKind, result: FaultRoundsResult): Promise<string> {
  const { accepted, lost, damaged, unbalanced } = await kind.run()
  const of = result.byKind.get(kind.name) ?? empty()
  result.byKind.set(kind.name, of)
  result.acceptedElsewhere += accepted
  result.damaged += damaged
  for (const sum of [result, of]) {
    sum.rounds += 1
    sum.accepted += accepted
    sum.lost.push(...lost)
    sum.unbalanced.push(...unbalanced.map((why) => `round ${round + 1}, ${kind.name}: ${why}`))
  }
  return `round ${round + 1}: ${kind.name}: ${accepted} accepted; ${wrongSoFar(result)}`
}

type Round = {
  round: number
  kind: Kind
  options: FaultRoundsOptions
  hands: Omit<World, 'postern' | 'load'>
}

/** Runs a load with a fault in it, then waits until all parts run again and the queue is empty. */
async function oneRound(postern: Postern, { round, kind, options, hands }: Round): Promise<Load> {
  const load = startLoad({
    host: postern.host,
    port: postern.smtpPort,
    sessions: options.sessions ?? 10,
    perSecond: options.perSecond ?? 1_000,
    bytes: 2_000,
    prefix: `r${round}-`,
    to: { domain: 'far.test' },
    afterLoss: 'reconnect',
  })
  // On a busy machine the fault would come before any mail, and prove nothing.
  await until('the first message has its 250', () => load.accepted.size > 0, { withinMs: 60_000, everyMs: 20 })
  await sleep(Math.random() * faultWithinMs)
  await kind.disturb({ postern, load, ...hands })
  const back = () => parts.every((part) => postern.pids(part).length === 1)
  await until('all parts run again', back, { withinMs: 60_000 })
  await hands.letGo()
  await load.stop()
  await postern.settle(undefined, 60_000)
  return load
}

type Accounting = {
  load: Load
  copies: Map<string, number>
  postern: Postern
  round: number
  kind: Kind
  result: FaultRoundsResult
}

async function account({ load, copies, postern, round, kind, result }: Accounting): Promise<void> {
  const of = result.byKind.get(kind.name) ?? empty()
  result.byKind.set(kind.name, of)
  const missing = () => [...load.accepted].filter((id) => !copies.has(id))
  // A message whose attempt was cut off waits for its next attempt. Running the queue tries it now.
  const allCame = async () => {
    if (missing().length === 0) return true
    await postern.api.post('/v1/queue/run', {})
    return false
  }
  await until('all that got 250 arrived', allCame, { withinMs: 60_000, everyMs: 500 }).catch(() => {})
  // The Queue Manager tells its counts at most once a second.
  const here = result.accepted - result.acceptedElsewhere + load.accepted.size
  const isCounted = async () => (await postern.books()).total.received >= here
  await until('all that got 250 is in the books', isCounted, { withinMs: 60_000 }).catch(() => {})
  const books: Books | string = await postern
    .quiet({ withinMs: 300_000, everyMs: 200 })
    .catch((error: Error) => error.message)
  const about = `round ${round + 1}, ${kind.name}`
  for (const sum of [result, of]) {
    sum.rounds += 1
    sum.accepted += load.accepted.size
    sum.lost.push(...missing())
    if (typeof books === 'string') sum.unbalanced.push(`${about}: ${books}`)
    else {
      // Books do not count as balanced if a message is missing from them or mail bounced.
      if (books.total.received < here && sum === result)
        sum.unbalanced.push(`${about}: ${books.total.received} in the books, ${here} got 250`)
      if (books.total.bounced > 0) sum.unbalanced.push(`${about}: ${books.total.bounced} were returned`)
    }
  }
  result.withoutReply += [...load.unanswered].filter((id) => copies.has(id)).length
  for (const [reply, count] of load.refused) result.refused.set(reply, (result.refused.get(reply) ?? 0) + count)
}

function line(round: number, { kind, load, result }: { kind: Kind; load: Load; result: FaultRoundsResult }): string {
  const figures = `${load.accepted.size} accepted, ${load.dropped} sessions lost, ${load.unanswered.size} in doubt`
  return `round ${round + 1}: ${kind.name}: ${figures}; ${wrongSoFar(result)}`
}

function wrongSoFar({ lost, damaged, unbalanced }: FaultRoundsResult): string {
  return `lost ${lost.length}, damaged ${damaged}, books wrong ${unbalanced.length} so far`
}
