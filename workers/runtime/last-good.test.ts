import { readdirSync } from 'node:fs'
import { appendFile, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { emptyReplica, type Replica } from '@postern/contract/rows.ts'
import { afterEach, describe, expect, test } from 'vitest'
import { LastGood } from './last-good.ts'
import { noSmallDisk, type SmallDisk, smallDisk } from './test/disk.ts'

const open: { close(): unknown }[] = []
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
})

const createdAt = new Date(0).toISOString()

function replicaOf(count: number, comment: string): Replica {
  const replica = emptyReplica()
  for (let i = 0; i < count; i++) {
    const value = `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`
    replica.relay.set(value, { value, comment, createdBy: 'test', createdAt })
  }
  return replica
}

const change = (revision: number, comment: string) => {
  const value = '10.0.0.0'
  return { revision, kind: 'relay', id: value, value: { value, comment, createdBy: 'test', createdAt } } as const
}

function commentOf(loaded: { replica: Replica } | undefined): string | undefined {
  return loaded?.replica.relay.get('10.0.0.0')?.comment
}

describe.skipIf(noSmallDisk)(`a full disk${noSmallDisk ? `: ${noSmallDisk}` : ''}`, () => {
  function onSmallDisk(): { disk: SmallDisk; lastGood: LastGood } {
    const disk = smallDisk(1 << 20)
    const lastGood = new LastGood(disk.path)
    open.push({ close: () => disk.unmount() }, lastGood)
    return { disk, lastGood }
  }

  test.each([0, 4096, 40_000, 150_000])(
    'a snapshot that finds %i bytes is refused, and the one before is whole',
    async (room) => {
      const { disk, lastGood } = onSmallDisk()
      await lastGood.load()
      await lastGood.saveSnapshot(replicaOf(2000, 'old'), { revision: 1, id: 'r1' })
      await disk.fill(room)
      await expect(lastGood.saveSnapshot(replicaOf(2000, 'new'), { revision: 2, id: 'r2' })).rejects.toThrow('ENOSPC')
      const loaded = await new LastGood(disk.path).load()
      expect(loaded?.revision).toBe(1)
      expect(loaded?.replica.relay.size).toBe(2000)
      expect(commentOf(loaded)).toBe('old')
      expect(readdirSync(disk.path).sort()).toEqual(['filling', 'settings.ndjson'])
    },
  )

  test('changes that were cut are not good, and are saved with the next ones when there is room', async () => {
    const { disk, lastGood } = onSmallDisk()
    await lastGood.load()
    const replica = replicaOf(1, 'old')
    await lastGood.saveSnapshot(replica, { revision: 1, id: 'r1' })
    await lastGood.saveChanges([change(2, 'second')], { replica, revision: 2, id: 'r2' })
    await disk.fill(4096)
    const many = Array.from({ length: 200 }, () => change(3, 'third'))
    await expect(lastGood.saveChanges(many, { replica, revision: 3, id: 'r3' })).rejects.toThrow('ENOSPC')
    expect(await new LastGood(disk.path).load()).toMatchObject({ revision: 2 })
    disk.free()
    const newer = replicaOf(1, 'fourth')
    await lastGood.saveChanges([change(4, 'fourth')], { replica: newer, revision: 4, id: 'r4' })
    const loaded = await new LastGood(disk.path).load()
    expect(loaded?.revision).toBe(4)
    expect(commentOf(loaded)).toBe('fourth')
  })
})

async function folder(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'postern-last-good-'))
}

test('a torn last line is cut off, byte for byte, before the next is written', async () => {
  const directory = await folder()
  const first = new LastGood(directory)
  await first.load()
  const replica = replicaOf(1, 'old')
  await first.saveSnapshot(replica, { revision: 1, id: 'r1' })
  await first.saveChanges([change(2, 'zwölf Größen')], { replica, revision: 2, id: 'r2' })
  await first.close()
  const file = join(directory, 'settings-changes.ndjson')
  const whole = await readFile(file)
  await appendFile(file, JSON.stringify(change(3, 'torn')).slice(0, 40))
  const second = new LastGood(directory)
  await second.load()
  await second.saveChanges([change(4, 'fourth')], { replica, revision: 4, id: 'r4' })
  await second.close()
  expect((await readFile(file)).subarray(0, whole.length)).toEqual(whole)
  const loaded = await new LastGood(directory).load()
  expect(loaded?.revision).toBe(4)
  expect(commentOf(loaded)).toBe('fourth')
})

test('changes older than the snapshot, which a crash kept from being removed, are passed over', async () => {
  const directory = await folder()
  const lastGood = new LastGood(directory)
  await lastGood.load()
  await lastGood.saveSnapshot(replicaOf(1, 'of the snapshot'), { revision: 9, id: 'r9' })
  await writeFile(
    join(directory, 'settings-changes.ndjson'),
    `${JSON.stringify(change(8, 'stale'))}\n{"good":8}\n${JSON.stringify(change(10, 'newer'))}\n{"good":10}\n${JSON.stringify(change(11, 'x'))}\n`,
  )
  const loaded = await new LastGood(directory).load()
  expect(loaded?.revision).toBe(10)
  expect(commentOf(loaded)).toBe('newer')
  await writeFile(join(directory, 'settings-changes.ndjson'), `${JSON.stringify(change(8, 'stale'))}\n{"good":8}\n`)
  expect(commentOf(await new LastGood(directory).load())).toBe('of the snapshot')
})
