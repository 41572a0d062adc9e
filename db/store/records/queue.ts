import type { QueueFilter, QueueState } from '@postern/contract/orders.ts'
import type { WaitingCause } from '@postern/contract/waiting-causes.ts'
import { type SQL, sql } from 'drizzle-orm'
import { all, contains, type Queries } from '../database.ts'

/** What waits, as the Queue Managers told it (queue-mirror.ts). */

export type MessageRow = {
  id: string
  worker: string
  receivedAt: number
  sender: string
  size: number
  subject: string | null
  origin: string
  client: string | null
  revision: number
  state: QueueState
  hold: string
}

const columns = sql.raw(
  'm.id, m.worker, m.received_at as receivedAt, m.sender, m.size, m.subject, m.origin, m.client, m.revision, m.state, m.hold',
)

/**
 * Builds the filter condition. `text` searches sender, subject, recipient and cause. `now` is needed for
 * `olderThanMinutes`.
 */
function matching(filter: QueueFilter & { text?: string | undefined }, now: number): SQL {
  const { text, state, domain, sender, recipient, cause, olderThanMinutes } = filter
  const waiting = (condition: SQL) =>
    sql`exists (select 1 from waiting_recipients r where r.message_id = m.id and r.queue_manager = m.queue_manager and ${condition})`
  return all([
    state === undefined ? undefined : sql`m.state = ${state}`,
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
    olderThanMinutes === undefined ? undefined : sql`m.received_at <= ${now - olderThanMinutes * 60_000}`,
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
    select ${columns} from waiting_messages m where ${matching(filter, now)} and m.id > ${after ?? ''} order by m.id limit ${limit}`)
}

export function queuedIds(queries: Queries, { filter, now, limit, after }: QueuePage): Promise<{ id: string }[]> {
  return queries.all(sql`
    select m.id from waiting_messages m where ${matching(filter, now)} and m.id > ${after ?? ''} order by m.id limit ${limit}`)
}

export type RecipientRow = {
  messageId: string
  address: string
  original: string
  attempts: number
  lastReply: string | null
  cause: string | null
  nextTryAt: number | null
}

export function recipientsOf(queries: Queries, messageIds: string[]): Promise<RecipientRow[]> {
  return queries.all<RecipientRow>(sql`
    select message_id as messageId, address, original, attempts, last_reply as lastReply, cause, next_try_at as nextTryAt
    from waiting_recipients where message_id in (select value from json_each(${JSON.stringify(messageIds)}))
    order by message_id, n`)
}

export async function waitingMessage(queries: Queries, id: string): Promise<MessageRow | undefined> {
  const [row] = await queries.all<MessageRow>(sql`select ${columns} from waiting_messages m where m.id = ${id}`)
  return row
}

export async function queueCounts(queries: Queries) {
  const states = await queries.all<{ state: QueueState; n: number; oldest: number }>(sql`
    select state, count(*) as n, min(received_at) as oldest from waiting_messages group by state`)
  const domains = await queries.all<{ domain: string; messages: number }>(sql`
    select domain, count(distinct message_id) as messages from waiting_recipients group by domain
    order by messages desc limit 10`)
  const causes = await queries.all<{ cause: string; messages: number }>(sql`
    select coalesce(waiting_cause, 'refused-for-now') as cause, count(distinct message_id) as messages
    from waiting_recipients where attempts > 0 group by 1 order by messages desc, 1 limit 10`)
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
      count(distinct r.message_id) as messages, count(*) as recipients, min(m.received_at) as oldest,
      min(r.next_try_at) as nextTryAt,
      max(r.message_id || case when m.hold <> '' then m.hold else coalesce(r.last_reply, '') end) as example
    from waiting_recipients r join waiting_messages m on m.id = r.message_id and m.queue_manager = r.queue_manager
    group by 1, 2 order by messages desc, 1, 2 limit ${limit}`)
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
    sql`select min(received_at) as at from waiting_messages where state in ('active', 'deferred')`,
  )
  return row?.at ?? undefined
}
