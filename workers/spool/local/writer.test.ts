import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { SpoolFailure, SpoolFull, type SpoolReader, type Trouble } from '../spool.ts'
import { envelopeOf, takeOver } from '../test/suite.ts'
import { openLocalReader } from './reader.ts'
import { headLength } from './record.ts'
import { type LocalWriterOptions, openLocalWriter } from './writer.ts'

let directory: string
let reader: SpoolReader
let troubles: Trouble[]

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'postern-writer-'))
  reader = openLocalReader({ directory, silentMs: 200 })
  troubles = []
})
afterEach(async () => {
  vi.restoreAllMocks()
  syncBuiltinESMExports()
  await reader.close()
  await rm(directory, { recursive: true })
})

const openWriter = (options: Partial<LocalWriterOptions> = {}) =>
  openLocalWriter({ directory, name: 'smtp-1', trouble: (trouble) => troubles.push(trouble), ...options })

const message = (bytes = 100) => ({ envelope: envelopeOf(), body: Buffer.alloc(bytes, 'x') })

/** Every id that a reader without a cursor is given, and that nothing was damaged. */
async function idsOnDisk(from = reader): Promise<string[]> {
  const ids: string[] = []
  for await (const { arrivals, damages } of from.scan(new Map())) {
    expect(damages).toEqual([])
    ids.push(...arrivals.map(({ envelope }) => envelope.id))
  }
  return ids
}

const segmentsOf = async () => (await readdir(join(directory, 'smtp-1'))).filter((name) => name.endsWith('.seg')).sort()

describe('a torn tail at start', () => {
  it('is cut and told, at whatever byte it is torn; what came before stays', async () => {
    const writer = await openWriter()
    const kept = [await writer.write(message(30)), await writer.write(message(0))]
    const place = join(directory, 'smtp-1', (await segmentsOf())[0]!)
    const whole = (await stat(place)).size
    await writer.write(message(20))
    await writer.close()
    // As after a crash of the machine: what the tail said is gone.
    await rm(join(directory, 'smtp-1', 'tail'))
    const end = (await stat(place)).size
    for (let torn = whole; torn < end; torn += torn === whole || torn > end - 3 ? 1 : 37) {
      const copy = await mkdtemp(join(tmpdir(), 'postern-torn-'))
      await cp(directory, copy, { recursive: true })
      await truncate(place.replace(directory, copy), torn)
      troubles = []
      const again = await openWriter({ directory: copy })
      const later = await again.write(message())
      const other = openLocalReader({ directory: copy })
      const { arrivals } = await takeOver(other, 3)
      expect(arrivals.map(({ envelope }) => envelope.id)).toEqual([...kept, later].map(({ id }) => id))
      const told = { kind: 'torn-tail', segment: kept[0]!.segment, offset: whole, bytes: torn - whole }
      expect(troubles).toEqual(torn > whole ? [told] : [])
      expect((await stat(place.replace(directory, copy))).size).toBe(whole)
      await again.close()
      await other.close()
      await rm(copy, { recursive: true })
    }
  })

  it('in the head of a new segment is no obstacle', async () => {
    const writer = await openWriter()
    const { id } = await writer.write(message())
    await writer.close()
    for (const bytes of [0, 10, headLength - 1]) {
      const next = Number.parseInt((await segmentsOf()).at(-1)!, 10) + 10
      await writeFile(join(directory, 'smtp-1', `${String(next).padStart(8, '0')}.seg`), Buffer.alloc(bytes))
      const again = await openWriter()
      await again.close()
    }
    const last = await openWriter()
    const after = await last.write(message())
    expect(await idsOnDisk()).toEqual([id, after.id])
    await last.close()
  })
})

describe('closing', () => {
  it('waits for a large message that is being committed', async () => {
    const writer = await openWriter()
    const messageWriter = writer.begin()
    await messageWriter.append(Buffer.alloc(5_000_000))
    const committed = messageWriter.commit(envelopeOf())
    await writer.close()
    expect(await idsOnDisk()).toEqual([(await committed).id])
  })

  it('forgets a large message that is still open', async () => {
    const writer = await openWriter()
    void writer
      .begin()
      .append(Buffer.alloc(5_000_000))
      ?.catch(() => {})
    await writer.close()
    expect((await readdir(join(directory, 'smtp-1'))).filter((name) => name.endsWith('.draft'))).toEqual([])
  })

  it('gives back every file', async () => {
    const open = () => fs.readdirSync('/proc/self/fd').length
    await (await openWriter()).close()
    const before = open()
    for (let count = 0; count < 5; count++) {
      const writer = await openWriter()
      await writer.write(message(2_000_000))
      await writer.close()
    }
    const other = openLocalReader({ directory })
    await takeOver(other, 5)
    await other.close()
    await vi.waitFor(() => expect(open()).toBeLessThanOrEqual(before))
  })
})

