import { openLocalWriter } from '@postern/spool/local/writer.ts'
import { benchEnvelope } from './envelope.ts'

/** Writes messages into a spool as a receiver would. `node spool-feed.ts <spool> <messages> <bytes> <a second; 0: all it can>` */
const [directory = '', ...numbers] = process.argv.slice(2)
const [messages = 0, bytes = 1024, rate = 0] = numbers.map(Number)
const writer = await openLocalWriter({ directory, name: 'smtp-1' })
// Lines of usual length: longer ones would be broken on the way, which costs more than the delivery.
const line = `${'x'.repeat(76)}\r\n`
const header = 'Subject: bench\r\n\r\n'
const body = Buffer.from(header + line.repeat(Math.max(1, Math.round((bytes - header.length) / line.length))))
const started = performance.now()
let open = 0
for (let i = 0; i < messages; i++) {
  open++
  void writer.write({ envelope: benchEnvelope(), body }).then(() => open--)
  while (open >= 50 || (rate > 0 && i > ((performance.now() - started) / 1000) * rate))
    await new Promise((resolve) => (open >= 50 ? setImmediate(resolve) : setTimeout(resolve, 2)))
}
while (open > 0) await new Promise((resolve) => setImmediate(resolve))
await writer.close()
