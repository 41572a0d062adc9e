import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { zstdCompressSync } from 'node:zlib'
import { figure, median, table } from './figures.ts'
import { hourMs, workerBatches } from './log-events.ts'

/**
 * What the log costs: CPU and bytes an event, and how long searches take, with many events kept.
 * `npm run bench:log [-- --events 10000000 | --quick] [-- --directory <where>]`; the directory is on the disk of the working
 * copy, because batches are synced.
 */

const root = new URL('../../', import.meta.url)
const { EventLog } = await import(new URL('db/log/log.ts', root).href)
const { openDirectoryStore } = await import(new URL('db/objects/directory-store.ts', root).href)

const { values: options } = parseArgs({
  options: {
    events: { type: 'string', default: '10000000' },
    quick: { type: 'boolean', default: false },
    directory: { type: 'string', default: fileURLToPath(root) },
  },
})
const wanted = options.quick ? 500_000 : Number(options.events)
const hours = 24
const end = Date.UTC(2026, 10, 30)
const logId = '0123456789ab'

const directory = await mkdtemp(join(options.directory, 'bench-log-'))
const store = await openDirectoryStore(join(directory, 'store'))
const openLog = () =>
  EventLog.open({
    store,
    directory: join(directory, 'store'),
    cache: join(directory, 'cache'),
    now: () => end,
    damaged: (key: string, reason: string) => console.error(`${key}: ${reason}`),
  })
let log = await openLog()

/** CPU of this process (all threads) in µs, wall time in ms. */
async function measured<T>(work: () => Promise<T> | T): Promise<{ result: T; cpu: number; ms: number }> {
  const cpu = process.cpuUsage()
  const begun = performance.now()
  const result = await work()
  const { user, system } = process.cpuUsage(cpu)
  return { result, cpu: user + system, ms: performance.now() - begun }
}

async function bytesOf(path: string, ending: string): Promise<number> {
  let bytes = 0
  for (const entry of await readdir(path, { recursive: true, withFileTypes: true }))
    if (entry.isFile() && entry.name.endsWith(ending)) bytes += (await stat(join(entry.parentPath, entry.name))).size
  return bytes
}

const ingest = { events: 0, raw: 0, batches: 0, compressing: 0, storing: 0 }
let sample: { messageId: string; recipient: string; at: number } | undefined
for (const { text, ...name } of workerBatches({ events: wanted, hours, end })) {
  const { result: content, cpu: compressing } = await measured(() => zstdCompressSync(text))
  const { cpu: storing } = await measured(() => log.append({ ...name, log: logId, content }))
  ingest.events += name.last - name.first + 1
  ingest.raw += Buffer.byteLength(text)
  ingest.batches++
  ingest.compressing += compressing
  ingest.storing += storing
  if (name.worker === 'smtp-1' && !sample && name.hour >= end - 12 * hourMs) sample = sampleOf(text)
}
if (!sample) throw new Error('no event to look for')
const { messageId, recipient, at: acceptedAt } = sample

function sampleOf(text: string): typeof sample {
  const line = text.split('\n').find((one) => one.includes('message.accepted')) ?? ''
  const { messageId, recipients, at } = JSON.parse(line)
  return { messageId, recipient: recipients[0].address, at: Date.parse(at) }
}

const zstBytes = await bytesOf(directory, '.zst')
const fresh = await searches('fresh (an hour of batches)', { since: end - hourMs })
const merge = await measured(() => log.merge())
const compaction = await measured(() => log.compact({ until: end - hourMs }))
// The last hour is still being written.
const rest = await measured(() => log.compact())
const parquetBytes = await bytesOf(directory, '.parquet')
const kept = await searches('all', {})

async function searches(what: string, period: { since?: number }): Promise<string[][]> {
  const limit = 50
  const queries: [string, () => Promise<{ items?: unknown[]; complete?: boolean } | unknown[]>][] = [
    ['first page', () => log.find({ ...period, limit })],
    ['recipient', () => log.find({ ...period, recipient, limit })],
    ['client network', () => log.find({ ...period, client: '198.51.17.0/25', limit })],
    ['free text, found', () => log.find({ ...period, q: 'greylisted tuesday', limit })],
    ['free text, nowhere', () => log.find({ ...period, q: 'no-such-word', limit })],
    ['top recipients', () => log.top({ ...period, by: 'recipient', limit: 10 })],
    ['chart, 5 minutes, by type', () => log.series({ ...period, stepMs: 300_000, by: 'type' })],
    ['trace', () => log.trace(messageId)],
    ['messages of a sender', () => log.messages({ ...period, sender: 'sender17@customer17.example', limit })],
    ['messages, 50 of an afternoon', () => log.messages({ until: acceptedAt, limit })],
  ]
  const rows: string[][] = []
  for (const [name, query] of queries) {
    if (period.since !== undefined && (name === 'trace' || name.includes('afternoon'))) continue
    await log.close()
    log = await openLog()
    const first = await measured(query)
    const again: { cpu: number; ms: number }[] = []
    for (let i = 0; i < 5; i++) again.push(await measured(query))
    const items = Array.isArray(first.result) ? first.result : (first.result.items ?? [])
    const cells = [first.ms, median(again.map(({ ms }) => ms)), median(again.map(({ cpu }) => cpu / 1_000))]
    rows.push([`${what}: ${name}`, ...cells.map(figure), String(items.length)])
  }
  return rows
}

const each = (cpu: number, events = ingest.events) => figure(cpu / events)
const compacted = compaction.result.events + rest.result.events
console.log(
  `${figure(ingest.events)} events of ${figure(ingest.raw / ingest.events)} bytes in ${ingest.batches} batches over ${hours} hours\n`,
)
console.log(
  table(
    ['cost of an event', 'now', 'row in libSQL'],
    [
      ['compressing it, on the worker (CPU µs)', each(ingest.compressing), '–'],
      ['storing it, in the API (CPU µs)', each(ingest.storing), '46'],
      ['merging batches (CPU µs)', each(merge.cpu), '–'],
      ['compaction (CPU µs)', each(compaction.cpu + rest.cpu, compacted), '–'],
      ['bytes as it came (zst)', each(zstBytes), '600'],
      ['bytes in Parquet', each(parquetBytes, compacted), '600'],
    ],
  ),
)
console.log(`\ncompaction took ${figure((compaction.ms + rest.ms) / 1_000)} s\n`)
console.log(table(['search', 'first, with the engine (ms)', 'again (ms)', 'CPU (ms)', 'found'], [...fresh, ...kept]))
const { maxRSS } = process.resourceUsage()
console.log(`\nmemory: ${figure(process.memoryUsage().rss / 1e6)} MB now, ${figure(maxRSS / 1e3)} MB at most`)
await log.close()
store.close()
await rm(directory, { recursive: true })
