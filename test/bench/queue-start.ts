import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { emptyReplica } from '@postern/contract/rows.ts'
import { generalSchema } from '@postern/contract/settings/general.ts'
import { queueSchema } from '@postern/contract/settings/queue.ts'
import { Dns } from '@postern/net/dns.ts'
import { nothingCounted } from '@postern/queue/index/counts.ts'
import { IndexDatabase } from '@postern/queue/index/index-database.ts'
import type { MessageRow } from '@postern/queue/index/rows.ts'
import { summaryOf } from '@postern/queue/message/summary.ts'
import { Queue } from '@postern/queue/queue.ts'
import { compileDeliverySettings } from '@postern/queue/route/delivery-settings.ts'
import { openLocalReader } from '@postern/spool/local/reader.ts'
import { openLocalWriter } from '@postern/spool/local/writer.ts'
import { benchEnvelope } from './envelope.ts'

/**
 * Measures how long the Queue Manager takes to start with this many waiting messages, and how much memory it needs.
 * `node test/bench/queue-start.ts [messages] [domains] [due]`. `due`: how many of them are due at once.
 */
const [messages = 100_000, domains = 1000, due = 0] = process.argv.slice(2).map(Number)
const directory = await mkdtemp(join(tmpdir(), 'queue-start-'))
const spool = join(directory, 'spool')
const path = join(directory, 'queue', 'queue.db')

const receiver = await openLocalWriter({ directory: spool, name: 'smtp-1' })
const envelopeOf = (i: number) =>
  benchEnvelope({ recipients: [{ address: `b@d${i % domains}.test`, original: 'b@sink.test' }] })
const body = Buffer.from('Subject: bench\r\n\r\nHello.\r\n')
let building = performance.now()
const { database } = IndexDatabase.open({
  path,
  sidecar: join(spool, 'index.db'),
  release: 'bench',
  hasMail: false,
  now: Date.now(),
})
const later = Date.now() + 3_600_000
for (let from = 0; from < messages; from += 2000) {
  const insert: MessageRow[] = await Promise.all(
    Array.from({ length: Math.min(2000, messages - from) }, async (_, k) => {
      const i = from + k
      const sent = envelopeOf(i)
      const { id, location, segment, size } = await receiver.write({ envelope: sent, body })
      const recipients = [
        {
          r: 0,
          domain: `d${i % domains}.test`,
          state: 1 as const,
          tries: 3,
          nextAt: i < due ? 0 : later,
          cause: '450 4.2.1 the mailbox is busy',
        },
      ]
      return {
        n: i + 1,
        id,
        location,
        segment,
        bytes: size,
        waitsSince: Date.now(),
        rerouted: '',
        warned: false,
        headerEdits: '',
        summary: JSON.stringify(summaryOf(sent)),
        recipients,
      }
    }),
  )
  const cursors: [string, string, string[]][] = []
  database.commit({
    finished: [],
    cursors,
    insert,
    update: [],
    remove: [],
    relocate: [],
    warned: [],
    overlay: [],
    orders: [],
    counts: nothingCounted(),
  })
}
await receiver.close()
// The spool's end as its cursor: follow it once.
const reader = openLocalReader({ directory: spool })
const quiet = new AbortController()
let timer = setTimeout(() => quiet.abort(), 1000)
let cursor = ''
for await (const batch of reader.follow({ after: new Map(), signal: quiet.signal })) {
  clearTimeout(timer)
  timer = setTimeout(() => quiet.abort(), 1000)
  cursor = batch.cursor
}
database.commit({
  finished: [],
  cursors: [['smtp-1', cursor, []]],
  insert: [],
  update: [],
  remove: [],
  relocate: [],
  warned: [],
  overlay: [],
  orders: [],
  counts: nothingCounted(),
})
const now = Date.now()
database.close({ wall: now, now, waited: now })
building = performance.now() - building

const server = createServer().listen(0, '127.0.0.1')
const replica = emptyReplica()
replica.settings.set(
  'general',
  generalSchema.parse({ hostname: 'bench.test', gateway: { host: '127.0.0.1', port: 9, tls: 'none' } }),
)
replica.settings.set('queue', queueSchema.parse({}))
globalThis.gc?.()
const before = process.memoryUsage.rss()
const started = performance.now()
const queue = await Queue.open({
  dataDirectory: directory,
  reader,
  writer: await openLocalWriter({ directory: spool, name: 'queue-1' }),
  record: () => {},
  flushEvents: async () => {},
  fatal: (error) => {
    throw error
  },
  dns: new Dns({ servers: [] }),
  ownAddresses: () => ({ hostname: 'bench.test', isOurs: () => false, listensOn: () => false }),
  settings: compileDeliverySettings(replica, 1),
  outboundPort: 25,
})
queue.startDeliveries()
const ready = performance.now() - started
const { waiting } = queue.status()
await new Promise((resolve) => setTimeout(resolve, 3000))
const rss = process.memoryUsage.rss()
console.log(
  `${waiting.recipients} waiting, ${domains} domains: index built in ${Math.round(building / 1000)} s; started in ${ready.toFixed(0)} ms, ` +
    `index open ${queue.index.opened.tookMs} ms, RSS ${Math.round(rss / 1e6)} MB (${Math.round((rss - before) / 1e6)} more than before), in hand ${queue.status().inHand}, tried ${queue.counters.attempts} of ${due} due`,
)
server.close()
await rm(directory, { recursive: true, force: true })
process.exit(0)