describe('segments', () => {
  it('are left when they are large enough or old enough, and never written again', async () => {
    const writer = await openWriter({ segmentBytes: 4000, segmentAgeMs: 100 })
    const ids: string[] = []
    for (let count = 0; count < 20; count++) ids.push((await writer.write(message(1000))).id)
    const bySize = (await segmentsOf()).length
    expect(bySize).toBeGreaterThanOrEqual(4)
    await vi.waitFor(async () => expect((await segmentsOf()).length).toBeGreaterThan(bySize))
    expect(await idsOnDisk()).toEqual(ids)
    await writer.close()
  })

  it('do not pile up when a writer is started again and again with nothing to do', async () => {
    for (let count = 0; count < 5; count++) await (await openWriter()).close()
    expect(await segmentsOf()).toHaveLength(1)
  })

  it('keep counting, so that no cursor waits for numbers that come a second time', async () => {
    const writer = await openWriter()
    const first = await writer.write(message())
    await writer.close()
    for (const name of await segmentsOf()) await rm(join(directory, 'smtp-1', name))
    const again = await openWriter()
    const second = await again.write(message())
    expect(Number(second.segment.split('/')[1])).toBeGreaterThan(Number(first.segment.split('/')[1]))
    await again.close()
  })

  it('are readable by their owner alone', async () => {
    const writer = await openWriter()
    const mode = (path: string) => fs.statSync(path).mode & 0o077
    expect(mode(join(directory, 'smtp-1'))).toBe(0)
    expect(mode(join(directory, 'smtp-1', (await segmentsOf())[0]!))).toBe(0)
    await writer.close()
  })
})

/** The disk takes the bytes and then says it failed, which leaves the file in a state nobody knows. */
function failWrites(times: number, code = 'EIO'): void {
  const { writev } = fs
  let left = times
  const failing = (
    fd: number,
    buffers: Buffer[],
    position: number,
    settled: (error: Error | null, written: number) => void,
  ) => {
    writev(fd, buffers, position, (error, written) => {
      settled(left-- > 0 ? Object.assign(new Error(`${code}: i/o error, write`), { code }) : error, written)
    })
  }
  vi.spyOn(fs, 'writev').mockImplementation(failing as typeof fs.writev)
  syncBuiltinESMExports()
}

