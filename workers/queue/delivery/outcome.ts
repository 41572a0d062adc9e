import type { Recipient } from '@postern/contract/envelope.ts'
import type { RecordEvent } from '@postern/runtime/worker.ts'
import { type DsnContext, notify } from '../dsn/notify.ts'
import type { Action, RecipientReport } from '../dsn/report.ts'
import type { Change, IndexWriter } from '../index/index-writer.ts'
import type { DeliveryJob, PendingRecipient, QueuedMessage } from '../message/message.ts'
import { deferred, held } from '../message/message.ts'
import type { Attempt, Outcome, Via } from '../message/outcome.ts'
import type { QueueClock } from '../message/queue-clock.ts'
import { heldBy, reasonText } from '../message/waiting-reason.ts'
import { delayWarningDue, nextTry } from './retry-time.ts'

/**
 * What an attempt means: an event for what happened, a notification where one is due, and what the index is to know.
 * A notification is durable before the outcome it tells of is recorded.
 */
export type OutcomeContext = DsnContext & {
  record: RecordEvent
  indexWriter: IndexWriter
  counters: OutcomeCounters
  clock: QueueClock
  random?: () => number
}

/** Milliseconds: no host keeps its mail waiting for longer. */
const longestPauseAsked = 24 * 3_600_000

/** Recipients by outcome since the process began. */
export type OutcomeCounters = {
  delivered: number
  deferred: number
  bounced: number
  discarded: number
  attempts: number
}

/** `via`: who said it, where that is not the host with which the attempt ended. */
type RecipientDecision = Verdict & { via?: Via }
type Verdict =
  | { r: number; kind: 'delivered'; reply: string; status: string; notice: 'delivered' | 'relayed' | undefined }
  | { r: number; kind: 'deferred'; reply: string; status: string; cause: string; at: number; tries: number }
  | { r: number; kind: 'bounced'; reply: string; status: string; cause: string; givenUp?: string }
  | { r: number; kind: 'discarded'; by: string }

export async function conclude(job: DeliveryJob, attempt: Attempt, context: OutcomeContext): Promise<void> {
  const { mail } = job
  const now = context.clock.now()
  const decided: RecipientDecision[] = []
  const decideOne = decider(mail, { attempt, now }, context)
  for (const [r, result] of attempt.outcomes) {
    if (!mail.pending.has(r)) continue
    const verdict = decideOne(r, result)
    decided.push(result.via ? { ...verdict, via: result.via } : verdict)
  }
  context.counters.attempts++
  await tellSender(mail, { decided, via: attempt.via }, context)
  for (const same of alike(decided)) recordEvent(mail, same, attempt, context)
  context.indexWriter.settle(
    mail,
    decided.map((each) => changeFor(mail, each, now)),
  )
}

/**
 * What an attempt deferred together has one time for its next try, so that it is one transaction again, and one notification
 * when it is given up: the time of the recipient tried most often, and no earlier than any of the hosts' answers ask for.
 */
function decider(
  mail: QueuedMessage,
  { attempt, now }: { attempt: Attempt; now: number },
  context: OutcomeContext,
): (r: number, result: Outcome) => Verdict {
  let shared: number | undefined
  const nextAt = () => {
    shared ??= attempt.isBrokenOff ? now : sharedNextAt(mail, { outcomes: attempt.outcomes, now }, context)
    return shared
  }
  const counted = attempt.isBrokenOff ? 0 : 1
  return (r, result) => decide(mail, { r, result, now, nextAt, counted }, context)
}

