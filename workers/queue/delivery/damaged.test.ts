import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { type Script, TestServer } from '../test/server.ts'
import { Testbed, until } from '../test/testbed.ts'

/** A message is damaged after it was taken over: found when it is sent, before anything of it goes out, and returned. */

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
})

const later: Script = { command: (line) => (line.startsWith('RCPT') ? '450 4.2.1 later' : undefined) }

test.each([
  ['one that is sent whole', 200_000],
  ['a small one, which was read and verified before', 500],
  ['one that is streamed', 3 << 20],
])('%s', async (_, bytes) => {
  const [one, two] = [await TestServer.start(later), await TestServer.start(later)]
  open.push(one, two)
  const rows = {
    domains: [
      { name: 'a.test', route: one.route },
      { name: 'b.test', route: two.route },
    ],
  }
  const box = await Testbed.open(rows)
  open.push(box)
  // The reader knows this writer now.
  await box.send(['first@a.test'])
  await until('the first is deferred', () => box.queue.counters.deferred === 1)
  const line = `${'x'.repeat(76)}\r\n`
  const text = `Subject: damaged\r\n\r\n${line.repeat(bytes / line.length)}last\r\n`
  const id = await box.send(['u@a.test', 'v@a.test', 'w@b.test'], { text })
  await until('deferred', () => box.of('delivery.deferred', id).length === 2)
  // Its place in memory goes to others, so that it is read again.
  for (let i = 0; i < 70; i++) {
    const other = await box.send(['first@a.test'])
    await until('deferred', () => box.of('delivery.deferred', other).length === 1)
  }
  await flip(box, 'last\r\n')

  one.script = two.script = {}
  await box.queue.index.ask('order', { action: 'retry', ids: [id], at: Date.now(), by: '', rerouted: '' })
  await until('returned', () => box.of('delivery.bounced', id).length === 2)
  for (const event of box.of('delivery.bounced', id)) expect(event).toMatchObject({ status: '5.3.0' })
  expect([...one.received, ...two.received].filter(({ data }) => data.includes('damaged'))).toEqual([])
  expect(box.of('message.damaged', id)).toHaveLength(1)
  // One notification for each destination.
  await until('the sender is told', async () => (await box.mailOf('sender@sender.test')).length === 2)
  expect((await box.mailOf('sender@sender.test'))[0]).toContain('damaged')
})

/** Changes a byte of what is stored. */
async function flip(box: Testbed, where: string): Promise<void> {
  const directory = join(box.directory, 'spool', 'smtp-1')
  for (const name of await readdir(directory)) {
    const file = join(directory, name)
    const bytes = await readFile(file)
    const at = bytes.indexOf(where)
    if (at < 0) continue
    bytes[at]! ^= 1
    await writeFile(file, bytes)
    return
  }
  throw new Error(`no segment contains ${where}`)
}
