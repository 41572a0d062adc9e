import { hourOf } from './file-names.ts'
import { type Condition, conditionOf, type EventFilter } from './filter.ts'
import type { LogFiles } from './log-files.ts'
import {
  behind,
  conditionBehind,
  hoursForward,
  type Limits,
  type LoggedEvent,
  newestOf,
  type Position,
  positionOf,
  type Reach,
  searchBack,
} from './search.ts'

/** What became of a message: `bounced` when it did not reach one of its recipients, `waiting` while one of them waits. */
export const messageOutcomes = ['waiting', 'delivered', 'bounced', 'discarded', 'refused'] as const
export type MessageOutcome = (typeof messageOutcomes)[number]

/** Which messages. `q`: words of the acceptance or the refusal. The others as in EventFilter. */
export type MessageFilter = Pick<
  EventFilter,
  'since' | 'until' | 'sender' | 'recipient' | 'subject' | 'client' | 'q'
> & {
  outcome?: MessageOutcome | undefined
}

export type MessageQuery = MessageFilter & Limits & { limit: number; before?: Position | undefined }

export type LoggedMessage = {
  /** The id of the message; of mail that was refused, which has none: worker, log and number of the event with colons. */
  id: string
  /** When it was accepted or refused, in ms. */
  receivedAt: number
  /** Absent when the client was refused before it named one; '' is the null sender. */
  sender?: string
  recipients: string[]
  subject?: string
  outcome: MessageOutcome
  /** The last reply of a remote server, or the reply that refused it. */
  lastReply?: string
  /** In bytes. Absent for mail that was refused before it came. */
  size?: number
  client?: string
}

export type FoundMessages = Reach & { items: LoggedMessage[]; next?: Position }

const refusals = ['message.refused', 'command.refused', 'session.refused']
const attemptTypes = ['delivery.delivered', 'delivery.bounced', 'delivery.discarded', 'delivery.deferred']

/** How many messages are looked at in one go, when most of them may have another outcome. */
const candidatesAtOnce = 500

/** Messages, newest first, with what became of them until now. Also those that the logging settings keep out of the log. */
export async function findMessages(files: LogFiles, query: MessageQuery): Promise<FoundMessages> {
  const { limit, before, outcome, signal, deadlineMs, ...filter } = query
  if (!Number.isSafeInteger(limit) || limit < 1) throw new RangeError(`not a number of messages: ${limit}`)
  const until = before ? Math.min(filter.until ?? Number.POSITIVE_INFINITY, before.at + 1) : filter.until
  const wanted = conditionOf({ ...filter, until, types: typesOf(outcome) })
  const found: { message: LoggedMessage; position: Position }[] = []
  /** After a crash an acceptance may be recorded again. */
  const listed = new Set<string>()
  /** Up to here everything was looked at. */
  let seen = before
  const reach = await searchBack(files, { since: filter.since, until, signal, deadlineMs }, async (step) => {
    for (;;) {
      const size = outcome === undefined ? limit + 1 - found.length : candidatesAtOnce
      const events = await newestOf(files, step, { condition: conditionBehind(seen, wanted), limit: size })
      const attempts = await attemptsOf(files, events, step.signal)
      for (const event of events) {
        const message = messageOf(event, attempts.get(event.messageId ?? '') ?? [])
        if (listed.has(message.id)) continue
        listed.add(message.id)
        if (outcome === undefined || message.outcome === outcome) found.push({ message, position: positionOf(event) })
      }
      const oldest = events.at(-1)
      if (oldest) seen = positionOf(oldest)
      if (found.length > limit) return 'enough'
      if (events.length < size) return 'more'
    }
  })
  return pageOf(found, { limit, reach, seen })
}

type Page = { limit: number; reach: Reach; seen: Position | undefined }

function pageOf(found: { message: LoggedMessage; position: Position }[], { limit, reach, seen }: Page): FoundMessages {
  const items = found.slice(0, limit).map(({ message }) => message)
  const end = found[limit - 1]?.position
  if (found.length > limit && end) return { ...reach, searchedBackTo: end.at, items, next: end }
  if (reach.complete) return { ...reach, items }
  const next = behind(reach, seen)
  return { ...reach, searchedBackTo: next.at, items, next }
}

