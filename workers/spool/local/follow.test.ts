import { randomBytes } from 'node:crypto'
import fs from 'node:fs'
import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import {
  type Arrival,
  type Batch,
  type Damage,
  SpoolDamaged,
  type SpoolReader,
  type Stored,
  type Trouble,
} from '../spool.ts'
import { envelopeOf, overhear, takeOver } from '../test/suite.ts'
import { openLocalReader } from './reader.ts'
import { openLocalWriter } from './writer.ts'

let directory: string
let reader: SpoolReader

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'postern-follow-'))
  reader = openLocalReader({ directory, pollMs: 20, silentMs: 100 })
})
afterEach(async () => {
  await reader.close()
  await rm(directory, { recursive: true })
})

const openWriter = (options: object = {}) => openLocalWriter({ directory, name: 'smtp-1', ...options })
const message = (bytes = 100) => ({ envelope: envelopeOf(), body: Buffer.alloc(bytes, 'x') })
const fileOf = (segment: string) => {
  const [writer = '', number = ''] = segment.split('/')
  return join(directory, writer, `${number.padStart(8, '0')}.seg`)
}
const damagesOf = (batches: readonly Batch[]): Damage[] => batches.flatMap(({ damages }) => damages)
const idsOf = (arrivals: readonly Arrival[]) => arrivals.map(({ envelope }) => envelope.id)

async function damage(file: string, hit: (bytes: Buffer) => Buffer | undefined): Promise<Buffer> {
  const bytes = await readFile(file)
  const copy = Buffer.from(bytes)
  await writeFile(file, hit(copy) ?? copy)
  return bytes
}

/** Some messages in a segment that is sealed, with another behind it. */
async function sealedSpool(count = 5): Promise<{ stored: Stored[]; last: Stored }> {
  const first = await openWriter()
  const stored: Stored[] = []
  for (let index = 0; index < count; index++) stored.push(await first.write(message(index * 30)))
  await first.close()
  const second = await openWriter()
  const last = await second.write(message())
  await second.close()
  return { stored, last }
}

