import { open as openFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { openLocalWriter } from '@postern/spool/local/writer.ts'
import { afterEach, expect, test } from 'vitest'
import { TestServer } from '../test/server.ts'
import { Testbed, until } from '../test/testbed.ts'

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
})

test('a damaged message is told of once and keeps its own segment only', async () => {
  const remote = await TestServer.start({
    command: (line) => (line.includes('later@') ? '450 4.2.1 busy' : undefined),
  })
  open.push(remote)
  const box = await Testbed.open({ domains: [{ name: 'a.test', route: remote.route }] })
  open.push(box)
  await box.receiver.close()
  const spool = join(box.directory, 'spool')
  box.receiver = await openLocalWriter({ directory: spool, name: 'smtp-1', segmentBytes: 20_000 })
  const text = `Subject: x\r\n\r\n${'y'.repeat(500)}\r\n`
  const later: string[] = []
  for (let i = 0; i < 240; i++) {
    if (i % 40 === 20) later.push(await box.send(['later@a.test'], { text }))
    await box.send([`u${i}@a.test`], { text })
  }
  await until('delivered', () => box.queue.counters.delivered === 240 && box.queue.counters.deferred >= 6)
  const found = await box.queue.index.ask('locate', later[0] as string)
  // What was read a moment ago is still in memory.
  await box.stopQueue()
  const [writer, segment, offset] = (found as { location: string }).location.split('/') as [string, string, string]
  const file = await openFile(join(spool, writer, `${segment.padStart(8, '0')}.seg`), 'r+')
  await file.write(Buffer.from('damage'), 0, 6, Number(offset) + 700)
  await file.close()
  await box.startQueue({ deliver: false })
  for (let round = 0; round < 4; round++) await box.queue.reclaim.now()
  // Its own, the one being written, and one that the last delivery may have left.
  const left = (await readdir(join(spool, 'smtp-1'))).filter((name) => name.endsWith('.seg'))
  expect(left).toContain(`${segment.padStart(8, '0')}.seg`)
  expect(left.length).toBeLessThanOrEqual(3)
  expect(box.of('message.damaged')).toMatchObject([{ messageId: later[0], detail: expect.stringContaining('body') }])
  expect(box.queue.troubles.has('reclaim')).toBe(false)
})