function sharedNextAt(
  mail: QueuedMessage,
  { outcomes, now }: { outcomes: Attempt['outcomes']; now: number },
  { settings, clock, random = Math.random }: OutcomeContext,
): number {
  let tries = 1
  let earliest = 0
  for (const [r, result] of outcomes) {
    const waiting = mail.pending.get(r)
    if (!waiting || result.kind !== 'deferred') continue
    tries = Math.max(tries, waiting.tries + 1)
    earliest = Math.max(earliest, now + pauseAsked(result))
  }
  const { queue } = settings()
  // Those who have had their last try are returned; the others' next try is not theirs to end.
  const countedTries = Math.min(tries, queue.triesBeforeReturn - 1)
  const next = nextTry({
    tries: countedTries,
    firstAt: now - ageOf(mail, clock),
    now,
    settings: queue,
    jitter: random(),
  })
  return Math.max(next.kind === 'retry' ? next.at : now, earliest)
}

function ageOf(mail: QueuedMessage, clock: QueueClock): number {
  return clock.waited() - mail.waitsSince
}

/** What the host asks for is a time of the machine's clock, which may have been set since. */
function pauseAsked({ notBefore }: { notBefore?: number }): number {
  return notBefore === undefined ? 0 : Math.min(Math.max(0, notBefore - Date.now()), longestPauseAsked)
}

type Deciding = { r: number; result: Outcome; now: number; nextAt(): number; counted: 0 | 1 }

function decide(
  mail: QueuedMessage,
  { r, result, now, nextAt, counted }: Deciding,
  { settings, clock }: OutcomeContext,
): RecipientDecision {
  const local = settings().domains.has(domainOfRecipient(mail, r))
  switch (result.kind) {
    case 'delivered':
      return { r, kind: 'delivered', reply: result.reply, status: result.status, notice: noticeOf(result, local) }
    case 'discarded':
      return { r, kind: 'discarded', by: result.by }
    case 'bounced':
      return { r, kind: 'bounced', reply: result.reply, status: result.status, cause: result.cause }
    case 'deferred': {
      const tries = (mail.pending.get(r)?.tries ?? 0) + counted
      const next = nextTry({ tries, firstAt: now - ageOf(mail, clock), now, settings: settings().queue })
      if (mail.ordered === 'delete') return { r, kind: 'discarded', by: mail.orderedBy }
      if (mail.ordered === 'bounce') return { r, ...returnedBy(mail.orderedBy) }
      if (next.kind === 'retry' || counted === 0) return { ...result, r, kind: 'deferred', at: nextAt(), tries }
      const after = tries === 1 ? 'given up after 1 attempt' : `given up after ${tries} attempts`
      const givenUp = next.because === 'tries' ? after : 'given up: too long in the queue'
      return { r, kind: 'bounced', reply: result.reply, status: '4.4.7', cause: 'expired', givenUp }
    }
  }
}

/** What an operator's order to bounce says. */
export function returnedBy(by: string) {
  return { kind: 'bounced' as const, reply: `returned by ${by}`, status: '5.7.0', cause: 'ordered' }
}

/** A remote that offers DSN got the NOTIFY parameter and sends the notification itself (RFC 3461 §5.2.1). */
function noticeOf({ dsnPassedOn }: { dsnPassedOn: boolean }, local: boolean): 'delivered' | 'relayed' | undefined {
  if (dsnPassedOn) return undefined
  return local ? 'delivered' : 'relayed'
}

function domainOfRecipient(mail: QueuedMessage, r: number): string {
  const address = mail.envelope.recipients[r]?.address ?? ''
  return address.slice(address.lastIndexOf('@') + 1)
}

/** Recipients of whom the same is to be told, so that a message to a hundred people is one event. */
function alike(decided: RecipientDecision[]): RecipientDecision[][] {
  if (decided.length === 1) return [decided]
  const groups = new Map<string, RecipientDecision[]>()
  for (const each of decided) {
    const { r: _, ...rest } = each
    const key = JSON.stringify({ ...rest, at: 0 })
    const group = groups.get(key)
    if (group) group.push(each)
    else groups.set(key, [each])
  }
  return [...groups.values()]
}