describe('a damaged spool', () => {
  it('is found out whatever bit of a segment flips, and the rest is given', async () => {
    const { stored, last } = await sealedSpool()
    const file = fileOf(stored[0]!.segment)
    const size = (await readFile(file)).length
    const ids = stored.map(({ id }) => id)
    await fc.assert(
      fc.asyncProperty(fc.nat(size - 1), fc.nat(7), async (at, bit) => {
        const whole = await damage(file, (bytes) => {
          bytes[at]! ^= 1 << bit
          return undefined
        })
        const fresh = openLocalReader({ directory, pollMs: 20 })
        const { batches, arrivals } = await takeOver(fresh, at < 64 ? 7 : 6)
        await fresh.close()
        await writeFile(file, whole)
        const given = idsOf(arrivals)
        expect(given.at(-1)).toBe(last.id)
        expect(ids.filter((id) => given.includes(id))).toEqual(given.slice(0, -1))
        expect(given).toHaveLength(at < 64 ? 6 : 5)
        expect(damagesOf(batches)).toHaveLength(1)
        expect(damagesOf(batches)[0]).toMatchObject({ writer: 'smtp-1', segment: stored[0]!.segment })
      }),
      { numRuns: 150 },
    )
  })

  it('with head and record damaged still gives what is behind', async () => {
    const { stored, last } = await sealedSpool()
    await damage(fileOf(stored[0]!.segment), (bytes) => bytes.fill(0, 0, 200))
    const { batches, arrivals } = await takeOver(reader, 7)
    expect(idsOf(arrivals)).toEqual([...stored.slice(1), last].map(({ id }) => id))
    expect(damagesOf(batches).map(({ reason }) => reason)).toEqual(['segment', 'header'])
  })

  it.each([
    ['without a byte', 0],
    ['with room for its head', 64],
  ])('is not one whose writer died while it created a segment, %s', async (_, bytes) => {
    const first = await openWriter()
    const before = await first.write(message())
    await first.close()
    const unfinished = fileOf(before.segment.replace(/\d+$/, (number) => String(Number(number) + 1)))
    await writeFile(unfinished, Buffer.alloc(bytes))
    const second = await openWriter()
    const after = await second.write(message())
    // The reader comes between: the second writer has begun, and has not removed what the first left.
    await writeFile(unfinished, Buffer.alloc(bytes))
    const { batches, arrivals } = await takeOver(reader, 2)
    expect(idsOf(arrivals)).toEqual([before.id, after.id])
    expect(damagesOf(batches)).toEqual([])
    await second.close()
  })

  it('whose segment is noise gives nothing of it', async () => {
    const { stored, last } = await sealedSpool()
    await damage(fileOf(stored[0]!.segment), (bytes) => randomBytes(bytes.length))
    const { batches, arrivals } = await overhear(reader, 400)
    expect(idsOf(arrivals)).toEqual([last.id])
    const told = damagesOf(batches).reduce((sum, { bytes }) => sum + bytes, 0)
    expect(told).toBe((await readFile(fileOf(stored[0]!.segment))).length)
  })

  it('says what is missing: the end of a segment, or all of it', async () => {
    const { stored, last } = await sealedSpool()
    await damage(fileOf(stored[0]!.segment), (bytes) => bytes.subarray(0, bytes.length - 1))
    const short = await takeOver(reader, 6)
    expect(idsOf(short.arrivals)).toEqual([...stored.slice(0, 4), last].map(({ id }) => id))
    expect(damagesOf(short.batches)).toMatchObject([{ reason: 'missing', segment: stored[0]!.segment }])

    const { cursors } = await takeOver(reader, 2, { batch: 2 })
    await rm(fileOf(stored[0]!.segment))
    const fresh = openLocalReader({ directory, pollMs: 20 })
    const gone = await takeOver(fresh, 2, { after: cursors })
    await fresh.close()
    expect(idsOf(gone.arrivals)).toEqual([last.id])
    expect(damagesOf(gone.batches)).toMatchObject([{ reason: 'missing', segment: stored[0]!.segment }])
  })

  it('in the body of a waiting message is told to whoever reads it, with its envelope', async () => {
    const writer = await openWriter()
    const whole = message()
    const stored = await writer.write(whole)
    await writer.close()
    await damage(fileOf(stored.segment), (bytes) => bytes.fill(0, bytes.length - 1))
    const told = { damage: { reason: 'body', segment: stored.segment, envelope: whole.envelope } }
    await expect(reader.readBody(stored.location)).rejects.toMatchObject(told)
    await expect(reader.readBody(stored.location)).rejects.toThrow(SpoolDamaged)
    await expect(reader.openBody(stored.location).toArray()).rejects.toMatchObject(told)
    expect(await reader.readEnvelope(stored.location)).toEqual(whole.envelope)
    await rm(fileOf(stored.segment))
    const fresh = openLocalReader({ directory })
    await expect(fresh.readBody(stored.location)).rejects.toMatchObject({ damage: { reason: 'missing' } })
    await expect(fresh.openBody(stored.location).toArray()).rejects.toMatchObject({ damage: { reason: 'missing' } })
    await fresh.close()
  })

  it.each([0.2, 0.6, 0.99])('in a large body (at %d of it) is told before its end is given', async (part) => {
    const writer = await openWriter()
    const body = randomBytes(3 << 20)
    const stored = await writer.write({ envelope: envelopeOf(), prefix: Buffer.from('A: b\r\n'), body })
    await writer.close()
    await damage(fileOf(stored.segment), (bytes) => {
      bytes[Math.floor(bytes.length * part)]! ^= 1
      return undefined
    })
    const given: Buffer[] = []
    const reading = (async () => {
      for await (const chunk of reader.openBody(stored.location)) given.push(chunk)
    })()
    await expect(reading).rejects.toThrow(SpoolDamaged)
    expect(Buffer.concat(given).length).toBeLessThan(body.length)
    await expect(reader.readBody(stored.location)).rejects.toThrow(SpoolDamaged)
  })

  it('never ends the reader, whatever lies in its directory', async () => {
    const { stored, last } = await sealedSpool(1)
    await mkdir(join(directory, 'smtp-1', '00000009.seg'))
    await mkdir(join(directory, 'empty'))
    await mkdir(join(directory, 'noise'))
    for (const number of [1, 2, 3]) {
      await writeFile(join(directory, 'noise', `0000000${number}.seg`), randomBytes(number * 1000))
    }
    await writeFile(join(directory, 'noise', 'tail'), randomBytes(40))
    await writeFile(join(directory, 'noise', '00000001.seg.bak'), 'x')
    const { arrivals } = await overhear(reader, 600)
    expect(idsOf(arrivals)).toEqual([stored[0]!.id, last.id])
  })
})