function typesOf(outcome: MessageOutcome | undefined): string[] {
  if (outcome === undefined) return ['message.accepted', ...refusals]
  return outcome === 'refused' ? refusals : ['message.accepted']
}

/** Attempts to deliver these messages, by message, in the order of time: from the oldest message on, until each has ended. */
async function attemptsOf(
  files: LogFiles,
  events: LoggedEvent[],
  signal: AbortSignal,
): Promise<Map<string, LoggedEvent[]>> {
  const waiting = new Map<string, LoggedEvent>()
  for (const event of events) if (event.messageId !== undefined) waiting.set(event.messageId, event)
  const attempts = new Map<string, LoggedEvent[]>([...waiting.keys()].map((id) => [id, []]))
  const first = Math.min(...[...waiting.values()].map(({ at }) => at))
  if (waiting.size === 0) return attempts
  for await (const hours of hoursForward(files, { since: hourOf(first) })) {
    const found = await newestOf(
      files,
      { hours, signal },
      { condition: attemptsCondition([...waiting.keys()]), limit: maxAttempts },
    )
    for (const attempt of found.reverse()) attempts.get(attempt.messageId ?? '')?.push(attempt)
    for (const [id, event] of waiting) if (outcomeOf(event, attempts.get(id) ?? []) !== 'waiting') waiting.delete(id)
    if (waiting.size === 0) break
  }
  return attempts
}

/** Of all messages of a page, in one step. */
const maxAttempts = 100_000

/** The ids lie between two: files without any of them are passed over by their statistics. */
function attemptsCondition(ids: string[]): Condition {
  const sorted = ids.toSorted()
  const { sql, values } = conditionOf({ types: attemptTypes })
  return {
    sql: `${sql} and message_id between $lowest and $highest and message_id in (select unnest(from_json($ids, '["VARCHAR"]')))`,
    values: { ...values, lowest: sorted[0] ?? '', highest: sorted.at(-1) ?? '', ids: JSON.stringify(sorted) },
  }
}

function messageOf(event: LoggedEvent, attempts: LoggedEvent[]): LoggedMessage {
  const { fields, at } = event
  const text = (name: string): string | undefined => (typeof fields[name] === 'string' ? fields[name] : undefined)
  const sender = text('sender')
  const subject = text('subject')
  const client = (fields.client as { ip?: string } | undefined)?.ip
  const isRefused = event.type !== 'message.accepted'
  const lastReply = isRefused
    ? (fields.verdict as { reply?: string } | undefined)?.reply
    : (attempts.findLast(({ fields: { reply } }) => typeof reply === 'string')?.fields.reply as string | undefined)
  return {
    id: isRefused ? `${event.worker}:${event.log}:${event.n}` : (event.messageId ?? ''),
    receivedAt: at,
    ...(sender === undefined ? {} : { sender }),
    recipients: recipientsOf(event),
    ...(subject === undefined ? {} : { subject }),
    outcome: isRefused ? 'refused' : outcomeOf(event, attempts),
    ...(lastReply === undefined ? {} : { lastReply }),
    ...(typeof fields.size === 'number' ? { size: fields.size } : {}),
    ...(client === undefined ? {} : { client }),
  }
}

/** In an acceptance a recipient is `{address, original}`, in a refusal an address, in that of a command the only one. */
function recipientsOf({ fields: { recipients, recipient } }: LoggedEvent): string[] {
  const list: unknown[] = Array.isArray(recipients) ? recipients : recipient === undefined ? [] : [recipient]
  return list.flatMap((one) => {
    const address = typeof one === 'object' ? (one as { address?: unknown } | null)?.address : one
    return typeof address === 'string' ? [address] : []
  })
}

function outcomeOf(accepted: LoggedEvent, attempts: LoggedEvent[]): MessageOutcome {
  const outcomes = new Map<string, string>()
  for (const attempt of attempts)
    if (attempt.type !== 'delivery.deferred')
      for (const recipient of recipientsOf(attempt)) outcomes.set(recipient.toLowerCase(), attempt.type)
  if (recipientsOf(accepted).some((recipient) => !outcomes.has(recipient.toLowerCase()))) return 'waiting'
  const all = new Set(outcomes.values())
  if (all.has('delivery.bounced')) return 'bounced'
  return all.has('delivery.delivered') ? 'delivered' : 'discarded'
}
