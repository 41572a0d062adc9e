import type { PosternEvent } from '@postern/contract/events.ts'
import { and, eq, sql } from 'drizzle-orm'
import type { Database, Queries } from '../database.ts'
import { countsOf, type EventEffects, effectsOf, recipientKey } from './event-effects.ts'
import { eventLogs } from './tables.ts'

/** The numbers `first` to `last` of a worker's log, which storage keeps in the log store. */
export type StoredBatch = { worker: string; log: string; last: number }

export type Ingested = {
  /** Storage has the log up to and including this number. */
  acknowledged: number
  /** Recipients that already had an outcome when this batch reported another, by message. */
  repeated: ReadonlyMap<string, string[]>
}

/** Returns the number up to which storage has a log of a worker; 0 for an unknown one. */
export async function storedUpTo(queries: Queries, worker: string, log: string): Promise<number> {
  const [row] = await queries
    .select({ acknowledged: eventLogs.acknowledged })
    .from(eventLogs)
    .where(and(eq(eventLogs.worker, worker), eq(eventLogs.log, log)))
  return row?.acknowledged ?? 0
}

/**
 * Records that a batch is in the log store, and applies the effects of its events. Events that storage already had have
 * no effect again. Uses one transaction with a fixed number of statements, independent of the batch.
 */
export function ingest(
  database: Database,
  { worker, log, last }: StoredBatch,
  events: readonly PosternEvent[],
): Promise<Ingested> {
  return database.transaction(async (queries) => {
    const acknowledged = await storedUpTo(queries, worker, log)
    if (last <= acknowledged) return { acknowledged, repeated: new Map() }
    const fresh = events.filter(({ n }) => n > acknowledged)
    const repeated = await apply(queries, worker, effectsOf(fresh))
    await queries
      .insert(eventLogs)
      .values({ worker, log, acknowledged: last })
      .onConflictDoUpdate({ target: [eventLogs.worker, eventLogs.log], set: { acknowledged: last } })
    return { acknowledged: last, repeated }
  })
}

async function apply(queries: Queries, worker: string, effects: EventEffects): Promise<ReadonlyMap<string, string[]>> {
  const repeated = await countRecipients(queries, effects)
  await upsertRecipients(queries, effects)
  await upsertMessages(queries, worker, effects)
  await addToBooks(queries, worker, effects)
  return repeated
}

/**
 * Counts only recipients and outcomes that the tables do not have yet: a recipient is received once and ends once,
 * however often that is reported.
 */
async function countRecipients(
  queries: Queries,
  { messages, recipients, minutes }: EventEffects,
): Promise<ReadonlyMap<string, string[]>> {
  const accepted = [...messages.values()].filter((message) => message.accepted)
  if (accepted.length > 0) {
    const ids = JSON.stringify(accepted.map(({ id }) => id))
    const known = await queries.all<{ id: string }>(
      sql`select id from messages where accepted_at is not null and id in (select value from json_each(${ids}))`,
    )
    const knownIds = new Set(known.map(({ id }) => id))
    for (const { id, accepted: event } of accepted) {
      if (!event || knownIds.has(id)) continue
      const counts = countsOf(minutes, event.at)
      counts.messages++
      counts.received += new Set(event.fields.recipients.map(({ address }) => address)).size
    }
  }
  const ended = [...recipients.values()].filter(({ outcome }) => outcome !== 'waiting')
  const twice = new Map<string, string[]>()
  if (ended.length === 0) return twice
  const pairs = JSON.stringify(ended.map(({ messageId, address }) => [messageId, address]))
  const known = await queries.all<{ messageId: string; address: string }>(sql`
    select r.message_id as messageId, r.address from json_each(${pairs}) given
      join recipients r on r.message_id = given.value ->> 0 and r.address = given.value ->> 1
    where r.outcome <> 'waiting'`)
  const knownKeys = new Set(known.map(({ messageId, address }) => recipientKey(messageId, address)))
  for (const { messageId, address, outcome, finalAt, repeated } of ended) {
    const isKnown = knownKeys.has(recipientKey(messageId, address))
    if (outcome !== 'waiting' && !isKnown) countsOf(minutes, finalAt)[outcome]++
    const again = repeated + (isKnown ? 1 : 0)
    if (again === 0) continue
    countsOf(minutes, finalAt).duplicates += again
    twice.set(messageId, [...(twice.get(messageId) ?? []), address])
  }
  return twice
}

