import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openLocalWriter } from '@postern/spool/local/writer.ts'
import Database from 'better-sqlite3'
import { afterEach, expect, test } from 'vitest'
import { reasonFrom } from '../message/waiting-reason.ts'
import { TestServer } from '../test/server.ts'
import { Testbed, until } from '../test/testbed.ts'

/** The index lost, put back older or newer, or of another spool: nothing that waits is lost, and no segment with it. */

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
})

const text = `Subject: x\r\n\r\n${'y'.repeat(500)}\r\n`

/** `later@` is busy until the script is changed; segments are small. */
async function start(): Promise<{ remote: TestServer; box: Testbed; queueFile: string; spool: string }> {
  const remote = await TestServer.start({ command: (line) => (line.includes('later') ? '450 4.2.1 busy' : undefined) })
  open.push(remote)
  const box = await Testbed.open({ domains: [{ name: 'a.test', route: remote.route }] })
  open.push(box)
  const spool = join(box.directory, 'spool')
  await box.receiver.close()
  box.receiver = await openLocalWriter({ directory: spool, name: 'smtp-1', segmentBytes: 20_000 })
  return { remote, box, queueFile: join(box.directory, 'queue', 'queue.db'), spool }
}

async function sendLater(box: Testbed, count: number, beside = 9): Promise<string[]> {
  const { deferred, delivered } = box.queue.counters
  const later: string[] = []
  for (let i = 0; i < count; i++) {
    later.push(await box.send([`later${i}@a.test`], { text }))
    for (let k = 0; k < beside; k++) await box.send([`u${k}@a.test`], { text })
  }
  const all = () =>
    box.queue.counters.deferred === deferred + count && box.queue.counters.delivered === delivered + count * beside
  await until('tried', all, 60_000)
  await box.queue.indexWriter.flush()
  return later
}

/** Starts, lets all that waits go, and answers how often each was received from here on. */
async function deliverAll(box: Testbed, remote: TestServer, { reclaim = true } = {}): Promise<Map<string, number>> {
  const before = box.of('delivery.delivered').length
  remote.script = {}
  await box.startQueue()
  if (reclaim) await box.queue.reclaim.now()
  await until(
    'all that waits is due',
    async () => {
      await box.queue.index.ask('hasten', { at: Date.now(), limit: 5000 })
      return box.queue.status().waiting.recipients === 0
    },
    60_000,
  )
  const counts = new Map<string, number>()
  for (const { messageId } of box.of('delivery.delivered').slice(before))
    counts.set(messageId as string, (counts.get(messageId as string) ?? 0) + 1)
  return counts
}

async function removeIndex(queueFile: string, suffixes = ['', '-wal', '-shm']): Promise<void> {
  for (const suffix of suffixes) await rm(queueFile + suffix, { force: true })
}

const rowsOf = (box: Testbed, ids: string[]) => box.queue.index.ask('take', ids)

test('an older queue.db put back after its mail was copied on: nothing is lost, nothing that was finished before comes again', async () => {
  const { remote, box, queueFile } = await start()
  const early = await sendLater(box, 5)
  await box.stopQueue()
  await cp(queueFile, `${queueFile}.backup`)
  await box.startQueue()
  const late = await sendLater(box, 20)
  // Both are copied on, and the segments in which they were given back.
  for (let round = 0; round < 3; round++) await box.queue.reclaim.now()
  await box.stopQueue()
  await removeIndex(queueFile)
  await cp(`${queueFile}.backup`, queueFile)
  const counts = await deliverAll(box, remote)
  expect(box.queue.index.opened.rebuild).toBe('older')
  expect([...early, ...late].filter((id) => counts.get(id) !== 1)).toEqual([])
  expect(box.of('message.damaged')).toMatchObject([{ where: 'queue.db', detail: expect.stringContaining('older') }])
})

