import type { QueueCounts, QueuePage, WaitingMessage } from '@postern/contract/queue-mirror.ts'
import { eq, type SQL, sql } from 'drizzle-orm'
import type { Database, Queries } from '../database.ts'
import { queueMirrors } from './tables.ts'

/**
 * The copy of what waits in each Queue Manager, and the books that follow from its counts. A page is stored in one batch
 * with a fixed number of statements, on top of the state that was read before it, or not at all.
 */

type Mirror = typeof queueMirrors.$inferSelect

/** `expected`: the API has another position; the Queue Manager must tell everything again. */
export type StoredPage = { kind: 'stored'; position: number } | { kind: 'expected'; position: number }

/** Two processes that store pages of one Queue Manager at the same time: one of them looks again. */
const tries = 5

export async function storeQueuePage(
  database: Database,
  { queueManager, page, now }: { queueManager: string; page: QueuePage; now: number },
): Promise<StoredPage> {
  for (let i = 0; i < tries; i++) {
    const mirror = await mirrorOf(database, queueManager)
    const step = stepOf(mirror, page)
    if (step === 'taken') return { kind: 'stored', position: page.to }
    if (step === 'unexpected') return { kind: 'expected', position: Math.max(0, mirror.position) }
    if (await apply(database, { mirror, page, now })) return { kind: 'stored', position: page.to }
  }
  throw new Error(`a page of ${queueManager} was not stored: another process stores its pages`)
}

async function mirrorOf(database: Database, queueManager: string): Promise<Mirror> {
  const find = () => database.select().from(queueMirrors).where(eq(queueMirrors.queueManager, queueManager))
  const [found] = await find()
  if (found) return found
  await database.insert(queueMirrors).values({ queueManager }).onConflictDoNothing()
  return (await find())[0] as Mirror
}

function stepOf(mirror: Mirror, { incarnation, from, to, all }: QueuePage): 'store' | 'taken' | 'unexpected' {
  if (all) {
    if (all.run !== mirror.run) return all.page === 0 ? 'store' : 'unexpected'
    if (all.page < mirror.nextPage) return 'taken'
    return all.page === mirror.nextPage ? 'store' : 'unexpected'
  }
  if (incarnation !== mirror.incarnation || mirror.complete === 0) return 'unexpected'
  if (from === mirror.position) return 'store'
  return to === mirror.position && from < to ? 'taken' : 'unexpected'
}

async function apply(
  database: Database,
  { mirror, page, now }: { mirror: Mirror; page: QueuePage; now: number },
): Promise<boolean> {
  const { queueManager, version } = mirror
  if (page.all && database.$client.protocol === 'file') await prepareForManyPages(database)
  const { all, waiting, gone, counts } = page
  const run = all?.run ?? mirror.run
  const isComplete = all ? all.last : true
  const unchanged = sql`exists (select 1 from queue_mirrors where queue_manager = ${queueManager} and version = ${version})`
  const touched = sql`(select value from json_each(${JSON.stringify([...gone, ...waiting.map(({ id }) => id)])}))`
  const told = sql`queue_manager = ${queueManager} and ${unchanged}`
  const left = sql`${told} and ${isComplete && all ? sql`true` : sql`false`}`
  const before = sql`select id from waiting_messages where queue_manager = ${queueManager} and run <> ${run}`
  const results = await database.batch([
    database.run(sql`delete from waiting_recipients where ${told} and message_id in ${touched}`),
    database.run(sql`delete from waiting_messages where ${told} and id in ${touched}`),
    database.run(insertMessages({ queueManager, run, waiting, unchanged })),
    database.run(insertRecipients({ queueManager, waiting, unchanged })),
    database.run(sql`delete from waiting_recipients where ${left} and message_id in (${before})`),
    database.run(sql`delete from waiting_messages where ${left} and run <> ${run}`),
    database.run(addToBooks({ queueManager, delta: booksDelta(mirror, counts, now), unchanged })),
    database.run(sql`
      update queue_mirrors set version = version + 1, incarnation = ${page.incarnation}, run = ${run},
        position = ${isComplete ? page.to : -1}, complete = ${isComplete ? 1 : 0},
        next_page = ${all ? all.page + 1 : mirror.nextPage} ${counts ? lastCounts(counts) : sql``}
      where queue_manager = ${queueManager} and version = ${version}`),
  ])
  return (results.at(-1)?.rowsAffected ?? 0) === 1
}

/**
 * When everything is told, each page changes every page of the index by domain: with the usual cache of 2 MB they are read
 * and written again and again, and the log is copied into the file after each.
 */
async function prepareForManyPages(database: Database): Promise<void> {
  for (const setting of ['cache_size = -32768', 'wal_autocheckpoint = 8000'])
    await database.run(sql.raw(`pragma ${setting}`))
}

function lastCounts({ id, messages, received, delivered, bounced, discarded, waiting }: QueueCounts): SQL {
  return sql`, counts_id = ${id}, messages = ${messages}, received = ${received}, delivered = ${delivered},
    bounced = ${bounced}, discarded = ${discarded}, waiting = ${waiting}`
}

type Insert = { queueManager: string; waiting: readonly WaitingMessage[]; unchanged: SQL }