async function upsertRecipients(queries: Queries, { recipients }: EventEffects): Promise<void> {
  if (recipients.size === 0) return
  const input = [...recipients.values()].map((effect) => [
    effect.messageId,
    effect.address,
    effect.original ?? '',
    effect.address.slice(effect.address.lastIndexOf('@') + 1),
    effect.outcome,
    effect.attempts,
    effect.lastReply ?? null,
    effect.cause ?? null,
    effect.waitingCause ?? null,
    effect.nextTryAt ?? null,
  ])
  const newer = sql.raw('excluded.attempts >= recipients.attempts and excluded.last_reply is not null')
  await queries.run(sql`
    with given as materialized (select value from json_each(${JSON.stringify(input)}))
    insert into recipients (message_id, address, original, domain, outcome, attempts, last_reply, cause, waiting_cause, next_try_at)
    select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7, value ->> 8,
      value ->> 9
    from given where true
    on conflict (message_id, address) do update set
      original = iif(excluded.original <> '', excluded.original, recipients.original),
      outcome = iif(recipients.outcome = 'waiting', excluded.outcome, recipients.outcome),
      last_reply = iif(recipients.outcome = 'waiting' and ${newer}, excluded.last_reply, recipients.last_reply),
      cause = iif(${newer} and excluded.cause is not null, excluded.cause, recipients.cause),
      waiting_cause = iif(${newer} and excluded.waiting_cause is not null, excluded.waiting_cause, recipients.waiting_cause),
      next_try_at = iif(${newer} and excluded.next_try_at is not null, excluded.next_try_at, recipients.next_try_at),
      attempts = max(excluded.attempts, recipients.attempts)`)
}

async function upsertMessages(queries: Queries, worker: string, { messages }: EventEffects): Promise<void> {
  if (messages.size === 0) return
  const input = [...messages.values()].map(({ id, accepted, hold, touchedAt }) => [
    id,
    accepted?.at ?? null,
    accepted?.fields.sender ?? '',
    accepted?.fields.size ?? 0,
    accepted?.fields.subject ?? null,
    accepted?.fields.origin ?? 'smtp',
    accepted?.fields.client ? JSON.stringify(accepted.fields.client) : null,
    accepted?.fields.revision ?? null,
    hold?.by ?? '',
    hold?.at ?? 0,
    touchedAt,
  ])
  const first = sql.raw('messages.accepted_at is null and excluded.accepted_at is not null')
  const set = (column: string) =>
    sql`${sql.raw(column)} = iif(${first}, ${sql.raw(`excluded.${column}`)}, ${sql.raw(`messages.${column}`)})`
  const columns = ['worker', 'sender', 'size', 'subject', 'origin', 'client', 'revision', 'accepted_at']
  await queries.run(sql`
    with given as materialized (select value from json_each(${JSON.stringify(input)}))
    insert into messages (id, worker, accepted_at, sender, size, subject, origin, client, revision, hold, hold_at, touched_at)
    select value ->> 0, ${worker}, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
      value ->> 8, value ->> 9, value ->> 10
    from given where true
    on conflict (id) do update set ${sql.join(columns.map(set), sql`, `)},
      hold = iif(excluded.hold_at > messages.hold_at, excluded.hold, messages.hold),
      hold_at = max(excluded.hold_at, messages.hold_at),
      touched_at = max(excluded.touched_at, messages.touched_at)`)
  const waits = sql.raw("from recipients r where r.message_id = messages.id and r.outcome = 'waiting'")
  await queries.run(sql`
    update messages set state = case
      when not exists (select 1 ${waits}) then 'finished'
      when hold <> '' then 'held'
      when exists (select 1 ${waits} and r.attempts > 0) then 'deferred'
      else 'active' end
    where id in (select value from json_each(${JSON.stringify([...messages.keys()])}))`)
}

async function addToBooks(queries: Queries, worker: string, { minutes }: EventEffects): Promise<void> {
  if (minutes.size === 0) return
  const columns = [
    'received',
    'delivered',
    'bounced',
    'discarded',
    'messages',
    'deferred',
    'refused',
    'loginFailures',
    'duplicates',
  ] as const
  const input = [...minutes].map(([minute, counts]) => [minute, ...columns.map((column) => counts[column])])
  const sums = 'received delivered bounced discarded messages deferred refused login_failures duplicates'
    .split(' ')
    .map((column) => `${column} = books.${column} + excluded.${column}`)
  await queries.run(sql`
    insert into books (minute, worker, received, delivered, bounced, discarded, messages, deferred, refused, login_failures, duplicates)
    select value ->> 0, ${worker}, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7, value ->> 8, value ->> 9
    from json_each(${JSON.stringify(input)}) where true
    on conflict (minute, worker) do update set ${sql.raw(sums.join(', '))}`)
}
