import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EventLog } from '@postern/runtime/event-log.ts'
import { startTestReceiver } from './receiver-harness.ts'

/** A receiver in a process of its own, for load tools, profilers and tests that look at its memory. Prints its port. */

const log = await EventLog.open({
  directory: process.env.EVENT_DIRECTORY ?? mkdtempSync(join(tmpdir(), 'postern-events-')),
  send: async ({ last }) => last,
})
await log.startShipping(0)
const receiver = await startTestReceiver(
  {
    settings: {
      general: { hostname: 'mx.test', maxMessageBytes: 1_073_741_824 },
      advanced: { maxConnectionsPerAddress: 0 },
    },
  },
  { record: log.record as never },
)
console.log(receiver.port())
process.on('message', () => process.send?.({ ...process.memoryUsage(), cpu: process.cpuUsage() }))
process.on('SIGTERM', async () => {
  await receiver.close()
  await log.close(0)
  process.exit(0)
})
