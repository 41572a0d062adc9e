import type { Recipient } from '@postern/contract/envelope.ts'
import type { Connection } from '../client/connection.ts'
import { ConnectionFailure } from '../client/connection-failure.ts'
import { maxTogether, sessionLimit } from '../client/limits-extension.ts'
import {
  canPipelineNext,
  fitsAhead,
  noRequireTls,
  type OutboundTransaction,
  type RecipientAnswer,
  transact,
} from '../client/mail-transaction.ts'
import type { Peer } from '../client/peer.ts'
import { formFor, isPlain, plainForm } from '../form/form.ts'
import type { DeliveryJob } from '../message/message.ts'
import { type QueuedMessage, requireTlsOf } from '../message/message.ts'
import { deferredOutcome, type Outcome, type Outcomes, sameOutcome, type Via } from '../message/outcome.ts'
import { type Hosts, hostsFor, loopStatus, type Remote } from '../route/hosts.ts'
import type { AttemptContext } from './attempt-context.ts'
import { openFor, poolKey } from './connect.ts'
import { forwarderOf } from './forwarding.ts'
import type { ConcurrencySlot } from './slot.ts'

/** An attempt by SMTP or LMTP: on a connection that is open already, or on new ones to the hosts of the destination. */

/** Hosts that answered and could not take the message, in one attempt. */
const maxSessions = 2

type How = { destination: Remote; slot: ConcurrencySlot }

export async function deliverRemote(job: DeliveryJob, how: How, context: AttemptContext): Promise<Outcomes> {
  const remaining = new Remaining(job)
  try {
    return remaining.endWith(await deliverRemaining(remaining, how, context))
  } catch (error) {
    // The message cannot be read, perhaps: whoever has an answer keeps it.
    throw Object.assign(error as Error, { outcomes: remaining.answered })
  }
}

/** Those of a job for whom no host has answered yet. An answer counts although the session broke after it (RFC 5321 §3.3, RFC 2033 §4.2). */
class Remaining {
  readonly answered = new Map<number, Outcome>()
  job: DeliveryJob

  constructor(job: DeliveryJob) {
    this.job = job
  }

  take({ via, outcomes }: Outcomes): void {
    for (const [r, result] of outcomes) this.answered.set(r, { ...result, via })
    this.job = { ...this.job, recipients: this.job.recipients.filter((r) => !this.answered.has(r)) }
  }

  endWith({ via, outcomes }: Outcomes): Outcomes {
    if (this.answered.size === 0) return { via, outcomes }
    return { via, outcomes: new Map([...this.answered, ...outcomes]) }
  }
}

async function deliverRemaining(remaining: Remaining, how: How, context: AttemptContext): Promise<Outcomes> {
  const { destination, slot } = how
  const key = poolKey(destination, remaining.job.mail)
  const pipelined = slot.pipelined?.connection
  if (pipelined && !pipelined.alive) slot.pipelined = undefined
  const open = slot.pipelined?.connection ?? context.pool.take(key)
  if (!open) return deliverAnew(remaining, how, context)
  slot.connected(open)
  const session = await deliverOn(open, remaining, { key, slot, context })
  const { lost, unconfirmed } = session
  if (unconfirmed.size > 0) {
    const ended = await deliverAnew(remaining, how, context)
    learn(session, remaining.endWith(ended), context)
    return ended
  }
  if (!lost) return session
  // Some servers lose what follows a body: this one is not sent anything ahead again.
  if (open === pipelined) context.pool.stopPipelining(open.options.peer)
  // A connection that waited may have died; that says nothing about the host. After the body, it may have been taken.
  if (lost.stage === 'end') return failed(remaining.job, lost, open.options.peer)
  const ended = await deliverAnew(remaining, how, context)
  const isTaken = [...ended.outcomes.values()].some(({ kind }) => kind === 'delivered')
  if (lost.reply?.code === 421 && session.after > 0 && isTaken) context.pool.limitSession(session.peer, session.after)
  return ended
}

