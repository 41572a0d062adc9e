import { eventTypeNames, messageIdOf, type PosternEvent, parseEvent, sentenceOf } from '@postern/contract/events.ts'
import { isOperational } from '@postern/contract/log-lines.ts'
import { sql } from 'drizzle-orm'
import type { Database, Queries } from '../database.ts'
import { countsOf, type EventEffects, effectsOf, recipientKey } from './event-effects.ts'

/** An event as received. Only its number has been checked. */
export type RawEvent = { n: number; at: string; type: string; [field: string]: unknown }

export type Ingested = {
  /** Storage has everything up to and including this number. */
  acknowledged: number
  /** Number of events that were not stored before. */
  stored: number
  /** Recipients that already had an outcome when this batch reported another, by message. */
  repeated: ReadonlyMap<string, string[]>
}

/**
 * Stores a worker's batch of at most 500 events. Numbers that are already stored are skipped. Uses one transaction with
 * a fixed number of statements, independent of the batch. When it resolves, the events are durable.
 */
export function ingest(database: Database, worker: string, batch: readonly RawEvent[]): Promise<Ingested> {
  return database.transaction(async (queries) => {
    const [cursor] = await queries.all<{ acknowledged: number; highest: number }>(
      sql`select acknowledged, highest from workers where id = ${worker}`,
    )
    const { acknowledged = 0, highest = 0 } = cursor ?? {}
    const fresh = await unseen(queries, { worker, batch, acknowledged, highest })
    if (fresh.length === 0) return { acknowledged, stored: 0, repeated: new Map() }
    const events = fresh.map(understood)
    const top = Math.max(highest, ...fresh.map(({ n }) => n))
    await store(queries, worker, fresh, events)
    const repeated = await apply(queries, worker, effectsOf(events.filter((event) => event !== undefined)))
    const upTo = await contiguous(queries, { worker, acknowledged, top })
    await dropUnlogged(queries, { worker, acknowledged, upTo })
    await queries.run(sql`
      insert into workers (id, service, enrolled_at, heartbeat_at, acknowledged, highest) values (${worker}, '', 0, 0, ${upTo}, ${top})
      on conflict (id) do update set acknowledged = excluded.acknowledged, highest = excluded.highest`)
    return { acknowledged: upTo, stored: fresh.length, repeated }
  })
}

type Unseen = { worker: string; batch: readonly RawEvent[]; acknowledged: number; highest: number }

async function unseen(queries: Queries, { worker, batch, acknowledged, highest }: Unseen): Promise<RawEvent[]> {
  const byNumber = new Map<number, RawEvent>()
  for (const event of batch) if (event.n > acknowledged) byNumber.set(event.n, event)
  const numbers = [...byNumber.keys()].filter((n) => n <= highest)
  if (numbers.length > 0) {
    const stored = await queries.all<{ n: number }>(sql`
      select n from events where worker = ${worker} and n in (select value from json_each(${JSON.stringify(numbers)}))`)
    for (const { n } of stored) byNumber.delete(n)
  }
  return [...byNumber.values()].sort((a, b) => a.n - b.n)
}

/**
 * Parses an event; `undefined` if this version does not know its type or shape. Such an event is stored as received and
 * changes no projection.
 */
function understood(event: RawEvent): PosternEvent | undefined {
  try {
    return parseEvent(event)
  } catch {
    return undefined
  }
}

async function store(
  queries: Queries,
  worker: string,
  fresh: readonly RawEvent[],
  events: readonly (PosternEvent | undefined)[],
): Promise<void> {
  const input = fresh.map((raw, i) => {
    const event = events[i]
    const { n, at, type, ...fields } = event ?? raw
    const when = Date.parse(at)
    return [
      n,
      Number.isNaN(when) ? 0 : when,
      type.slice(0, 100),
      event ? (messageIdOf(event) ?? null) : null,
      textOf(raw, event),
      JSON.stringify(fields),
    ]
  })
  const [before] = await queries.all<{ seq: number }>(sql`select coalesce(max(seq), 0) as seq from events`)
  await queries.run(sql`
    with given as materialized (select value from json_each(${JSON.stringify(input)}))
    insert into events (worker, n, at, type, message_id, text, json)
    select ${worker}, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5 from given`)
  await queries
    .run(
      sql`insert into events_text (rowid, text) select seq, text from events where seq > ${before?.seq ?? 0} and text <> ''`,
    )
    .catch(ignoreWithoutFts)
}

/** Returns the text of an event. Events outside the log have none; search and stream use this to exclude them. */
function textOf(raw: RawEvent, event: PosternEvent | undefined): string {
  if (raw.log === false) return ''
  return event ? sentenceOf(event) : unknownText(raw.type)
}

/** Drops events that neither the log nor the operational record needs. They were stored only for their numbers. */
async function dropUnlogged(
  queries: Queries,
  { worker, acknowledged, upTo }: { worker: string; acknowledged: number; upTo: number },
): Promise<void> {
  await queries.run(sql`
    delete from events where worker = ${worker} and n > ${acknowledged} and n <= ${upTo} and text = ''
      and type in (select value from json_each(${unneeded}))`)
}

const unneeded = JSON.stringify(eventTypeNames.filter((type) => !isOperational(type)))

const unknownText = (type: string) =>
  (eventTypeNames as string[]).includes(type) ? 'an event that this version cannot read' : 'an event of a newer version'

function ignoreWithoutFts(error: unknown): void {
  const text = error instanceof Error ? `${error.message} ${String(error.cause)}` : ''
  if (!text.includes('no such table: events_text')) throw error
}

async function contiguous(
  queries: Queries,
  { worker, acknowledged, top }: { worker: string; acknowledged: number; top: number },
): Promise<number> {
  const [gap] = await queries.all<{ n: number | null }>(sql`
    select min(e.n) as n from events e where e.worker = ${worker} and e.n > ${acknowledged}
      and not exists (select 1 from events f where f.worker = e.worker and f.n = e.n + 1)`)
  const [next] = await queries.all<{ n: number }>(
    sql`select count(*) as n from events where worker = ${worker} and n = ${acknowledged + 1}`,
  )
  return next?.n ? (gap?.n ?? top) : acknowledged
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
