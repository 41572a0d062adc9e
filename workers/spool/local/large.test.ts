import fs from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Arrival, Batch, Cursor, Damage, SpoolReader, Stored } from '../spool.ts'
import { envelopeOf, takeOver } from '../test/suite.ts'
import { openLocalReader } from './reader.ts'
import { type LocalWriter, openLocalWriter } from './writer.ts'

/** What is read and verified when a message is taken over, and what when it is sent. */

let directory: string
let reader: SpoolReader

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'postern-later-'))
  reader = openLocalReader({ directory, pollMs: 20, silentMs: 100 })
})
afterEach(async () => {
  vi.restoreAllMocks()
  syncBuiltinESMExports()
  await reader.close()
  await rm(directory, { recursive: true })
})

const message = (bytes: number) => ({ envelope: envelopeOf(), body: Buffer.alloc(bytes, 'x') })

/** Changes the last bytes of the last segment's file. */
async function damage({ segment }: Stored, fromEnd: number): Promise<void> {
  const [writer = '', number = ''] = segment.split('/')
  const file = join(directory, writer, `${number.padStart(8, '0')}.seg`)
  const bytes = await readFile(file)
  bytes[bytes.length - fromEnd]! ^= 1
  await writeFile(file, bytes)
}

describe('a large message that its writer has just stored', () => {
  /** Follows a living writer whose tail is known, and stores `count` more after the first batch. */
  async function followed(count: number, store: (writer: LocalWriter) => Promise<void>) {
    const writer = await openLocalWriter({ directory, name: 'smtp-1' })
    await writer.write(message(100))
    const batches = reader.follow({ after: new Map(), signal: AbortSignal.timeout(10_000) })[Symbol.asyncIterator]()
    const next = async (most: number) => {
      const taken: { arrivals: Arrival[]; damages: Damage[]; cursor?: Cursor } = { arrivals: [], damages: [] }
      while (taken.arrivals.length + taken.damages.length < most) {
        const { arrivals, damages, cursor } = (await batches.next()).value as Batch
        taken.arrivals.push(...arrivals)
        taken.damages.push(...damages)
        taken.cursor = cursor
      }
      return taken
    }
    const { cursor } = await next(1)
    await store(writer)
    const taken = await next(count)
    await batches.return?.()
    await writer.close()
    return { ...taken, after: new Map([['smtp-1', cursor!]]) }
  }

  it('is taken over without its body, which is verified when it is read', async () => {
    const large = message(200_000)
    let stored: Stored | undefined
    const { arrivals, damages, after } = await followed(1, async (writer) => {
      stored = await writer.write(large)
      await damage(stored, 1)
    })
    expect(arrivals.map(({ envelope }) => envelope.id)).toEqual([large.envelope.id])
    expect(damages).toEqual([])
    const { location, segment } = stored!
    const told = { damage: { reason: 'body', segment, envelope: large.envelope } }
    await expect(reader.readBody(location)).rejects.toMatchObject(told)
    await expect(reader.openBody(location).toArray()).rejects.toMatchObject(told)
    // A process that finds it at its start does not know what became of the disk meanwhile.
    const restarted = openLocalReader({ directory, pollMs: 20, silentMs: 100 })
    const found = await takeOver(restarted, 1, { after })
    expect(found.arrivals).toEqual([])
    expect(found.batches.flatMap((batch) => batch.damages)).toMatchObject([
      { reason: 'body', envelope: large.envelope, location },
    ])
    await restarted.close()
  })

  it.each([
    ['a small one is verified whole', 1000, 1, 'body'],
    ['the envelope of a large one is verified', 200_000, 200_001, 'envelope'],
  ])('%s', async (_, bytes, fromEnd, reason) => {
    const { arrivals, damages } = await followed(1, async (writer) => {
      await damage(await writer.write(message(bytes)), fromEnd)
    })
    expect(arrivals).toEqual([])
    expect(damages).toMatchObject([{ reason }])
  })

  it('costs its first bytes to take over, and one read to send', async () => {
    let bytes = 0
    const { read } = fs
    vi.spyOn(fs, 'read').mockImplementation(((...[fd, buffer, from, length, position, settled]: unknown[]) => {
      bytes += length as number
      read(fd as number, buffer as Buffer, from as number, length as number, position as number, settled as () => void)
    }) as typeof fs.read)
    syncBuiltinESMExports()
    const stored: Stored[] = []
    const { arrivals } = await followed(21, async (writer) => {
      await writer.write(message(100_000))
      for (let n = 0; n < 20; n++) stored.push(await writer.write(message(100_000)))
      bytes = 0
    })
    expect(arrivals).toHaveLength(21)
    // The first one is not expected to be large.
    expect(bytes).toBeLessThan((128 << 10) + 21 * 5000)
    bytes = 0
    for (const { location } of stored) await reader.readBody(location)
    expect(bytes).toBeLessThan(20 * 101_000)
  })

  it('of the size of most mail is read once for taking over and sending', async () => {
    let stored: Stored | undefined
    const small = message(1000)
    await followed(1, async (writer) => {
      stored = await writer.write(small)
    })
    const reads = vi.spyOn(fs, 'read')
    syncBuiltinESMExports()
    expect(await reader.readBody(stored!.location)).toEqual(small.body)
    expect(reads).not.toHaveBeenCalled()
  })
})
