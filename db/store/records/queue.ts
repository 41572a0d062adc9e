import type { QueueFilter, QueueState } from '@postern/contract/orders.ts'
import type { WaitingCause } from '@postern/contract/waiting-causes.ts'
import { type SQL, sql } from 'drizzle-orm'
import { all, contains, type Queries } from '../database.ts'
import type { Outcome } from './event-effects.ts'

/** Messages as described by their events. Only accepted messages are in the queue. */

export type MessageRow = {
  id: string
  worker: string
  acceptedAt: number | null
  sender: string
  size: number
  subject: string | null
  origin: string
  client: string | null
  revision: number | null
  state: QueueState | 'finished'
  hold: string
}

const columns = sql.raw(
  'm.id, m.worker, m.accepted_at as acceptedAt, m.sender, m.size, m.subject, m.origin, m.client, m.revision, m.state, m.hold',
)

/**
 * Builds the filter condition. `text` searches sender, subject, recipient and cause. `now` is needed for
 * `olderThanMinutes`.
 */
function matching(filter: QueueFilter & { text?: string | undefined }, now: number): SQL {
  const { text, state, domain, sender, recipient, cause, olderThanMinutes } = filter
  const waiting = (condition: SQL) =>
    sql`exists (select 1 from recipients r where r.message_id = m.id and r.outcome = 'waiting' and ${condition})`
  return all([
    state === undefined ? sql`m.state in ('active', 'deferred', 'held')` : sql`m.state = ${state}`,
    sql`m.accepted_at is not null`,
    domain === undefined ? undefined : waiting(sql`r.domain = ${domain.toLowerCase()}`),
    sender === undefined ? undefined : sql`m.sender like ${contains(sender)} escape '\\'`,
    recipient === undefined ? undefined : waiting(sql`r.address like ${contains(recipient)} escape '\\'`),
    cause === undefined
      ? undefined
      : sql`(m.hold like ${contains(cause)} escape '\\' or ${waiting(
          sql`(r.waiting_cause = ${cause} or r.cause like ${contains(cause)} escape '\\' or r.last_reply like ${contains(cause)} escape '\\')`,
        )})`,
    text === undefined
      ? undefined
      : sql`(m.sender like ${contains(text)} escape '\\' or m.subject like ${contains(text)} escape '\\'
          or m.hold like ${contains(text)} escape '\\' or m.id = ${text} or ${waiting(
            sql`(r.address like ${contains(text)} escape '\\' or r.cause like ${contains(text)} escape '\\'
              or r.last_reply like ${contains(text)} escape '\\')`,
          )})`,
    olderThanMinutes === undefined ? undefined : sql`m.accepted_at <= ${now - olderThanMinutes * 60_000}`,
  ])
}

export type QueuePage = {
  filter: QueueFilter & { text?: string | undefined }
  now: number
  limit: number
  after?: string | undefined
}

/** Returns queued messages, oldest first. Ids increase with time. */
export function queuedMessages(queries: Queries, { filter, now, limit, after }: QueuePage): Promise<MessageRow[]> {
  return queries.all<MessageRow>(sql`
    select ${columns} from messages m where ${matching(filter, now)} and m.id > ${after ?? ''} order by m.id limit ${limit}`)
}

export function queuedIds(queries: Queries, { filter, now, limit, after }: QueuePage): Promise<{ id: string }[]> {
  return queries.all(sql`
    select m.id from messages m where ${matching(filter, now)} and m.id > ${after ?? ''} order by m.id limit ${limit}`)
}

export type RecipientRow = {
  messageId: string
  address: string
  original: string
  outcome: Outcome
  attempts: number
  lastReply: string | null
  cause: string | null
  nextTryAt: number | null
}

export function recipientsOf(queries: Queries, messageIds: string[]): Promise<RecipientRow[]> {
  return queries.all<RecipientRow>(sql`
    select message_id as messageId, address, original, outcome, attempts, last_reply as lastReply, cause, next_try_at as nextTryAt
    from recipients where message_id in (select value from json_each(${JSON.stringify(messageIds)})) order by message_id, address`)
}

export async function messageById(queries: Queries, id: string): Promise<MessageRow | undefined> {
  const [row] = await queries.all<MessageRow>(sql`select ${columns} from messages m where m.id = ${id}`)
  return row
}

export async function queueCounts(queries: Queries) {
  const states = await queries.all<{ state: QueueState; n: number; oldest: number }>(sql`
    select state, count(*) as n, min(accepted_at) as oldest from messages
    where state in ('active', 'deferred', 'held') and accepted_at is not null group by state`)
  const waiting = sql.raw(
    "recipients r join messages m on m.id = r.message_id where r.outcome = 'waiting' and m.accepted_at is not null",
  )
  const domains = await queries.all<{ domain: string; messages: number }>(sql`
    select r.domain, count(distinct r.message_id) as messages from ${waiting} group by r.domain order by messages desc limit 10`)
  const causes = await queries.all<{ cause: string; messages: number }>(sql`
    select coalesce(r.waiting_cause, 'refused-for-now') as cause, count(distinct r.message_id) as messages from ${waiting}
      and r.attempts > 0 group by 1 order by messages desc, 1 limit 10`)
  return { states, domains, causes }
}

export type WaitingGroup = {
  domain: string
  /** `held`, `not-tried`, or the cause of the last attempt. */
  cause: WaitingCause
  messages: number
  recipients: number
  oldest: number
  nextTryAt: number | null
  /** The newest of the messages. */
  messageId: string
  reply: string
}

/** Groups waiting mail by recipient domain and cause, in descending order of messages. */
export async function waitingGroups(queries: Queries, limit: number): Promise<WaitingGroup[]> {
  const found = await queries.all<Omit<WaitingGroup, 'messageId' | 'reply'> & { example: string }>(sql`
    select r.domain, case when m.hold <> '' then 'held' else coalesce(r.waiting_cause, iif(r.attempts > 0, 'refused-for-now', 'not-tried')) end as cause,
      count(distinct r.message_id) as messages, count(*) as recipients, min(m.accepted_at) as oldest,
      min(r.next_try_at) as nextTryAt,
      max(r.message_id || case when m.hold <> '' then m.hold else coalesce(r.last_reply, '') end) as example
    from recipients r join messages m on m.id = r.message_id
    where r.outcome = 'waiting' and m.accepted_at is not null group by 1, 2 order by messages desc, 1, 2 limit ${limit}`)
  return found.map(({ example, ...group }) => ({
    ...group,
    messageId: example.slice(0, idLength),
    reply: example.slice(idLength),
  }))
}

/** Length of a message id. */
const idLength = 36

/** Returns the acceptance time of the message that has waited longest for delivery, not counting held ones. */
export async function oldestWaiting(queries: Queries): Promise<number | undefined> {
  const [row] = await queries.all<{ at: number | null }>(
    sql`select min(accepted_at) as at from messages where state in ('active', 'deferred')`,
  )
  return row?.at ?? undefined
}
