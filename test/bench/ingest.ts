import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'

/**
 * Measures how many events per second storage takes on one core, durably, with the message view, the books and the full
 * text index, and how long one batch blocks the event loop. `node test/bench/ingest.ts [messages]`
 */
const root = new URL('../../', import.meta.url)
const { openRecords } = await import(new URL('db/store/open.ts', root).href)
const { ingest } = await import(new URL('db/store/records/ingest.ts', root).href)
const { booksTotal } = await import(new URL('db/store/records/books.ts', root).href)
const { yieldToEventLoop } = await import(new URL('db/store/database.ts', root).href)

const messages = Number(process.argv[2] ?? 40_000)
const batch = 500
const directory = await mkdtemp(join(tmpdir(), 'postern-ingest-'))
const records = await openRecords({ url: `file:${join(directory, 'events.db')}` })
const bodies = [...batchesOf('smtp-1', smtpEvents()), ...batchesOf('queue-1', queueEvents())].sort(
  (a, b) => a.at - b.at,
)

const delay = monitorEventLoopDelay({ resolution: 1 })
delay.enable()
const cpu = process.cpuUsage()
const startedAt = performance.now()
const took: number[] = []
for (const { worker, body } of bodies) {
  const from = performance.now()
  await ingest(records, worker, (JSON.parse(body) as { events: never[] }).events)
  took.push(performance.now() - from)
  await yieldToEventLoop()
}
const ms = performance.now() - startedAt
const { user, system } = process.cpuUsage(cpu)
delay.disable()

const events = messages * 2
const total = await booksTotal(records)
if (total.received !== messages || total.delivered !== messages)
  throw new Error(`the books are wrong: ${JSON.stringify(total)}`)
took.sort((a, b) => a - b)
console.log(`${events} events of ${messages} messages in batches of ${batch}`)
console.log(`${Math.round((events / ms) * 1000)} events/s; ${((user + system) / events).toFixed(1)} µs of CPU an event`)
console.log(
  `a batch: p50 ${at(took, 0.5)} ms, p99 ${at(took, 0.99)} ms; event loop held at most ${Math.round(delay.max / 1e6)} ms`,
)
records.$client.close()
await rm(directory, { recursive: true })

function at(sorted: number[], share: number): string {
  return (sorted[Math.floor((sorted.length - 1) * share)] ?? 0).toFixed(1)
}

function* smtpEvents() {
  for (let i = 0; i < messages; i++)
    yield {
      type: 'message.accepted',
      messageId: idOf(i),
      origin: 'smtp',
      client: { ip: '192.0.2.7', helo: 'client.example' },
      sender: 'jane@example.org',
      recipients: [{ address: recipientOf(i), original: recipientOf(i) }],
      size: 1024,
      subject: 'The figures of the quarter',
      revision: 3,
      rules: ['rcpt: local-domain'],
    }
}

function* queueEvents() {
  for (let i = 0; i < messages; i++) {
    const attempt = {
      messageId: idOf(i),
      attempt: 1,
      recipients: [recipientOf(i)],
      remote: { host: 'mx.example.net', address: '192.0.2.25', port: 25 },
    }
    yield { type: 'delivery.delivered', ...attempt, reply: '250 2.0.0 Ok: queued as 4F7D21', durationMs: 12 }
  }
}

function* batchesOf(worker: string, all: Iterable<object>) {
  let n = 0
  let some: object[] = []
  const perMessage = worker === 'smtp-1' ? 1 : 2
  for (const event of all) {
    n++
    some.push({ n, at: new Date(1_800_000_000_000 + Math.floor(n / perMessage)).toISOString(), ...event })
    if (some.length < batch) continue
    yield { worker, at: n / perMessage, body: JSON.stringify({ events: some }) }
    some = []
  }
  if (some.length > 0) yield { worker, at: n / perMessage, body: JSON.stringify({ events: some }) }
}

function idOf(i: number): string {
  return `019a0000-0000-7000-8000-${String(i).padStart(12, '0')}`
}

function recipientOf(i: number): string {
  return `user${i % 997}@example${i % 13}.net`
}