/** Remembers what a refusal meant: a limit of messages per session, or a final answer. Then it is not asked twice each time. */
function learn(
  { unconfirmed, after, peer }: ConnectionOutcomes,
  { outcomes }: Outcomes,
  { pool }: AttemptContext,
): void {
  const isTaken = [...unconfirmed.keys()].some((r) => outcomes.get(r)?.kind === 'delivered')
  if (isTaken) pool.limitSession(peer, after)
  else for (const refusal of unconfirmed.values()) pool.confirmRefusal(peer, wordOf(refusal))
}

async function deliverAnew(
  remaining: Remaining,
  { destination, slot }: How,
  context: AttemptContext,
): Promise<Outcomes> {
  const { dns, port, pool } = context
  slot.connecting()
  const hosts = await hostsFor(destination, { dns, ownAddresses: context.ownAddresses(), port })
  if (hosts.kind !== 'hosts') return unreachable(remaining.job, hosts, destination)
  let last: Outcomes | undefined
  let excluded: Outcomes | undefined
  let sessions = 0
  for (let i = 0; i < hosts.peers.length; i++) {
    if (slot.abandoned) break
    const peer = hosts.peers[i] as Peer
    const dead = pool.recentFailure(peer)
    if (dead) {
      last ??= failed(remaining.job, dead, peer)
      continue
    }
    try {
      slot.connecting()
      const { connection, under } = await openFor(remaining.job, { destination, peer, signal: slot.signal }, context)
      await slot.connected(connection)
      const session = await deliverOn(connection, remaining, { key: under, slot, context })
      const { lost, unconfirmed, outcomes } = session
      if (lost || unconfirmed.size > 0) {
        last = lost ? failed(remaining.job, lost, peer) : { via: session.via, outcomes: unconfirmed }
        if (lost?.silent) pool.markDead(peer, lost)
        if (lost?.stage === 'end') break
        // Some servers close after each message, or take so much of each: as long as it takes mail, it is asked for the rest.
        if ([...outcomes.values()].some(({ kind }) => kind === 'delivered')) i--
        continue
      }
      if (lacksRequireTls(session)) {
        excluded = session
        continue
      }
      last = session
      if (++sessions >= maxSessions || [...outcomes.values()].some(({ kind }) => kind !== 'deferred')) break
    } catch (error) {
      if (error instanceof ConnectionFailure && error.stage === 'loop') {
        // Beyond us there are only hosts that send to us (RFC 5321 §5.1); a better one that is away is waited for.
        last ??= loopsAt(remaining.job, error, peer)
        break
      }
      if (error instanceof ConnectionFailure && isExcluded(remaining.job, error)) {
        excluded = excludedBy(remaining.job, error, peer)
        continue
      }
      last = failed(remaining.job, error, peer)
    }
  }
  // RFC 8689 §4.2.1: a message with REQUIRETLS comes back when no host of the domain will do, and waits for one that is away.
  return (
    last ??
    excluded ??
    sameOutcome(remaining.job.recipients, deferredOutcome('4.4.1', 'no host to try', 'no-host'), { host: 'none' })
  )
}

function lacksRequireTls({ outcomes }: Outcomes): boolean {
  // It applies to the whole transaction, so one outcome is enough.
  const first = outcomes.values().next().value
  return first?.kind === 'bounced' && first.cause === noRequireTls
}

function isExcluded({ mail }: DeliveryJob, { stage, reply }: ConnectionFailure): boolean {
  if (requireTlsOf(mail.envelope) !== 'required') return false
  return stage === 'proof' || (stage === 'tls' && (reply === undefined || reply.code >= 500))
}

function loopsAt(job: DeliveryJob, error: ConnectionFailure, { host, address, port }: Peer): Outcomes {
  const result = { kind: 'bounced', status: loopStatus, reply: error.text, cause: 'loop' } as const
  return sameOutcome(job.recipients, result, { host, address, port })
}

function excludedBy(job: DeliveryJob, error: ConnectionFailure, { host, address, port }: Peer): Outcomes {
  const result = { kind: 'bounced', status: '5.7.10', reply: error.text, cause: causeOf(error) } as const
  return sameOutcome(job.recipients, result, { host, address, port })
}

/**
 * One session's part. `lost`: the connection broke before it answered for the others; those it answered for are taken from
 * `remaining`. `unheard`: refusals that may be about the session, on a connection that had been used for `after` messages;
 * whoever got one remains.
 */
