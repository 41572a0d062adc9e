import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { noSmallDisk, type SmallDisk, smallDisk } from '@postern/runtime/test/disk.ts'
import { afterEach, describe, expect, test } from 'vitest'
import { Testbed, until } from '../test/testbed.ts'

const open: { close(): unknown }[] = []
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
})

const rows = { domains: [{ name: 'b.test', route: { type: 'maildir' } }], accounts: ['jane@b.test'] }

async function bedWithSmallDisk(bytes: number): Promise<{ box: Testbed; disk: SmallDisk }> {
  const box = await Testbed.open(rows)
  open.push(box)
  const disk = smallDisk(bytes, join(box.directory, 'mail'))
  open.push({ close: () => disk.unmount() })
  return { box, disk }
}

/** Everything below a directory that is a file. */
async function filesIn(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => [])
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
}

describe.skipIf(noSmallDisk)(`a full mailbox disk${noSmallDisk ? `: ${noSmallDisk}` : ''}`, () => {
  test.each([300_000, 3_000, 1_500_000])(
    'messages of %i bytes are delivered whole or deferred, and later all are there',
    async (bytes) => {
      const { box, disk } = await bedWithSmallDisk(2 << 20)
      await disk.fill(bytes * 4)
      const text = (i: number) => `Subject: ${i}\r\n\r\n${`${'x'.repeat(76)}\r\n`.repeat(bytes / 78)}end of ${i}\r\n`
      for (let i = 0; i < 12; i++) await box.send(['jane@b.test'], { text: text(i) })
      const ended = () => box.of('delivery.delivered').length + box.of('delivery.deferred').length
      await until('each has had its turn', () => ended() >= 12)
      const kept = await box.mailOf('jane@b.test')
      expect(kept.map((mail) => /end of \d+\r\n$/.test(mail))).toEqual(kept.map(() => true))
      expect(kept).toHaveLength(box.of('delivery.delivered').length)
      const deferred = box.of('delivery.deferred')
      expect(deferred.length).toBeGreaterThan(0)
      for (const each of deferred)
        expect(each).toMatchObject({
          cause: 'disk-full',
          reply: '4.2.2 the mailbox of jane@b.test cannot be written: the disk is full (ENOSPC)',
        })
      expect(await filesIn(join(disk.path, 'b.test', 'jane', 'tmp'))).toEqual([])
    },
  )

  test('a disk with room again takes what waits, by itself', async () => {
    const { box, disk } = await bedWithSmallDisk(1 << 20)
    await disk.fill()
    const id = await box.send(['jane@b.test'])
    await until('deferred', () => box.of('delivery.deferred', id).length === 1)
    disk.free()
    await box.queue.indexWriter.flush()
    await box.queue.index.ask('order', { action: 'retry', ids: [id], at: Date.now(), by: 'test', rerouted: '' })
    await until('delivered', () => box.of('delivery.delivered', id).length === 1)
    expect(await box.mailOf('jane@b.test')).toHaveLength(1)
  })
})

test('a message that was delivered here before is stopped however large it is, wherever the field stands', async () => {
  const box = await Testbed.open(rows)
  open.push(box)
  const filler = `X-Filler: ${'x'.repeat(900)}\r\n`.repeat(200)
  const body = `${'y'.repeat(76)}\r\n`.repeat(20_000)
  const loops = [
    `${filler}Delivered-To: jane@b.test\r\n\r\n${body}`,
    `Subject: x\r\ndelivered-to:\r\n <Jane@B.test>\r\n\r\nsmall\r\n`,
  ]
  for (const text of loops) await box.send(['jane@b.test'], { text })
  await until('stopped', () => box.of('delivery.bounced').length === 2)
  expect(box.of('delivery.bounced').map(({ status }) => status)).toEqual(['5.4.6', '5.4.6'])
  const told = `Subject: told of it\r\n\r\nDelivered-To: jane@b.test\r\n`
  await box.send(['jane@b.test'], { text: told })
  await until('delivered', () =>
    box.of('delivery.delivered').some(({ recipients }) => String(recipients) === 'jane@b.test'),
  )
  expect(await filesIn(join(box.directory, 'mail', 'b.test', 'jane', 'tmp'))).toEqual([])
})