function recordEvent(
  mail: QueuedMessage,
  same: RecipientDecision[],
  attempt: Attempt,
  { record, counters, clock }: OutcomeContext,
): void {
  const first = same[0] as RecipientDecision
  const messageId = mail.envelope.id
  const recipients = same.map(({ r }) => (mail.envelope.recipients[r] as Recipient).address)
  counters[first.kind] += recipients.length
  if (first.kind === 'discarded') {
    record('delivery.discarded', { messageId, recipients, by: first.by })
    return
  }
  const fields = {
    messageId,
    attempt: (mail.pending.get(first.r)?.tries ?? 0) + 1,
    recipients,
    remote: first.via ?? attempt.via,
    reply: wordsOf(first),
    durationMs: attempt.durationMs,
  }
  if (first.kind === 'delivered') record('delivery.delivered', fields)
  else if (first.kind === 'bounced') record('delivery.bounced', { ...fields, cause: first.cause, status: first.status })
  else
    record('delivery.deferred', {
      ...fields,
      nextTryAt: new Date(clock.wallAt(first.at)).toISOString(),
      cause: first.cause,
    })
}

function wordsOf(reply: { reply: string; givenUp?: string }): string {
  return reply.givenUp ? `${reply.reply} (${reply.givenUp})` : reply.reply
}

function changeFor(mail: QueuedMessage, decided: RecipientDecision, now: number): Change {
  if (decided.kind !== 'deferred') return { r: decided.r, to: decided.kind }
  const waiting: PendingRecipient = {
    state: deferred,
    tries: decided.tries,
    nextAt: decided.at,
    cause: reasonText(decided),
  }
  if (mail.ordered === 'hold')
    return { r: decided.r, to: { ...waiting, state: held, nextAt: now, cause: heldBy(waiting.cause, mail.orderedBy) } }
  return { r: decided.r, to: waiting }
}

async function tellSender(
  mail: QueuedMessage,
  { decided, via }: { decided: RecipientDecision[]; via: Via },
  context: OutcomeContext,
): Promise<void> {
  if (mail.envelope.sender === '') return
  const reports: { [action in Action]: (RecipientReport & { r: number })[] } = {
    failed: [],
    delayed: [],
    delivered: [],
    relayed: [],
  }
  const warn =
    !mail.warned &&
    delayWarningDue({
      firstAt: 0,
      now: ageOf(mail, context.clock),
      delayWarningHours: context.settings().queue.delayWarningHours,
    })
  for (const each of decided) {
    const action = actionFor(mail, each, warn)
    if (action) reports[action].push(tell({ mail, each, action, via: each.via ?? via }, context))
  }
  for (const group of Object.values(reports)) if (group.length > 0) await notify(mail, group, context)
  if (reports.delayed.length > 0) {
    mail.warned = true
    if (mail.recorded) context.indexWriter.add({ warned: [mail.n] })
  }
}

function actionFor(_mail: QueuedMessage, each: RecipientDecision, warn: boolean): Action | undefined {
  switch (each.kind) {
    case 'bounced':
      return 'failed'
    case 'deferred':
      return warn ? 'delayed' : undefined
    case 'delivered':
      return each.notice
    case 'discarded':
      return undefined
  }
}

function tell(
  { mail, each, action, via }: { mail: QueuedMessage; each: RecipientDecision; action: Action; via: Via },
  { settings, clock }: OutcomeContext,
): RecipientReport & { r: number } {
  const to = mail.envelope.recipients[each.r] as Recipient
  const reply = each.kind === 'discarded' ? { reply: '', status: '' } : each
  return {
    r: each.r,
    original: to.original,
    final: to.address,
    ...(to.orcpt ? { orcpt: to.orcpt } : {}),
    action,
    status: reply.status,
    reply: reply.reply,
    ...(each.kind === 'bounced' && each.givenUp ? { givenUp: each.givenUp } : {}),
    ...(via.address && /^\d{3}[ -]/.test(reply.reply) ? { remote: via.host } : {}),
    at: Date.now(),
    ...(action === 'delayed'
      ? { willRetryUntil: Date.now() - ageOf(mail, clock) + settings().queue.maxQueueHours * 3_600_000 }
      : {}),
  }
}