type ConnectionOutcomes = Outcomes & {
  lost?: ConnectionFailure
  unconfirmed: Map<number, Outcome>
  after: number
  peer: Peer
}
type On = { key: string; slot: ConcurrencySlot; context: AttemptContext }

async function deliverOn(
  connection: Connection,
  remaining: Remaining,
  { key, slot, context }: On,
): Promise<ConnectionOutcomes> {
  const outcomes = new Map<number, Outcome>()
  const unconfirmed = new Map<number, Outcome>()
  const { peer } = connection.options
  const session: ConnectionOutcomes = { via: viaOf(connection), outcomes, unconfirmed, after: 0, peer }
  let lost: ConnectionFailure | undefined
  try {
    lost = await deliverAll(connection, { job: remaining.job, outcomes, unconfirmed }, { slot, context })
  } catch (error) {
    remaining.take(session)
    throw Object.assign(error as Error, { via: session.via })
  }
  session.after = Math.max(0, connection.used - 1)
  if (lost || unconfirmed.size > 0) remaining.take(session)
  if (lost) return { ...session, lost }
  if (slot.nextPipelined) return session
  // The next message with REQUIRETLS asks the other hosts, too. A host that takes no more here may count connections.
  const mayReuse = unconfirmed.size === 0 && !lacksRequireTls(session)
  context.pool.give(key, connection, mayReuse ? maxOn(connection, context) : 0)
  return session
}

/** Messages that may go on this connection. */
function maxOn(connection: Connection, { settings, pool }: AttemptContext): number {
  const { reuseConnections, maxMessagesPerConnection } = settings().queue
  if (!reuseConnections) return 0
  return Math.min(maxMessagesPerConnection, sessionLimit(connection), pool.sessionLimitOf(connection.options.peer))
}

/**
 * A whole transaction refused on a connection that had been used: that may be about the session ("too many messages", a count of
 * errors) and not about the message, so it is asked on a new one. What was refused was not taken, so nothing comes twice. A 5xx
 * to the body is about the body.
 */
function mayConcernSession(
  answers: readonly RecipientAnswer[],
  { connection, sent }: { connection: Connection; sent: boolean },
  { pool }: AttemptContext,
): boolean {
  return answers.every((answer) => {
    if (answer.kind !== 'deferred' && answer.kind !== 'bounced') return false
    if (sent && answer.kind === 'bounced') return false
    return !pool.isConfirmed(connection.options.peer, wordOf(answer))
  })
}

/** A refusal without its prose, which may name the message. */
function wordOf(result: Outcome | RecipientAnswer): string {
  if (result.kind !== 'deferred' && result.kind !== 'bounced') return result.kind
  return `${result.kind} ${result.reply.slice(0, 3)} ${result.status}`
}

/** In as many transactions as the remote wants. Gives why the connection broke before all had their answers. */
async function deliverAll(
  connection: Connection,
  {
    job,
    outcomes,
    unconfirmed,
  }: { job: DeliveryJob; outcomes: Map<number, Outcome>; unconfirmed: Map<number, Outcome> },
  { slot, context }: { slot: ConcurrencySlot; context: AttemptContext },
): Promise<ConnectionFailure | undefined> {
  let waiting = job.recipients
  while (waiting.length > 0) {
    const isPipelined = slot.pipelined !== undefined
    slot.pipelined = undefined
    let [now, later]: [number[], number[]] = isPipelined ? [waiting, []] : portion(connection, job.mail, waiting)
    let transaction: OutboundTransaction
    if (isPipelined || isPlain(connection, job.mail, context))
      transaction = plainForm(job.mail, { connection, recipients: now, context })
    else {
      const form = await formFor(job.mail, { connection, recipients: now, context })
      for (const [r, result] of form.unfit) outcomes.set(r, result)
      ;({ transaction, recipients: now } = form)
    }
    const next = later.length > 0 ? undefined : () => begin(connection, slot, context)
    const { used, bodies } = connection
    const answers = now.length > 0 ? await transact(connection, transaction, { envelopeSent: isPipelined, next }) : []
    const wasUsed = used > 0 && connection.used > used
    const sent = connection.bodies > bodies
    const into = wasUsed && mayConcernSession(answers, { connection, sent }, context) ? unconfirmed : outcomes
    const again: number[] = []
    let lost: ConnectionFailure | undefined
    for (const [i, r] of now.entries()) {
      const answer = answers[i] as RecipientAnswer
      if (answer.kind === 'again') again.push(r)
      else if (answer.kind === 'lost') lost = answer.failure
      else into.set(r, answer)
    }
    waiting = [...again, ...later]
    if (unconfirmed.size > 0) for (const r of waiting) unconfirmed.set(r, unconfirmed.values().next().value as Outcome)
    if (lost || unconfirmed.size > 0) return lost
    if (waiting.length > 0 && !connection.alive)
      return new ConnectionFailure('mail', 'the connection ended before its turn')
  }
  return undefined
}

