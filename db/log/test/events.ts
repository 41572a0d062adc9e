import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { zstdCompressSync } from 'node:zlib'
import { openDirectoryStore } from '@postern/objects/directory-store.ts'
import type { ObjectStore } from '@postern/objects/object-store.ts'
import { hourOf } from '../file-names.ts'
import { type Batch, EventLog } from '../log.ts'

/** Events for tests, and a log in a directory of its own. */

export type TestEvent = { n: number; at: number; type: string; [field: string]: unknown }

/** 30 November 2026, 10:00 UTC. */
export const ten = Date.UTC(2026, 10, 30, 10)
export const logId = '0123456789ab'

/** A UUIDv7 of a time; `n` tells it from others of the same time. */
export function idAt(at: number, n = 0): string {
  const time = at.toString(16).padStart(12, '0')
  return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-${n.toString(16).padStart(12, '0')}`
}

export const accepted = (n: number, at: number, fields: object = {}): TestEvent => ({
  n,
  at,
  type: 'message.accepted',
  messageId: idAt(at, n),
  origin: 'smtp',
  client: { ip: '192.0.2.7', helo: 'mail.example.org' },
  sender: 'alice@example.org',
  recipients: [{ address: 'bob@example.net', original: 'bob@example.net' }],
  size: 1_234,
  subject: 'Invoice 17',
  revision: 118,
  rules: ['rcpt: local'],
  ...fields,
})

export const attempt = (n: number, at: number, fields: object = {}): TestEvent => ({
  n,
  at,
  type: 'delivery.delivered',
  messageId: idAt(at, n),
  attempt: 1,
  recipients: ['bob@example.net'],
  remote: { host: 'mx.example.net', address: '198.51.100.1', port: 25 },
  reply: '250 2.0.0 Ok: queued as 4XyZ',
  durationMs: 31,
  ...fields,
})

export const linesOf = (events: readonly TestEvent[]): string =>
  events
    .map(({ n, at, type, ...fields }) => `${JSON.stringify({ n, at: new Date(at).toISOString(), type, ...fields })}\n`)
    .join('')

export function batchOf(events: readonly TestEvent[], { worker = 'smtp-1', log = logId } = {}): Batch {
  const [first, last] = [events[0], events.at(-1)]
  if (!first || !last) throw new Error('a batch has events')
  const content = zstdCompressSync(linesOf(events))
  return { worker, log, hour: hourOf(first.at), first: first.n, last: last.n, content }
}

export type TestLog = {
  log: EventLog
  store: ObjectStore
  directory: string
  damaged: string[]
  /** As after a restart. */
  reopen(): Promise<void>
  end(): Promise<void>
}

/** `bucket`: a store whose objects are fetched. Without it they are files in a directory. */
export async function openTestLog(bucket?: ObjectStore): Promise<TestLog> {
  const directory = await mkdtemp(join(tmpdir(), 'postern-log-'))
  const store = bucket ?? (await openDirectoryStore(join(directory, 'store')))
  const damaged: string[] = []
  const open = () =>
    EventLog.open({
      store,
      ...(bucket ? {} : { directory: join(directory, 'store') }),
      cache: join(directory, 'cache'),
      now: () => ten + 86_400_000,
      damaged: (key, reason) => void damaged.push(`${key}: ${reason}`),
    })
  const test: TestLog = {
    log: await open(),
    store,
    directory: join(directory, 'store'),
    damaged,
    reopen: async () => {
      await test.log.close()
      test.log = await open()
    },
    end: async () => {
      await test.log.close()
      store.close()
      await rm(directory, { recursive: true })
    },
  }
  return test
}