test('what an older index has and was delivered since is not sent again once its segment is gone', async () => {
  const { remote, box, queueFile } = await start()
  const early = await sendLater(box, 3)
  await box.stopQueue()
  await cp(queueFile, `${queueFile}.backup`)
  await deliverAll(box, remote, { reclaim: false })
  for (let i = 0; i < 60; i++) await box.send([`u${i}@a.test`], { text })
  await until('delivered', () => box.queue.status().waiting.recipients === 0)
  await box.queue.indexWriter.flush()
  for (let round = 0; round < 3; round++) await box.queue.reclaim.now()
  await box.stopQueue()
  await removeIndex(queueFile)
  await cp(`${queueFile}.backup`, queueFile)
  const counts = await deliverAll(box, remote)
  expect(early.filter((id) => counts.has(id))).toEqual([])
})

test('the index lost: holds, tries, the warning and the route survive', async () => {
  const { box, queueFile } = await start()
  const [held, rerouted, warned, ...rest] = (await sendLater(box, 6)) as [string, string, string, ...string[]]
  const { index, indexWriter } = box.queue
  await index.ask('order', { action: 'hold', ids: [held], at: 0, by: 'ops', rerouted: '' })
  await index.ask('order', {
    action: 'reroute',
    ids: [rerouted],
    at: Date.now() + 3_600_000,
    by: 'ops',
    rerouted: '127.0.0.9:25',
  })
  const [row] = await index.ask('take', [warned])
  indexWriter.add({
    warned: [row?.n as number],
    update: [
      {
        n: row?.n as number,
        ...(row?.recipients[0] as never as object),
        state: 1,
        tries: 4,
        nextAt: Date.now() + 3_600_000,
      } as never,
    ],
  })
  await indexWriter.flush()
  for (let round = 0; round < 2; round++) await box.queue.reclaim.now()
  await box.stopQueue()
  await removeIndex(queueFile)
  await box.startQueue({ deliver: false })
  expect(box.queue.index.opened.rebuild).toBe('lost')
  expect(box.queue.status().waiting.byState.held).toBe(1)
  const rows = new Map((await rowsOf(box, [held, rerouted, warned, ...rest])).map((each) => [each.id, each]))
  const reasonOf = (id: string) => reasonFrom(rows.get(id)?.recipients[0]?.cause ?? '', false)
  expect(rows.get(held)?.recipients).toMatchObject([{ tries: 1 }])
  expect(reasonOf(held)).toMatchObject({ holder: 'ops', reply: '450 4.2.1 busy' })
  expect(rows.get(rerouted)).toMatchObject({ rerouted: '127.0.0.9:25' })
  expect(rows.get(warned)).toMatchObject({ warned: true, recipients: [{ tries: 4 }] })
  for (const id of rest) {
    expect(rows.get(id)?.recipients).toMatchObject([{ tries: 1 }])
    expect(reasonOf(id)).toMatchObject({ reply: '450 4.2.1 busy' })
  }
})

test('a rebuild that is cut short begins again: copies are not forgotten', async () => {
  const { remote, box, queueFile } = await start()
  const later = await sendLater(box, 30)
  for (let round = 0; round < 3; round++) await box.queue.reclaim.now()
  await box.stopQueue()
  await removeIndex(queueFile)
  // As a process leaves it that was killed when it had taken in nothing but the receiver's segments.
  await box.startQueue({ deliver: false })
  await box.stopQueue()
  const db = new Database(queueFile)
  db.exec(`
    UPDATE facts SET value = 1 WHERE name = 'rebuilding';
    DELETE FROM recipients WHERE n IN (SELECT n FROM messages WHERE segment LIKE 'queue-1/%');
    DELETE FROM messages WHERE segment LIKE 'queue-1/%';`)
  db.close()
  const counts = await deliverAll(box, remote)
  expect(later.filter((id) => !counts.has(id))).toEqual([])
})