/** Those who may go in one transaction, and those who come after. */
function portion(
  connection: Connection,
  { envelope }: QueuedMessage,
  waiting: number[],
): [now: number[], later: number[]] {
  if (!connection.has('LIMITS')) return [waiting, []]
  const count = maxTogether(
    connection,
    waiting.map((r) => envelope.recipients[r] as Recipient),
  )
  return [waiting.slice(0, count), waiting.slice(count)]
}

/** Takes the destination queue's next job when its envelope may follow the body that is being sent. */
function begin(
  connection: Connection,
  slot: ConcurrencySlot,
  context: AttemptContext,
): OutboundTransaction | undefined {
  const mayReuse = connection.used < maxOn(connection, context)
  if (!mayReuse || !canPipelineNext(connection) || !context.pool.mayPipeline(connection.options.peer)) return undefined
  const fits = (mail: QueuedMessage, recipients: readonly number[]) =>
    forwarderOf(mail, recipients) === undefined &&
    isPlain(connection, mail, context) &&
    fitsAhead(connection, plainForm(mail, { connection, recipients, context }))
  const job = slot.takeNext(fits)
  if (!job) return undefined
  slot.nextPipelined = { job, connection }
  return plainForm(job.mail, { connection, recipients: job.recipients, context })
}

function viaOf(connection: Connection): Via {
  const { host, address, port } = connection.options.peer
  const tls = connection.verified ? `${connection.tls}, certificate verified` : connection.tls
  return { host, address, port, ...(tls ? { tls } : {}) }
}

function unreachable(job: DeliveryJob, hosts: Exclude<Hosts, { kind: 'hosts' }>, destination: Remote): Outcomes {
  const { kind, status, text, cause } = hosts
  const host =
    destination.kind === 'mx'
      ? destination.domain
      : destination.kind === 'address'
        ? destination.address
        : destination.host
  return sameOutcome(job.recipients, { kind, status, reply: text, cause }, { host })
}

const statusOf: Record<ConnectionFailure['stage'], string> = {
  connect: '4.4.1',
  greeting: '4.4.2',
  hello: '4.4.2',
  loop: '4.4.6',
  terms: '4.7.5',
  tls: '4.7.5',
  proof: '4.7.5',
  auth: '4.7.8',
  mail: '4.4.2',
  rcpt: '4.4.2',
  data: '4.4.2',
  body: '4.4.2',
  end: '4.4.2',
}

/** The attempt failed: all recipients are deferred. What the remote said was about the connection, not about the recipients. */
function failed(job: DeliveryJob, error: unknown, peer: Peer): Outcomes {
  const via = { host: peer.host, address: peer.address, port: peer.port }
  if (!(error instanceof ConnectionFailure)) throw Object.assign(error as Error, { via })
  return sameOutcome(job.recipients, deferredOutcome(statusOf[error.stage], error.text, causeOf(error)), via)
}

function causeOf({ stage }: ConnectionFailure): string {
  switch (stage) {
    case 'connect':
      return 'cannot-connect'
    case 'tls':
      return 'no-tls'
    case 'terms':
    case 'proof':
      return 'tls-not-verified'
    case 'auth':
      return 'login-refused'
    default:
      return 'connection-lost'
  }
}