describe('a disk that fails', () => {
  it('refuses exactly the messages concerned, and goes on in a new segment', async () => {
    const writer = await openWriter()
    const before = await writer.write(message())
    failWrites(1)
    const refused = await Promise.allSettled([writer.write(message()), writer.write(message())])
    const after = await Promise.all([writer.write(message()), writer.write(message())])
    for (const { status, ...rest } of refused) {
      expect(status).toBe('rejected')
      expect((rest as PromiseRejectedResult).reason).toBeInstanceOf(SpoolFailure)
    }
    expect(after[0]!.segment).not.toBe(before.segment)
    expect(troubles).toEqual([
      { kind: 'write-failed', segment: before.segment, refused: 2, error: 'EIO: i/o error, write' },
    ])
    expect(await idsOnDisk()).toEqual([before.id, ...after.map(({ id }) => id)])
    expect(writer.load().pending).toBe(0)
    await writer.close()
  })

  it('that fails for new segments too refuses until it works again', async () => {
    const writer = await openWriter()
    failWrites(3)
    for (let count = 0; count < 3; count++) await expect(writer.write(message())).rejects.toThrow(SpoolFailure)
    const { id } = await writer.write(message())
    expect(await idsOnDisk()).toEqual([id])
    await writer.close()
  })

  it.each([1, 2, 3])('refuses a large message when write %i of it fails, and leaves nothing of it', async (which) => {
    const writer = await openWriter()
    const messageWriter = writer.begin()
    const half = Buffer.alloc(800_000)
    await messageWriter.append(half)
    if (which === 1) failWrites(1)
    const appended = Promise.resolve(messageWriter.append(half)).then(
      () => 'taken',
      (error) => error,
    )
    if (which === 1) expect(await appended).toBeInstanceOf(SpoolFailure)
    else expect(await appended).toBe('taken')
    if (which === 2) failWrites(1)
    if (which === 3) vi.spyOn(fs, 'fdatasync').mockImplementation((_fd, settled) => settled(new Error('EIO')))
    syncBuiltinESMExports()
    await expect(messageWriter.commit(envelopeOf())).rejects.toThrow(SpoolFailure)
    vi.restoreAllMocks()
    syncBuiltinESMExports()
    const { id } = await writer.write(message())
    expect(await idsOnDisk()).toEqual([id])
    expect(writer.load().pending).toBe(0)
    await writer.close()
    expect((await readdir(join(directory, 'smtp-1'))).filter((name) => name.endsWith('.draft'))).toEqual([])
  })

  it('refuses a large message whose name could not be made durable', async () => {
    const writer = await openWriter()
    vi.spyOn(fs, 'fsync').mockImplementationOnce((_fd, settled) => settled(new Error('EIO')))
    syncBuiltinESMExports()
    await expect(writer.write(message(2_000_000))).rejects.toThrow(SpoolFailure)
    const { id } = await writer.write(message(2_000_000))
    expect(await idsOnDisk()).toEqual([id])
    await writer.close()
  })
})

describe('a full disk', () => {
  it('is foreseen: unfinished that are open count, and what is given up is given back', async () => {
    const writer = await openWriter({ reserve: 0, free: (_directory, answer) => answer(null, 1_000_000) })
    const messageWriter = writer.begin(600_000)
    expect(writer.hasRoom(300_000)).toBe(true)
    expect(writer.hasRoom(500_000)).toBe(false)
    expect(() => writer.begin(500_000)).toThrow(SpoolFull)
    await expect(writer.write(message(500_000))).rejects.toThrow(SpoolFull)
    await messageWriter.append(Buffer.alloc(900_000))
    await expect(messageWriter.append(Buffer.alloc(200_000))).rejects.toThrow(SpoolFull)
    await expect(messageWriter.commit(envelopeOf())).rejects.toThrow(SpoolFull)
    expect(writer.load().pending).toBe(0)
    expect(writer.hasRoom(900_000)).toBe(true)
    await writer.close()
  })

  it('leaves half of the reserve to copies, so that it can be tidied', async () => {
    const writer = await openWriter()
    const { location } = await writer.write(message(1000))
    const own = await openWriter({ name: 'queue-1', reserve: 100_000, free: (_d, answer) => answer(null, 60_000) })
    await expect(own.write(message(1000))).rejects.toThrow(SpoolFull)
    expect(await reader.readBody((await reader.copyOn(location, own)).location)).toHaveLength(1000)
    await writer.close()
    await own.close()
  })

  it('that cannot be asked is taken for full', async () => {
    const writer = await openWriter({ free: (_directory, answer) => answer(new Error('EIO'), 0) })
    expect(writer.hasRoom()).toBe(false)
    await writer.close()
  })
})

/** A file system of its own, where the process may mount one. */
async function withSmallDisk(use: () => Promise<void>): Promise<void> {
  await mkdir(directory, { recursive: true })
  execFileSync('/bin/mount', ['-t', 'tmpfs', '-o', 'size=8m', 'postern-test', directory])
  try {
    await use()
  } finally {
    execFileSync('/bin/umount', ['-l', directory])
  }
}

function mayMount(): boolean {
  if (process.getuid?.() !== 0) return false
  const probe = fs.mkdtempSync(join(tmpdir(), 'postern-mount-'))
  try {
    execFileSync('/bin/mount', ['-t', 'tmpfs', '-o', 'size=1m', 'postern-test', probe], { stdio: 'ignore' })
    execFileSync('/bin/umount', [probe])
    return true
  } catch {
    return false
  } finally {
    fs.rmdirSync(probe)
  }
}

