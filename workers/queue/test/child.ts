import { join } from 'node:path'
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
const tell = (lines: readonly string[]) => {
  for (const line of lines) {
    const event = JSON.parse(line)
    if (event.type === 'delivery.delivered') process.send?.(event.messageId)
  }
  return Promise.resolve(JSON.parse(lines.at(-1) ?? '{"n":0}').n as number)
}
const log = await EventLog.open({ directory: join(directory, 'events'), send: tell })
log.numberFrom(0)
log.startShipping()
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