test('queue.db-wal lost alone, an older queue.db under a newer queue.db-wal, and the index of another spool', async () => {
  const { remote, box, queueFile } = await start()
  await sendLater(box, 3)
  await box.stopQueue()
  await cp(queueFile, `${queueFile}.backup`)
  await box.startQueue()
  const later = await sendLater(box, 12)
  await box.queue.reclaim.now()
  // As kill -9 leaves it: the log is not written back.
  await cp(join(box.directory, 'queue'), join(box.directory, 'killed'), { recursive: true })
  await box.stopQueue()

  const other = await start()
  await sendLater(other.box, 4, 0)
  await other.box.stopQueue()

  const putBack = async (files: [from: string, suffix: string][]) => {
    await removeIndex(queueFile)
    for (const [from, suffix] of files) await cp(from + suffix, queueFile + suffix)
    await box.startQueue({ deliver: false })
    const { rebuild } = box.queue.index.opened
    await box.queue.reclaim.now()
    const found = new Set((await rowsOf(box, later)).map(({ id }) => id))
    await box.stopQueue()
    return { rebuild, lost: later.filter((id) => !found.has(id)) }
  }
  const killed = join(box.directory, 'killed', 'queue.db')
  expect(await putBack([[killed, '']])).toMatchObject({ lost: [] })
  const mixed = await putBack(
    [
      [`${queueFile}.backup`, ''],
      [killed, '-wal'],
    ].map(([from, suffix]) => [suffix ? killed : (from as string), suffix as string]),
  )
  expect(mixed.lost).toEqual([])
  expect(await putBack([[other.queueFile, '']])).toEqual({ rebuild: 'foreign', lost: [] })
  expect((await readdir(join(box.directory, 'queue'))).some((name) => /^queue\.db\.foreign-\d+$/.test(name))).toBe(true)
  const counts = await deliverAll(box, remote)
  expect(later.filter((id) => !counts.has(id))).toEqual([])
})

test('segments put back older than the index: what comes then is taken over, whatever its numbers', async () => {
  const { remote, box, spool } = await start()
  await sendLater(box, 2)
  await box.stopQueue()
  await box.receiver.close()
  await cp(join(spool, 'smtp-1'), join(box.directory, 'segments'), { recursive: true })
  box.receiver = await openLocalWriter({ directory: spool, name: 'smtp-1' })
  await box.startQueue()
  for (let i = 0; i < 5; i++) {
    await box.send([`u${i}@a.test`], { text: 'z'.repeat(1_200_000) })
  }
  await until('delivered', () => box.queue.status().waiting.recipients === 2)
  await box.queue.indexWriter.flush()
  await box.stopQueue()
  await box.receiver.close()
  await rm(join(spool, 'smtp-1'), { recursive: true })
  await cp(join(box.directory, 'segments'), join(spool, 'smtp-1'), { recursive: true })
  box.receiver = await openLocalWriter({ directory: spool, name: 'smtp-1' })
  const fresh = await box.send(['new@a.test'], { text })
  const counts = await deliverAll(box, remote)
  expect(counts.get(fresh)).toBe(1)
})

test('an index of another schema version is refused, not rebuilt', async () => {
  const { box, queueFile } = await start()
  await sendLater(box, 2, 0)
  await box.stopQueue()
  const db = new Database(queueFile)
  db.pragma('user_version = 2')
  db.exec("INSERT INTO used_by VALUES ('9.9.9', 9999999999999)")
  db.close()
  await expect(box.startQueue()).rejects.toThrow(/schema version 2.*9\.9\.9.*Start that release/)
  expect((await readdir(join(box.directory, 'queue'))).filter((name) => name.includes('damaged'))).toEqual([])
})

test('a damaged message that the rebuild meets, and whoever reads it after, is told of once', async () => {
  const { remote, box, queueFile, spool } = await start()
  const [damaged = ''] = await sendLater(box, 1, 0)
  await box.stopQueue()
  const [segment = ''] = (await readdir(join(spool, 'smtp-1'))).filter((name) => name.endsWith('.seg'))
  const file = join(spool, 'smtp-1', segment)
  const bytes = await readFile(file)
  bytes.write('DAMAGED', bytes.lastIndexOf('yyyyyyy'))
  await writeFile(file, bytes)
  await removeIndex(queueFile)
  await deliverAll(box, remote)
  const told = box.of('message.damaged').filter(({ messageId }) => messageId)
  expect(told).toMatchObject([{ messageId: damaged }])
})