describe('a cursor', () => {
  afterEach(() => {
    vi.restoreAllMocks()
    syncBuiltinESMExports()
  })

  it('spares the segments before it: a start costs what is new, not what waits', async () => {
    const writer = await openWriter({ segmentBytes: 1000 })
    for (let index = 0; index < 30; index++) await writer.write(message(900))
    const { cursors } = await takeOver(reader, 30)
    const last = await writer.write(message())
    const opened: string[] = []
    const { open } = fs
    vi.spyOn(fs, 'open').mockImplementation(((path: string, ...rest: [number, number, () => void]) => {
      if (path.endsWith('.seg')) opened.push(path)
      open(path, ...rest)
    }) as typeof fs.open)
    syncBuiltinESMExports()
    const fresh = openLocalReader({ directory })
    const { arrivals } = await takeOver(fresh, 1, { after: cursors })
    expect(idsOf(arrivals)).toEqual([last.id])
    expect(opened.length).toBeLessThanOrEqual(2)
    await fresh.close()
    await writer.close()
  })

  it('does not hide what comes after the directory was emptied or restored', async () => {
    const writer = await openWriter({ segmentBytes: 1000 })
    for (let index = 0; index < 3; index++) await writer.write(message(900))
    const { cursors } = await takeOver(reader, 3)
    await writer.close()
    await rm(join(directory, 'smtp-1'), { recursive: true })
    await new Promise((resolve) => setTimeout(resolve, 3500))
    const again = await openWriter()
    const { id } = await again.write(message())
    expect(idsOf((await takeOver(reader, 1, { after: cursors })).arrivals)).toEqual([id])
    await again.close()
  })
})

describe('a disk that will not be read', () => {
  /** Reads of the bytes from `bad` on fail, in that file. */
  function failReads(bad: number, times: number): void {
    const { read } = fs
    let left = times
    vi.spyOn(fs, 'read').mockImplementation(((fd: number, buffer: Buffer, ...rest: unknown[]) => {
      const [from, length, position, settled] = rest as [number, number, number, (error: Error | null) => void]
      if (length > 64 && position <= bad && position + length > bad && left-- > 0) settled(new Error('EIO'))
      else read(fd, buffer, from, length, position, settled)
    }) as typeof fs.read)
    syncBuiltinESMExports()
  }

  afterEach(() => {
    vi.restoreAllMocks()
    syncBuiltinESMExports()
  })

  it('for a moment costs nothing', async () => {
    const { stored, last } = await sealedSpool()
    failReads(100, 3)
    const { arrivals, batches } = await overhear(reader, 500)
    expect(idsOf(arrivals)).toEqual([...stored, last].map(({ id }) => id))
    expect(damagesOf(batches)).toEqual([])
  })

  it('at one place costs the messages there, and they are told', async () => {
    const writer = await openWriter()
    const stored: Stored[] = []
    for (let index = 0; index < 10; index++) stored.push(await writer.write(message(3000)))
    await writer.close()
    const hurt = Number(stored[4]!.location.split('/')[2]) + 1000
    failReads(hurt, Number.POSITIVE_INFINITY)
    const troubles: Trouble[] = []
    const told = openLocalReader({ directory, pollMs: 20, silentMs: 100, trouble: (trouble) => troubles.push(trouble) })
    const { arrivals, batches } = await overhear(told, 2500)
    const given = idsOf(arrivals)
    expect(given.length).toBeGreaterThanOrEqual(7)
    expect(given).not.toContain(stored[4]!.id)
    expect(given.at(-1)).toBe(stored[9]!.id)
    expect(damagesOf(batches).length).toBeGreaterThan(0)
    expect(troubles).toEqual([{ kind: 'unreadable', writer: 'smtp-1', error: 'EIO' }])
    await told.close()
  })
})

describe('a segment being written', () => {
  it('is read no further than its writer says', async () => {
    const writer = await openWriter()
    const patient = openLocalReader({ directory, pollMs: 20 })
    const first = await writer.write(message())
    const whole = await readFile(fileOf(first.segment))
    // A record that is whole but not synced yet, and half of one.
    await appendFile(fileOf(first.segment), whole.subarray(64))
    expect(idsOf((await overhear(patient, 400)).arrivals)).toEqual([first.id])
    const second = await writer.write(message())
    const { arrivals, batches } = await overhear(patient, 400)
    expect(idsOf(arrivals)).toEqual([first.id, second.id])
    expect(damagesOf(batches)).toEqual([])
    await writer.close()
    await patient.close()
  })

  it.each(['gone', 'noise'])('is read to its last whole record when the word of its writer is %s', async (how) => {
    const writer = await openWriter()
    const stored = [
      await writer.write(message()),
      await writer.write(message(2_000_000)),
      await writer.write(message()),
    ]
    await writer.close()
    const tail = join(directory, 'smtp-1', 'tail')
    if (how === 'gone') await rm(tail)
    else await writeFile(tail, randomBytes(40))
    await appendFile(fileOf(stored[2]!.segment), Buffer.alloc(30))
    const { arrivals, batches } = await overhear(reader, 1200)
    expect(idsOf(arrivals)).toEqual(stored.map(({ id }) => id))
    expect(damagesOf(batches)).toEqual([])
  })
})

