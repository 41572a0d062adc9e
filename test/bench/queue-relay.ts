import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { emptyReplica } from '@postern/contract/rows.ts'
import { generalSchema } from '@postern/contract/settings/general.ts'
import { queueSchema } from '@postern/contract/settings/queue.ts'
import { Dns } from '@postern/net/dns.ts'
import { Queue } from '@postern/queue/queue.ts'
import { compileDeliverySettings } from '@postern/queue/route/delivery-settings.ts'
import { EventLog } from '@postern/runtime/event-log.ts'
import { openLocalReader } from '@postern/spool/local/reader.ts'
import { openLocalWriter } from '@postern/spool/local/writer.ts'

/**
 * Measures only the Queue Manager: mail from the spool to smtp-sink, with the index, the journal and the event log on disk.
 * `node test/bench/queue-relay.ts [messages] [connections] [bytes] [messages per second; 0: as fast as the spool]`.
 * Another process writes the mail. The CPU time is that of the Queue Manager, without the first quarter, in which its code is
 * compiled.
 */
const [messages = 30_000, connections = 5, bytes = 1024, rate = 0] = process.argv.slice(2).map(Number)
const directory = await mkdtemp(join(tmpdir(), 'queue-bench-'))
const probe = createServer().listen(0, '127.0.0.1')
await once(probe, 'listening')
const { port } = probe.address() as { port: number }
probe.close()
const sink = spawn('/usr/sbin/smtp-sink', ['-u', 'nobody', `127.0.0.1:${port}`, '1000'], { stdio: 'ignore' })

const spool = join(directory, 'spool')
const replica = emptyReplica()
replica.settings.set('general', generalSchema.parse({ hostname: 'bench.test' }))
replica.settings.set('queue', queueSchema.parse({ perDomainConnections: connections, deliveryThreads: 100 }))
replica.domain.set('sink.test', {
  name: 'sink.test',
  aliases: [],
  catchAll: '',
  route: { type: 'smtp', host: '127.0.0.1', port, tls: 'none' },
  verifyRecipients: 'directory',
})
const log = await EventLog.open({
  directory: join(directory, 'events'),
  send: async ({ last }) => last,
})
await log.startShipping(0)
const queue = await Queue.open({
  dataDirectory: directory,
  reader: openLocalReader({ directory: spool }),
  writer: await openLocalWriter({ directory: spool, name: 'queue-1' }),
  record: log.record,
  flushEvents: () => log.flush(),
  fatal: (error) => {
    throw error
  },
  dns: new Dns({ servers: [] }),
  ownAddresses: () => ({ hostname: 'bench.test', isOurs: () => false, listensOn: () => false }),
  settings: compileDeliverySettings(replica, 1),
  outboundPort: 25,
})
queue.startDeliveries()
const feed = spawn(
  process.execPath,
  [fileURLToPath(new URL('spool-feed.ts', import.meta.url)), spool, `${messages}`, `${bytes}`, `${rate}`],
  {
    stdio: 'inherit',
  },
)
await new Promise((resolve) => setTimeout(resolve, 400))
const delivered = async (count: number) => {
  while (queue.counters.delivered < count) await new Promise((resolve) => setTimeout(resolve, 5))
}
await delivered(messages / 4)
const before = queue.counters.delivered
const started = performance.now()
const cpu = process.cpuUsage()
await delivered(messages)
await queue.indexWriter.flush()
const seconds = (performance.now() - started) / 1000
const used = process.cpuUsage(cpu)
const micros = (used.user + used.system) / (messages - before)
const system = used.system / (messages - before)
console.log(
  `${messages} messages of ${bytes} bytes over ${connections} connections: ${Math.round((messages - before) / seconds)} a second, ` +
    `${micros.toFixed(0)} µs CPU each (${system.toFixed(0)} in the kernel), RSS ${Math.round(process.memoryUsage.rss() / 1e6)} MB, waiting ${queue.status().waiting.recipients}`,
)
sink.kill()
feed.kill()
await rm(directory, { recursive: true, force: true })
process.exit(0)
