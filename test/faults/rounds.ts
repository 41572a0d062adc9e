import { setTimeout as sleep } from 'node:timers/promises'
import type { Books } from '@postern/contract/views.ts'
import { idOf, type Load, startLoad } from '../bench/load.ts'
import { until } from '../peers/peer.ts'
import { type Postern, type PosternProcess, startPostern } from '../system/postern.ts'
import { startWireSink } from '../wire/sink.ts'

/**
 * kill -9 of each process in turn, at random moments, while mail flows in and out. What got 250 must reach the sink at
 * least once and whole, and after each round the books must balance.
 */

export interface KillRoundsOptions {
  rounds: number
  /** One line a round, and what Postern wrote when something is wrong. */
  say: (line: string) => void
  sessions?: number
  perSecond?: number
}

export interface KillRoundsResult {
  rounds: number
  kills: Record<PosternProcess, number>
  /** Messages that got 250. */
  accepted: number
  /** Got 250 and never came. Must be empty. */
  lost: string[]
  /** Came cut or changed. Must be 0. */
  damaged: number
  /** Deliveries beyond the first of the same message. */
  duplicates: number
  /** Came without a 250: the connection was lost between. Allowed (RFC 5321 §6.1 leaves the sender in doubt). */
  withoutReply: number
  /** Rounds after which the books did not balance, with the books. Must be empty. */
  unbalanced: string[]
  /** Messages that got 250 while the API was dead: the workers outlive it. */
  acceptedWithoutApi: number
  refused: Map<string, number>
}

const order: PosternProcess[] = ['smtp', 'queue', 'api']
/** The kill comes at a random moment within this time after the load has begun. */
const killWithinMs = 1_500
const loadAfterKillMs = 700

export async function runKillRounds(options: KillRoundsOptions): Promise<KillRoundsResult> {
  const copies = new Map<string, number>()
  const result: KillRoundsResult = {
    rounds: 0,
    kills: { smtp: 0, queue: 0, api: 0 },
    accepted: 0,
    lost: [],
    damaged: 0,
    duplicates: 0,
    withoutReply: 0,
    unbalanced: [],
    acceptedWithoutApi: 0,
    refused: new Map(),
  }
  const sink = await startWireSink({
    take: ({ content }) => {
      const id = idOf(content)
      if (id === undefined) result.damaged += 1
      else copies.set(id, (copies.get(id) ?? 0) + 1)
    },
  })
  const postern = await startPostern()
  try {
    await postern.settle()
    const gateway = { host: sink.host, port: sink.port, tls: 'none' }
    const { revision } = await postern.api.patch('/v1/settings/general', { gateway })
    await postern.settle(revision)
    for (let round = 0; round < options.rounds; round += 1) {
      const victim = order[round % order.length] as PosternProcess
      const load = await oneRound(postern, { round, victim, options, result })
      await account({ load, copies, postern, round, result })
      options.say(line(round, { victim, load, result }))
    }
    result.duplicates = [...copies.values()].reduce((sum, count) => sum + count - 1, 0)
    return result
  } catch (error) {
    options.say(postern.logs().slice(-30_000))
    throw error
  } finally {
    await postern.stop()
    await sink.stop()
  }
}

interface Round {
  round: number
  victim: PosternProcess
  options: KillRoundsOptions
  result: KillRoundsResult
}

/** Load, a kill somewhere in it, a little more load; then all parts run again. */
async function oneRound(postern: Postern, { round, victim, options, result }: Round): Promise<Load> {
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
  await sleep(Math.random() * killWithinMs)
  await postern.kill(victim)
  result.kills[victim] += 1
  const acceptedBefore = load.accepted.size
  await sleep(loadAfterKillMs)
  if (victim === 'api') {
    result.acceptedWithoutApi += load.accepted.size - acceptedBefore
    await postern.restart()
  }
  const back = () => order.every((part) => postern.pids(part).length === 1)
  await until('all parts run again', back, { withinMs: 20_000 })
  await load.stop()
  await postern.settle()
  return load
}

interface Accounting {
  load: Load
  copies: Map<string, number>
  postern: Postern
  round: number
  result: KillRoundsResult
}

async function account({ load, copies, postern, round, result }: Accounting): Promise<void> {
  const missing = () => [...load.accepted].filter((id) => !copies.has(id))
  // A message whose attempt was cut off waits for its next try; an operator's "run the queue now" makes that now.
  await postern.api.post('/v1/queue/run', {})
  await until('all that got 250 arrived', () => missing().length === 0, { withinMs: 60_000 }).catch(() => {})
  const books: Books | string = await postern.quiet({ withinMs: 30_000 }).catch((error: Error) => error.message)
  if (typeof books === 'string') result.unbalanced.push(`round ${round}: ${books}`)
  result.rounds += 1
  result.accepted += load.accepted.size
  // Books that balance because they never heard of a message do not count.
  if (typeof books !== 'string' && books.total.received < result.accepted)
    result.unbalanced.push(`round ${round}: ${books.total.received} in the books, ${result.accepted} got 250`)
  result.lost.push(...missing())
  result.withoutReply += [...load.unanswered].filter((id) => copies.has(id)).length
  for (const [reply, count] of load.refused) result.refused.set(reply, (result.refused.get(reply) ?? 0) + count)
}

function line(
  round: number,
  { victim, load, result }: { victim: string; load: Load; result: KillRoundsResult },
): string {
  const figures = `${load.accepted.size} accepted, ${load.dropped} sessions lost, ${load.unanswered.size} in doubt`
  const wrong = `lost ${result.lost.length}, damaged ${result.damaged}, books wrong ${result.unbalanced.length} so far`
  return `round ${round + 1}: kill -9 ${victim}: ${figures}; ${wrong}`
}