describe('space', () => {
  it('is bounded under steady load, with some messages that wait for ever', async () => {
    const writer = await openWriter({ segmentBytes: 200_000 })
    const own = await openWriter({ name: 'queue-1', segmentBytes: 200_000 })
    const controller = new AbortController()
    const waiting = new Map<string, Stored>()
    const cursors = new Map<string, Batch['cursor']>()
    let most = 0
    let taken = 0
    const tidy = async () => {
      const books = new Map<Stored['segment'], { messages: number; bytes: number }>()
      for (const { segment, size } of waiting.values()) {
        const entry = books.get(segment) ?? { messages: 0, bytes: 0 }
        books.set(segment, { messages: entry.messages + 1, bytes: entry.bytes + size })
      }
      const { sparse } = await reader.reclaim({ cursors, waiting: books })
      for (const [id, { segment, location }] of waiting) {
        if (sparse.includes(segment)) waiting.set(id, await reader.copyOn(location, own))
      }
      let bytes = 0
      for (const name of ['smtp-1', 'queue-1']) {
        for (const file of await readdir(join(directory, name)))
          bytes += (await readFile(join(directory, name, file))).length
      }
      most = Math.max(most, bytes)
    }
    const following = (async () => {
      for await (const batch of reader.follow({ after: new Map(), signal: controller.signal })) {
        for (const { envelope, location, segment, size } of batch.arrivals) {
          if (taken++ % 100 === 0) waiting.set(envelope.id, { id: envelope.id, location, segment, size })
        }
        cursors.set(batch.writer, batch.cursor)
        await tidy()
      }
    })()
    for (let round = 0; round < 100; round++) {
      while (taken < round * 50 - 200) await new Promise((resolve) => setTimeout(resolve, 2))
      await Promise.all(Array.from({ length: 50 }, () => writer.write(message(1000))))
    }
    while (taken < 5000) await new Promise((resolve) => setTimeout(resolve, 20))
    await new Promise((resolve) => setTimeout(resolve, 100))
    await tidy()
    controller.abort()
    await following
    // 7 MB came, 70 kB wait.
    expect(waiting.size).toBe(50)
    expect(most).toBeLessThan(2_500_000)
    for (const { location } of waiting.values()) expect(await reader.readBody(location)).toHaveLength(1000)
    await writer.close()
    await own.close()
  })

  it('of large messages is given back one by one', async () => {
    const writer = await openWriter()
    const stored = [await writer.write(message(1_500_000)), await writer.write(message(1_500_000))]
    const { cursors } = await takeOver(reader, 2)
    await writer.write(message())
    const next = await takeOver(reader, 1, { after: cursors })
    const waiting = new Map([[stored[0]!.segment, { messages: 1, bytes: stored[0]!.size }]])
    const reclaimed = await reader.reclaim({ cursors: next.cursors, waiting })
    expect(reclaimed.removed).toContain(stored[1]!.segment)
    expect(reclaimed.freed).toBeGreaterThan(1_500_000)
    expect(reclaimed.sparse).toEqual([])
    expect(await reader.readBody(stored[0]!.location)).toHaveLength(1_500_000)
    await writer.close()
  })

  it('is not given back under somebody who reads', async () => {
    const writer = await openWriter()
    const stored = await writer.write(message(3_000_000))
    const stream = reader.openBody(stored.location)
    const chunks = stream[Symbol.asyncIterator]()
    let bytes = (await chunks.next()).value.length
    await writer.write(message())
    const { cursors } = await takeOver(reader, 2)
    const { removed } = await reader.reclaim({ cursors, waiting: new Map() })
    expect(removed).toContain(stored.segment)
    for (let next = await chunks.next(); !next.done; next = await chunks.next()) bytes += next.value.length
    expect(bytes).toBe(3_000_000)
    await writer.close()
  })
})
