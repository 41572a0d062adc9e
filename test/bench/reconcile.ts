import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { nothingCounted } from '@postern/queue/index/counts.ts'
import { IndexDatabase } from '@postern/queue/index/index-database.ts'
import { openIndex } from '@postern/queue/index/index-thread.ts'
import type { MessageRow } from '@postern/queue/index/rows.ts'
import { summaryOf } from '@postern/queue/message/summary.ts'
import { QueueMirror } from '@postern/queue/mirror/queue-mirror.ts'
import { ControlPlane } from '@postern/runtime/control-plane.ts'
import { startPostern } from '../system/postern.ts'
import { cpuMicros } from '../system/processes.ts'
import { benchEnvelope } from './envelope.ts'
import { figure } from './figures.ts'

/**
 * Measures how long a Queue Manager takes to tell everything that waits to an API whose records are empty, and again to
 * one that has it all. `npm run bench:reconcile [-- messages]`
 */
const [messages = 1_000_000] = process.argv.slice(2).map(Number)
const directory = await mkdtemp(join(tmpdir(), 'reconcile-'))

const files = {
  path: join(directory, 'queue', 'queue.db'),
  sidecar: join(directory, 'index.db'),
  release: 'bench',
  hasMail: false,
  now: Date.now(),
}
const { database } = IndexDatabase.open(files)
const later = Date.now() + 3_600_000

function rowOf(i: number): MessageRow {
  const domain = `d${i % 1000}.test`
  const envelope = benchEnvelope({
    sender: `sender${i % 5000}@sender.test`,
    recipients: [{ address: `user${i}@${domain}`, original: `user${i}@${domain}` }],
    subject: `Your order ${i}`,
    client: { ip: '127.0.0.1', helo: 'bench.sender.test' },
  })
  const cause = '450 4.2.1 the mailbox is busy, please try again later'
  return {
    n: i + 1,
    id: envelope.id,
    location: `smtp-1/1/${i}`,
    segment: 'smtp-1/1',
    bytes: 1_500,
    waitsSince: Date.now(),
    rerouted: '',
    warned: false,
    headerEdits: '',
    summary: JSON.stringify(summaryOf(envelope)),
    recipients: [{ r: 0, domain, state: 1 as const, tries: 3, nextAt: later, cause }],
  }
}

const nothing = { finished: [], cursors: [], update: [], remove: [], relocate: [], warned: [], overlay: [], orders: [] }
for (let from = 0; from < messages; from += 5_000) {
  const insert = Array.from({ length: Math.min(5_000, messages - from) }, (_, i) => rowOf(from + i))
  database.commit({ ...nothing, insert, counts: { ...nothingCounted(), received: insert.length } })
}

const reading = { wall: Date.now(), now: Date.now(), waited: 0 }
database.close(reading)
const index = await openIndex(files)

const postern = await startPostern({ env: { POSTERN_WORKERS: 'none' } })
const { token } = await postern.api.post<{ token: string }>('/v1/enrol-tokens', { service: 'queue', name: 'queue-1' })
const identity = { token, service: 'queue', name: 'queue-1', version: 'bench' } as const
const controlPlane = new ControlPlane(postern.url, identity)
await controlPlane.enrol()

const told = { pages: 0, messages: 0 }
const mirror = new QueueMirror({
  index,
  reader: { readEnvelope: () => Promise.reject(new Error('every message has a summary')) },
  clock: { wallAt: () => 0 } as never,
  send: (page) => {
    told.pages++
    told.messages += page.waiting.length
    return controlPlane.sendQueuePage(page)
  },
  failed: (error) => console.error(error),
})

async function tell(what: string): Promise<void> {
  Object.assign(told, { pages: 0, messages: 0 })
  const own = process.cpuUsage()
  const cpu = cpuMicros(postern.pid)
  const begun = performance.now()
  await mirror.tell()
  const ms = performance.now() - begun
  const { user, system } = process.cpuUsage(own)
  const { messages: known } = await postern.api.get<{ messages: number }>('/v1/queue/summary')
  console.log(
    `${what}: ${figure(told.messages)} messages in ${told.pages} pages, ${figure(ms / 1000)} s; CPU µs a message: API ${figure((cpuMicros(postern.pid) - cpu) / told.messages)}, Queue Manager ${figure((user + system) / told.messages)}; the API knows ${figure(known)}`,
  )
}

await tell('to empty records')
await postern.api.post('/v1/queue/reconcile', {})
await tell('again')
await mirror.stop()
await index.close(reading)
await postern.stop()
await rm(directory, { recursive: true })
