import { join } from 'node:path'
import { zstdDecompressSync } from 'node:zlib'
import type { EventBatch } from '@postern/contract/worker-protocol.ts'
import { Dns } from '@postern/net/dns.ts'
import { EventLog } from '@postern/runtime/event-log.ts'
import { openLocalReader } from '@postern/spool/local/reader.ts'
import { openLocalWriter } from '@postern/spool/local/writer.ts'
import { Queue } from '../queue.ts'
import { compileDeliverySettings } from '../route/delivery-settings.ts'
import { replicaFrom } from './testbed.ts'

/** For tests: a Queue Manager in a process of its own, to be killed. Tells its parent the id of each message delivered, once that is on disk. */
const [directory = '', port = ''] = process.argv.slice(2)
const spool = join(directory, 'spool')
const tell = async ({ content, last }: EventBatch) => {
  for (const line of zstdDecompressSync(content).toString().trim().split('\n')) {
    const event = JSON.parse(line)
    if (event.type === 'delivery.delivered') process.send?.(event.messageId)
  }
  return last
}
const log = await EventLog.open({ directory: join(directory, 'events'), send: tell })
await log.startShipping(0)
const queue = await Queue.open({
  dataDirectory: directory,
  reader: openLocalReader({ directory: spool }),
  writer: await openLocalWriter({ directory: spool, name: 'queue-1' }),
  record: log.record,
  flushEvents: () => log.flush(),
  fatal: () => process.exit(1),
  dns: new Dns({ servers: [] }),
  ownAddresses: () => ({ hostname: 'mail.test', isOurs: () => false, listensOn: () => false }),
  settings: compileDeliverySettings(
    replicaFrom({
      domains: [{ name: 'a.test', route: { type: 'smtp', host: '127.0.0.1', port: Number(port), tls: 'none' } }],
    }),
    1,
  ),
  outboundPort: 25,
})
queue.startDeliveries()
process.send?.('ready')
