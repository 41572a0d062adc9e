import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { zstdDecompressSync } from 'node:zlib'
import type { EventFields, EventType } from '@postern/contract/events.ts'
import type { EventBatch } from '@postern/contract/worker-protocol.ts'
import { EventLog } from '@postern/runtime/event-log.ts'
import { openLocalReader } from '@postern/spool/local/reader.ts'
import { openLocalWriter } from '@postern/spool/local/writer.ts'
import { uuidv7 } from 'uuidv7'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { AcceptedEvents } from './accepted-events.ts'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'postern-receptions-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

/** One life of a receiver: what it recorded, and what of that reached the disk. */
async function live(onDisk: ReadonlySet<string>) {
  const recorded: EventFields<'message.accepted'>[] = []
  const troubles: unknown[] = []
  const worker = {
    id: 'smtp-1',
    record: (type: EventType, fields: object) => {
      if (type === 'message.accepted') recorded.push(fields as EventFields<'message.accepted'>)
    },
    syncEvents: async () => {},
    wasAccepted: (id: string) => onDisk.has(id),
  }
  const spool = await openLocalWriter({ directory: join(directory, 'spool'), name: worker.id })
  const reader = openLocalReader({ directory: join(directory, 'spool') })
  const trouble = (error: unknown) => troubles.push(error)
  const file = join(directory, 'receptions')
  const receptions = await AcceptedEvents.open({ worker, spool, reader, file, trouble })
  await reader.close()
  const counters = { messages_accepted_total: 0, recipients_accepted_total: 0 }
  receptions.countFrom(counters)
  const take = async (bytes = 10) => {
    const id = uuidv7()
    const recipients = [{ address: 'ann@a.test', original: 'Ann@a.test' }]
    const envelope = { id, receivedAt: 1, worker: 'smtp-1', revision: 7, origin: 'smtp', sender: 's@b.test' } as const
    const rest = { recipients, body: '7bit', smtpUtf8: false, hops: 0, client: { ip: '127.0.0.1', helo: 'h' } } as const
    await spool.write({ envelope: { ...envelope, ...rest }, body: Buffer.alloc(bytes, 97) })
    counters.messages_accepted_total++
    counters.recipients_accepted_total += recipients.length
    return id
  }
  /** As kill -9 would: nothing more is remembered. */
  const die = () => spool.close()
  const stop = async () => {
    await receptions.close()
    await spool.close()
  }
  return {
    recorded,
    receptions,
    troubles,
    take,
    die,
    stop,
    ids: () => recorded.map(({ messageId }) => messageId),
  }
}

test('what the spool has and the events do not is recorded by the next process, once', async () => {
  const first = await live(new Set())
  const [kept, lost, large] = [await first.take(), await first.take(), await first.take(2_000_000)]
  await first.die()
  const second = await live(new Set([kept]))
  expect(second.ids()).toEqual([lost, large])
  expect(second.recorded[1]).toMatchObject({
    size: 2_000_000,
    sender: 's@b.test',
    revision: 7,
    recipients: [{ address: 'ann@a.test', original: 'Ann@a.test' }],
  })
  await second.die()
  const third = await live(new Set())
  expect(third.ids()).toEqual([])
  expect([...first.troubles, ...second.troubles, ...third.troubles]).toEqual([])
  await third.stop()
})

test('what was answered with 250 is counted exactly, over stops and kills', async () => {
  for (const [end, messages] of [
    ['stop', 2],
    ['die', 4],
    ['die', 6],
    ['stop', 8],
  ] as const) {
    const one = await live(new Set())
    expect(one.receptions.counted.messages).toBe(messages - 2)
    await one.take()
    await one.take()
    expect(one.receptions.counted).toEqual({ messages, recipients: messages })
    await one[end]()
  }
  expect((await live(new Set())).receptions.counted).toEqual({ messages: 8, recipients: 8 })
})

test('after a stop in order nothing is read again', async () => {
  const first = await live(new Set())
  await first.take()
  await first.stop()
  const second = await live(new Set())
  expect(second.ids()).toEqual([])
  await second.stop()
})

test('a process killed before its first second is over loses nothing', async () => {
  const first = await live(new Set())
  await first.die()
  const second = await live(new Set())
  const id = await second.take()
  await second.die()
  const third = await live(new Set())
  expect(third.ids()).toEqual([id])
  await third.stop()
})

/** Takes a message in a process of its own, records it, and is killed before the event is written. */
const victim = (home: string) => `
  import { EventLog } from '@postern/runtime/event-log.ts'
  import { openLocalReader } from '@postern/spool/local/reader.ts'
  import { openLocalWriter } from '@postern/spool/local/writer.ts'
  import { AcceptedEvents } from './accepted-events.ts'
  const home = ${JSON.stringify(home)}
  const events = await EventLog.open({ directory: home + '/events', send: async () => 0 })
  const directory = home + '/spool'
  const spool = await openLocalWriter({ directory, name: 'smtp-1' })
  const worker = {
    id: 'smtp-1', record: events.record, syncEvents: () => events.sync(), wasAccepted: (id) => events.wasAccepted(id),
  }
  const reader = openLocalReader({ directory })
  await AcceptedEvents.open({ worker, spool, reader, file: home + '/receptions', trouble: console.error })
  const take = async (id) => {
    const recipients = [{ address: 'ann@a.test', original: 'ann@a.test' }]
    await spool.write({ envelope: {
      id, receivedAt: Date.now(), worker: 'smtp-1', revision: 1, origin: 'smtp', sender: '', recipients, body: '7bit',
      smtpUtf8: false, hops: 0, client: { ip: '127.0.0.1', helo: 'h' },
    }, body: Buffer.from('x') })
    events.record('message.accepted', { messageId: id, origin: 'smtp', sender: '', recipients, size: 1, revision: 1, rules: [] })
  }
  await take('${uuidv7()}')
  await events.flush()
  await take('0199c000-0000-7000-8000-00000000dead')
  process.kill(process.pid, 'SIGKILL')
`

test('kill -9 between the commit and the event: the next process records that message and no other', async () => {
  const child = spawn(process.execPath, ['--input-type=module', '-e', victim(directory)], {
    cwd: import.meta.dirname,
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  const [, signal] = await once(child, 'exit')
  expect(signal).toBe('SIGKILL')
  const sent: { messageId?: string }[] = []
  const send = async ({ content, last }: EventBatch) => {
    const lines = zstdDecompressSync(content).toString().trim().split('\n')
    sent.push(...lines.map((line) => JSON.parse(line) as object))
    return last
  }
  const log = await EventLog.open({ directory: join(directory, 'events'), send })
  const spool = await openLocalWriter({ directory: join(directory, 'spool'), name: 'smtp-1' })
  const reader = openLocalReader({ directory: join(directory, 'spool') })
  const worker = {
    id: 'smtp-1',
    record: log.record,
    syncEvents: () => log.sync(),
    wasAccepted: (id: string) => log.wasAccepted(id),
  }
  const file = join(directory, 'receptions')
  const receptions = await AcceptedEvents.open({
    worker,
    spool,
    reader,
    file,
    trouble: (error) => expect.unreachable(String(error)),
  })
  await log.startShipping(0)
  await log.close()
  await receptions.close()
  await reader.close()
  await spool.close()
  expect(sent.map(({ messageId }) => messageId)).toHaveLength(2)
  expect(sent[1]?.messageId).toBe('0199c000-0000-7000-8000-00000000dead')
})