// Needs the right to mount; the injected tests above hold the same promises where there is none.
describe.runIf(mayMount())('a really full disk (tmpfs of 8 MiB)', () => {
  it('is never reached while there is a reserve', () =>
    withSmallDisk(async () => {
      const writer = await openWriter({ reserve: 2 << 20 })
      const stored: string[] = []
      const client = async () => {
        while (true) stored.push((await writer.write(message(20_000))).id)
      }
      const ends = await Promise.allSettled(Array.from({ length: 10 }, client))
      for (const end of ends) expect((end as PromiseRejectedResult).reason).toBeInstanceOf(SpoolFull)
      expect(stored.length).toBeGreaterThan(200)
      expect(troubles).toEqual([])
      expect((await idsOnDisk()).sort()).toEqual(stored.sort())
      await writer.close()
    }))

  it('refuses what does not fit, keeps what does, and recovers when there is room', () =>
    withSmallDisk(async () => {
      const writer = await openWriter({ reserve: 0, free: (_directory, answer) => answer(null, 1e12) })
      const filler = join(directory, 'filler')
      await writeFile(filler, Buffer.alloc(6 << 20))
      const stored: string[] = []
      const errors: unknown[] = []
      const client = async (bytes: number) => {
        for (let count = 0; count < 20; count++) {
          await writer.write(message(bytes)).then(
            ({ id }) => stored.push(id),
            (error) => errors.push(error),
          )
        }
      }
      await Promise.all([client(50_000), client(50_000), client(50_000), client(1_500_000)])
      expect(errors.length).toBeGreaterThan(0)
      for (const error of errors) expect(error).toBeInstanceOf(SpoolFull)
      await rm(filler)
      stored.push((await writer.write(message())).id)
      stored.push((await writer.write(message(1_500_000))).id)
      expect((await idsOnDisk()).sort()).toEqual(stored.sort())
      expect(writer.load().pending).toBe(0)
      await writer.close()
    }))

  it('does not keep a writer from starting', () =>
    withSmallDisk(async () => {
      const first = await openWriter({ reserve: 0 })
      const { id } = await first.write(message())
      await first.close()
      const filler = join(directory, 'filler')
      await writeFile(filler, Buffer.alloc(16 << 20)).catch(() => {})
      const writer = await openWriter({ reserve: 1000 })
      expect(writer.hasRoom()).toBe(false)
      await expect(writer.write(message())).rejects.toThrow(SpoolFull)
      await rm(filler)
      await vi.waitFor(() => expect(writer.hasRoom(1000)).toBe(true), 3000)
      const after = await writer.write(message())
      expect(await idsOnDisk()).toEqual([id, after.id])
      await writer.close()
    }))
})

describe('names', () => {
  it('says what is wrong with a lock that is none', async () => {
    await mkdir(join(directory, 'smtp-1'))
    await writeFile(join(directory, 'smtp-1', 'lock'), 'x'.repeat(5000))
    await expect(openWriter()).rejects.toThrow(/lock ".*smtp-1\/lock": .*not a database/)
  })

  it.each(['', '../x', 'a/b', '.hidden', 'x'.repeat(65), 'a b'])('refuses the writer name "%s"', async (name) => {
    await expect(openWriter({ name })).rejects.toThrow(RangeError)
  })

  it('refuses locations and cursors that no spool gave', async () => {
    for (const location of ['', 'smtp-1/1/64', '../x/1/64/100', 'smtp-1/1/64/1e9', 'smtp-1/1/64/100/5']) {
      await expect(reader.readBody(location as never)).rejects.toThrow(RangeError)
      expect(() => reader.openBody(location as never)).toThrow(RangeError)
    }
    await (await openWriter()).close()
    const bad = reader.follow({ after: new Map([['smtp-1', 'x' as never]]), signal: AbortSignal.timeout(500) })
    await expect(bad[Symbol.asyncIterator]().next()).rejects.toThrow(RangeError)
  })

  it('does not touch what is not its own', async () => {
    await mkdir(join(directory, 'smtp-1'))
    const foreign = join(directory, 'smtp-1', 'README')
    await writeFile(foreign, 'hands off')
    await writeFile(join(directory, 'stray'), 'x')
    const writer = await openWriter()
    const { id } = await writer.write(message())
    expect(await idsOnDisk()).toEqual([id])
    await writer.close()
    expect(await readFile(foreign, 'utf8')).toBe('hands off')
  })
})
