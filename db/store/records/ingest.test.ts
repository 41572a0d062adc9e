import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { PosternEvent } from '@postern/contract/events.ts'
import { sql } from 'drizzle-orm'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { Database } from '../database.ts'
import { openRecords } from '../open.ts'
import { booksTotal } from './books.ts'
import { type Ingested, ingest } from './ingest.ts'

const id = (i: number) => `019a0000-0000-7000-8000-${String(i).padStart(12, '0')}`
const time = (i: number) => new Date(1_800_000_000_000 + i * 1000).toISOString()
const address = (i: number, r: number) => `r${r}@d${i % 3}.example`
const remote = { host: 'mx.example' }

/** What really happened to 12 messages with two recipients each, worker by worker in order. */
function history(): Record<'smtp-1' | 'queue-1', PosternEvent[]> {
  const smtp: PosternEvent[] = []
  const queue: PosternEvent[] = []
  for (let i = 0; i < 12; i++) {
    const recipients = [0, 1].map((r) => ({ address: address(i, r), original: address(i, r) }))
    const accepted = {
      type: 'message.accepted',
      messageId: id(i),
      origin: 'smtp',
      sender: 's@example.org',
      recipients,
      size: 10,
      revision: 1,
      rules: [],
    }
    smtp.push({ n: smtp.length + 1, at: time(i), ...accepted } as PosternEvent)
    const tell = (fields: { type: string; [name: string]: unknown }) =>
      queue.push({ n: queue.length + 1, at: time(i + queue.length), messageId: id(i), ...fields } as PosternEvent)
    const attempt = (r: number, n: number) => ({
      attempt: n,
      recipients: [address(i, r)],
      remote,
      reply: `reply ${n}`,
      durationMs: 1,
    })
    tell({ type: 'delivery.deferred', ...attempt(0, 1), nextTryAt: time(i + 60), cause: 'busy' })
    if (i % 4 === 1) tell({ type: 'message.held', by: 'op' })
    if (i % 8 === 1) tell({ type: 'message.released', by: 'op' })
    if (i % 3 === 0) tell({ type: 'delivery.delivered', ...attempt(0, 2) })
    if (i % 3 === 1) tell({ type: 'delivery.bounced', ...attempt(1, 1), cause: 'unknown', status: '5.1.1' })
    if (i % 3 === 2) tell({ type: 'delivery.discarded', recipients: [address(i, 1)], by: 'op' })
    // A Queue Manager that was killed tells it again under another number.
    if (i % 3 === 0) tell({ type: 'delivery.delivered', ...attempt(0, 2) })
  }
  return { 'smtp-1': smtp, 'queue-1': queue }
}

async function fresh(): Promise<Database> {
  return openRecords({ url: `file:${join(mkdtempSync(join(tmpdir(), 'postern-ingest-')), 'events.db')}` })
}

/** The batch is in the log store already. */
function put(database: Database, worker: string, events: readonly PosternEvent[]): Promise<Ingested> {
  return ingest(database, { worker, log: '0a1b2c3d4e5f', last: events.at(-1)?.n ?? 0 }, events)
}

async function state(database: Database) {
  return {
    messages: await database.all(sql`select id, worker, accepted_at, sender, state, hold from messages order by id`),
    recipients: await database.all(sql`select * from recipients order by message_id, address`),
    books: await database.all(sql`select * from books order by minute, worker`),
    total: await booksTotal(database),
    logs: await database.all(sql`select * from event_logs order by worker`),
  }
}

it('ends the same whatever the order of workers, the cutting and the repetition of batches', {
  timeout: 120_000,
}, async () => {
  const straight = await fresh()
  const all = history()
  await put(straight, 'smtp-1', all['smtp-1'])
  await put(straight, 'queue-1', all['queue-1'])
  const expected = await state(straight)
  expect(expected.total).toEqual({ received: 24, delivered: 4, bounced: 4, discarded: 4, duplicates: 4, queued: 12 })
  const cut = fc.array(
    fc.record({
      worker: fc.constantFrom('smtp-1' as const, 'queue-1' as const),
      size: fc.integer({ min: 1, max: 9 }),
      again: fc.boolean(),
    }),
    { minLength: 5, maxLength: 40 },
  )
  await fc.assert(
    fc.asyncProperty(cut, async (plan) => {
      const database = await fresh()
      const sent = { 'smtp-1': 0, 'queue-1': 0 }
      const send = async (worker: keyof typeof sent, from: number, to: number) => {
        if (from === to || from >= all[worker].length) return
        const { acknowledged } = await put(database, worker, all[worker].slice(from, to))
        expect(acknowledged).toBe(Math.max(sent[worker], Math.min(to, all[worker].length)))
        sent[worker] = acknowledged
      }
      for (const { worker, size, again } of plan) {
        await send(worker, again ? Math.max(0, sent[worker] - size) : sent[worker], sent[worker] + size)
      }
      for (const worker of ['queue-1', 'smtp-1'] as const) await send(worker, sent[worker], all[worker].length)
      expect(await state(database)).toEqual(expected)
      database.$client.close()
    }),
    { numRuns: 25 },
  )
})

it('counts and names what a second worker tells of a recipient that had its outcome already', async () => {
  const database = await fresh()
  const told = (n: number, recipients: string[]): PosternEvent => ({
    n,
    at: time(n),
    type: 'delivery.delivered',
    messageId: id(1),
    attempt: 1,
    recipients,
    remote,
    reply: '250 taken',
    durationMs: 1,
  })
  const recipients = ['a', 'b'].map((name) => ({ address: `${name}@d.example`, original: `${name}@d.example` }))
  const accepted = {
    type: 'message.accepted',
    messageId: id(1),
    origin: 'smtp',
    sender: 's@example.org',
    recipients,
  } as const
  await put(database, 'smtp-1', [{ n: 1, at: time(0), ...accepted, size: 10, revision: 1, rules: [] }])
  const first = await put(database, 'queue-1', [told(1, ['a@d.example', 'b@d.example'])])
  expect(first.repeated.size).toBe(0)
  const again = [told(1, ['a@d.example']), told(2, ['a@d.example', 'b@d.example'])]
  const second = await put(database, 'queue-2', again)
  expect([...second.repeated]).toEqual([[id(1), ['a@d.example', 'b@d.example']]])
  expect((await put(database, 'queue-2', again)).repeated.size).toBe(0)
  expect(await booksTotal(database)).toEqual({
    received: 2,
    delivered: 2,
    bounced: 0,
    discarded: 0,
    duplicates: 3,
    queued: 0,
  })
})
