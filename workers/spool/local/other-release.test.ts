import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { SpoolFailure, type SpoolReader, type Trouble } from '../spool.ts'
import { envelopeOf } from '../test/suite.ts'
import { openLocalReader } from './reader.ts'
import { headLength } from './record.ts'
import { openLocalWriter } from './writer.ts'

/** A segment in another format: another release wrote it. It is neither read, nor taken for damage, nor changed. */

let directory: string
let reader: SpoolReader
let file: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'postern-release-'))
  reader = openLocalReader({ directory, pollMs: 20, silentMs: 100 })
  const writer = await openLocalWriter({ directory, name: 'smtp-1' })
  await writer.write({ envelope: envelopeOf(), body: Buffer.from('x') })
  await writer.close()
  const segments = (await readdir(join(directory, 'smtp-1'))).filter((name) => name.endsWith('.seg')).sort()
  file = join(directory, 'smtp-1', segments[0] as string)
})
afterEach(async () => {
  await reader.close()
  await rm(directory, { recursive: true })
})

/** The head's last byte of magic is the format; the checksum follows it. */
async function asFormat(format: number): Promise<Buffer> {
  const bytes = await readFile(file)
  bytes[7] = format
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 60)), headLength - 4)
  await writeFile(file, bytes)
  return bytes
}

const otherRelease = /has format 2, .* it was written by another release\. Start that release; nothing was changed/

async function all(batches: AsyncIterable<unknown>): Promise<unknown[]> {
  const seen: unknown[] = []
  for await (const batch of batches) seen.push(batch)
  return seen
}

it('stops a reader that rebuilds an index', async () => {
  const before = await asFormat(2)
  const failure = await all(reader.scan(new Map())).catch((error: unknown) => error)
  expect(failure).toBeInstanceOf(SpoolFailure)
  expect(String(failure)).toMatch(otherRelease)
  expect(await readFile(file)).toEqual(before)
})

it('is waited for by a reader that follows: told once, never passed over', async () => {
  const before = await asFormat(2)
  const troubles: Trouble[] = []
  const follower = openLocalReader({ directory, pollMs: 5, silentMs: 10, trouble: (one) => troubles.push(one) })
  const stop = new AbortController()
  const batches = all(follower.follow({ after: new Map(), signal: stop.signal }))
  await expect.poll(() => troubles).toMatchObject([{ kind: 'unreadable', error: expect.stringMatching(otherRelease) }])
  // An hour later, far longer than a disk that refuses to read is waited for, and after many more looks at it.
  const now = performance.now.bind(performance)
  const looks = vi.spyOn(performance, 'now').mockImplementation(() => now() + 3_600_000)
  await expect.poll(() => looks.mock.calls.length, { timeout: 20_000 }).toBeGreaterThan(50)
  looks.mockRestore()
  stop.abort()
  expect(await batches).toEqual([])
  expect(troubles).toHaveLength(1)
  await follower.close()
  expect(await readFile(file)).toEqual(before)
})

it('is refused by the writer that would recover it', async () => {
  const before = await asFormat(2)
  await expect(openLocalWriter({ directory, name: 'smtp-1' })).rejects.toThrow(otherRelease)
  expect(await readFile(file)).toEqual(before)
})

it('is no other format when one byte of the head is damaged', async () => {
  const bytes = await readFile(file)
  bytes[7] = 2
  await writeFile(file, bytes)
  await expect(openLocalWriter({ directory, name: 'smtp-1' })).resolves.toBeDefined()
})