function insertMessages({ queueManager, run, waiting, unchanged }: Insert & { run: number }): SQL {
  const rows = waiting.map((message) => [
    message.id,
    message.worker,
    message.receivedAt,
    message.sender,
    message.size,
    message.subject ?? null,
    message.origin,
    message.client ? JSON.stringify(message.client) : null,
    message.revision,
    stateOf(message),
    message.hold ?? '',
  ])
  return sql`
    insert or replace into waiting_messages
      (queue_manager, run, id, worker, received_at, sender, size, subject, origin, client, revision, state, hold)
    select ${queueManager}, ${run}, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5,
      value ->> 6, value ->> 7, value ->> 8, value ->> 9, value ->> 10
    from json_each(${JSON.stringify(rows)}) where ${unchanged}`
}

function stateOf({ hold, recipients }: WaitingMessage): 'held' | 'deferred' | 'active' {
  if (hold !== undefined) return 'held'
  return recipients.some(({ attempts }) => attempts > 0) ? 'deferred' : 'active'
}

function insertRecipients({ queueManager, waiting, unchanged }: Insert): SQL {
  const rows = waiting.flatMap(({ id, recipients }) =>
    recipients.map((to, n) => [
      id,
      n,
      to.address,
      to.original,
      to.address.slice(to.address.lastIndexOf('@') + 1),
      to.attempts,
      to.lastReply ?? null,
      to.cause ?? null,
      to.waitingCause ?? null,
      to.nextTryAt ?? null,
    ]),
  )
  return sql`
    insert or replace into waiting_recipients (queue_manager, message_id, n, address, original, domain, attempts,
      last_reply, cause, waiting_cause, next_try_at)
    select ${queueManager}, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6,
      value ->> 7, value ->> 8, value ->> 9
    from json_each(${JSON.stringify(rows)}) where ${unchanged}`
}

type BooksDelta = {
  at: number
  messages: number
  received: number
  delivered: number
  bounced: number
  discarded: number
}

/**
 * What the counts add to the books. If counting started again at 0, or files were put back from a backup, what waits was
 * received a second time: what waited before is taken out of `received`. The first counts that this database sees belong
 * to the time when counting began.
 */
export function booksDelta(
  last: Omit<QueueCounts, 'id' | 'since'> & { countsId: number | null },
  next: QueueCounts | undefined,
  now: number,
): BooksDelta {
  if (!next) return { at: now, messages: 0, received: 0, delivered: 0, bounced: 0, discarded: 0 }
  const { messages, received, delivered, bounced, discarded } = next
  if (last.countsId === null)
    return { at: Math.min(next.since, now), messages, received, delivered, bounced, discarded }
  if (last.countsId !== next.id)
    return { at: now, messages, received: received - last.waiting, delivered, bounced, discarded }
  const ended = {
    delivered: delivered - last.delivered,
    bounced: bounced - last.bounced,
    discarded: discarded - last.discarded,
  }
  if (Object.values(ended).some((n) => n < 0))
    return { at: now, messages: 0, received: next.waiting - last.waiting, delivered: 0, bounced: 0, discarded: 0 }
  return { at: now, messages: messages - last.messages, received: received - last.received, ...ended }
}

const minuteOf = (at: number): number => Math.floor(at / 60_000) * 60_000

function addToBooks({
  queueManager,
  delta: { at, messages, received, delivered, bounced, discarded },
  unchanged,
}: {
  queueManager: string
  delta: BooksDelta
  unchanged: SQL
}): SQL {
  const isAny = [messages, received, delivered, bounced, discarded].some((n) => n !== 0)
  return sql`
    insert into books (minute, worker, messages, received, delivered, bounced, discarded)
    select ${minuteOf(at)}, ${queueManager}, ${messages}, ${received}, ${delivered}, ${bounced}, ${discarded}
    where ${unchanged} and ${isAny ? sql`true` : sql`false`}
    on conflict (minute, worker) do update set messages = books.messages + excluded.messages,
      received = books.received + excluded.received, delivered = books.delivered + excluded.delivered,
      bounced = books.bounced + excluded.bounced, discarded = books.discarded + excluded.discarded`
}

/** Makes every Queue Manager tell everything again with its next page, within seconds. Nothing is removed before. */
export async function tellEverythingAgain(queries: Queries): Promise<string[]> {
  const asked = await queries
    .update(queueMirrors)
    .set({ position: -1 })
    .where(eq(queueMirrors.complete, 1))
    .returning({ queueManager: queueMirrors.queueManager })
  return asked.map(({ queueManager }) => queueManager)
}

export async function waitingIn(queries: Queries, queueManager: string): Promise<number> {
  const [row] = await queries.all<{ n: number }>(
    sql`select count(*) as n from waiting_messages where queue_manager = ${queueManager}`,
  )
  return row?.n ?? 0
}

/**
 * Removes what waits in a Queue Manager that does not exist any more, and takes it out of `received`. If it comes back, it
 * tells everything, which is received again then.
 */
export async function forgetWaiting(database: Database, queueManager: string, now: number): Promise<void> {
  const mirror = await mirrorOf(database, queueManager)
  const unchanged = sql`exists (select 1 from queue_mirrors where queue_manager = ${queueManager} and version = ${mirror.version})`
  const delta = { at: now, messages: 0, received: -mirror.waiting, delivered: 0, bounced: 0, discarded: 0 }
  await database.batch([
    database.run(sql`delete from waiting_recipients where queue_manager = ${queueManager} and ${unchanged}`),
    database.run(sql`delete from waiting_messages where queue_manager = ${queueManager} and ${unchanged}`),
    database.run(addToBooks({ queueManager, delta, unchanged })),
    database.run(sql`
      update queue_mirrors set position = -1, complete = 0, run = 0, version = version + 1, received = received - waiting,
        waiting = 0 where queue_manager = ${queueManager} and version = ${mirror.version}`),
  ])
}
