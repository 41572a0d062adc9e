import * as fs from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { envelopeOf } from '../test/suite.ts'
import { close, open, read } from './disk.ts'
import { encodeHead, encodeStart, headLength, sealHeader } from './record.ts'
import { type Found, type Gap, type Span, scanWindow } from './scan.ts'

const marker = Buffer.from('0123456789abcdef', 'hex')
let directory: string

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'postern-scan-'))
})
afterAll(() => rm(directory, { recursive: true }))

/** A segment with these bodies, and where each record begins. */
function segmentOf(bodies: readonly Buffer[], known = marker): { bytes: Buffer; begins: number[] } {
  const parts = [encodeHead({ segment: 3, own: false, previous: 2, previousEnd: 64, marker: known })]
  const begins: number[] = []
  let offset = headLength
  for (const body of bodies) {
    const envelope = envelopeOf({ revision: begins.length })
    const start = encodeStart(envelope, undefined, { length: body.length, crc: crc32(body), own: false, copy: false })
    sealHeader(start, { marker: known, segment: 3, offset })
    begins.push(offset)
    parts.push(start, body)
    offset += start.length + body.length
  }
  return { bytes: Buffer.concat(parts), begins }
}

type Scanned = {
  found: Found[]
  gaps: Gap[]
  next: number
}

async function scan(
  bytes: Buffer,
  how: { trusted: boolean; marker?: Buffer | undefined; to?: number; bodies?: Span['bodies'] },
): Promise<Scanned> {
  const file = join(directory, 'segment')
  await writeFile(file, bytes)
  const fd = await open(file, fs.constants.O_RDONLY)
  const known = 'marker' in how ? how.marker : marker
  const span = {
    fd,
    segment: 3,
    to: how.to ?? bytes.length,
    marker: known,
    trusted: how.trusted,
    bodies: 'now' as const,
    read,
  }
  const all: Scanned = { found: [], gaps: [], next: headLength }
  try {
    for (let isLarge = false; ; ) {
      const window = await scanWindow(span, all.next, 500, isLarge)
      isLarge = window.isLarge
      all.found.push(...window.found)
      all.gaps.push(...window.gaps)
      if (window.next === all.next) return all
      all.next = window.next
    }
  } finally {
    await close(fd)
  }
}

const numbers = ({ found }: Scanned) => found.map(({ meta }) => meta.envelope.revision)
const threeBodies = [Buffer.from('one\r\n'), Buffer.alloc(0), Buffer.from('three, a little longer\r\n')]

describe('a torn tail', () => {
  it('is not given, at whatever byte it is torn', async () => {
    const { bytes, begins } = segmentOf(threeBodies)
    for (let end = begins[2]!; end < bytes.length; end++) {
      const scanned = await scan(bytes.subarray(0, end), { trusted: false })
      expect(numbers(scanned)).toEqual([0, 1])
      expect(scanned.gaps).toEqual([])
      expect(scanned.next).toBe(begins[2])
    }
  })

  it('is not given when it ends in bytes that were never written (zeros, or an older file)', async () => {
    const { bytes, begins } = segmentOf(threeBodies)
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: begins[2]!, max: bytes.length - 1 }),
        fc.constantFrom(0, 0x41, 255),
        async (end, fill) => {
          const torn = Buffer.from(bytes)
          torn.fill(fill, end)
          fc.pre(!torn.equals(bytes))
          expect(numbers(await scan(torn, { trusted: false }))).toEqual([0, 1])
        },
      ),
      { numRuns: 100 },
    )
  })
})

describe('damage', () => {
  it('of any one bit is found, told, and costs that record alone', async () => {
    const { bytes, begins } = segmentOf(threeBodies)
    for (let at = begins[1]!; at < begins[2]!; at++) {
      const flipped = Buffer.from(bytes)
      flipped[at]! ^= 1 << (at % 8)
      const scanned = await scan(flipped, { trusted: true })
      expect(numbers(scanned)).toEqual([0, 2])
      expect(scanned.gaps).toHaveLength(1)
      expect(scanned.gaps[0]).toMatchObject({ offset: begins[1], bytes: begins[2]! - begins[1]! })
    }
  })

  it('of a body names the message', async () => {
    const { bytes, begins } = segmentOf(threeBodies)
    bytes[begins[1]! - 1]! ^= 4
    const scanned = await scan(bytes, { trusted: true })
    expect(scanned.gaps[0]).toMatchObject({ reason: 'body', envelope: { revision: 0 } })
  })

  it('of several places at once never makes a message that was not written', async () => {
    const bodies = Array.from({ length: 12 }, (_, index) => Buffer.alloc(index * 40, `${index}`))
    const { bytes } = segmentOf(bodies)
    const whole = (await scan(bytes, { trusted: true })).found.map(({ meta }) => meta.json)
    const place = fc.integer({ min: headLength, max: bytes.length - 1 })
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(place, fc.integer({ min: 1, max: 255 })), { minLength: 1, maxLength: 6 }),
        async (hits) => {
          const hurt = Buffer.from(bytes)
          for (const [at, mask] of hits) hurt[at]! ^= mask
          const scanned = await scan(hurt, { trusted: true })
          for (const { meta } of scanned.found) expect(whole).toContain(meta.json)
          const lost = scanned.gaps.reduce((sum, gap) => sum + gap.bytes, 0)
          const kept = scanned.found.reduce((sum, record) => sum + record.bytes, 0)
          expect(lost + kept).toBe(bytes.length - headLength)
          expect(scanned.next).toBe(bytes.length)
          if (!hurt.equals(bytes)) expect(scanned.gaps).not.toEqual([])
        },
      ),
      { numRuns: 200 },
    )
  })

  it('larger than a window is passed over', async () => {
    const { bytes, begins } = segmentOf([...threeBodies, Buffer.alloc(3 << 20, 'x'), Buffer.from('after')])
    bytes.fill(0x55, begins[1]!, begins[4]!)
    const scanned = await scan(bytes, { trusted: true })
    expect(numbers(scanned)).toEqual([0, 4])
    expect(scanned.gaps.reduce((sum, gap) => sum + gap.bytes, 0)).toBe(begins[4]! - begins[1]!)
  })

  it('that cut a segment short is told as missing', async () => {
    const { bytes, begins } = segmentOf(threeBodies)
    const scanned = await scan(bytes.subarray(0, begins[2]! + 10), { trusted: true, to: bytes.length })
    expect(numbers(scanned)).toEqual([0, 1])
    expect(scanned.gaps).toEqual([{ offset: begins[2], bytes: bytes.length - begins[2]!, reason: 'missing' }])
  })

  it('does not give a record that lies elsewhere than it was written', async () => {
    const { bytes, begins } = segmentOf([Buffer.alloc(100), Buffer.alloc(100), Buffer.alloc(100)])
    bytes.copy(bytes, begins[1]!, begins[0]!, begins[1]!)
    expect(numbers(await scan(bytes, { trusted: true }))).toEqual([0, 2])
  })
})

describe('what a stranger sent', () => {
  it('is never taken for a record, even when the record around it is damaged', async () => {
    // The forger knows the format, the number and the offset, but not the marker.
    const forged = segmentOf([Buffer.from('forged')], Buffer.alloc(8, 7)).bytes.subarray(headLength)
    const before = segmentOf([Buffer.alloc(0)]).begins[0]!
    const bodyAt = segmentOf([Buffer.alloc(0)]).bytes.length
    sealHeader(forged, { marker: Buffer.alloc(8, 7), segment: 3, offset: bodyAt })
    const { bytes } = segmentOf([forged, Buffer.from('after')])
    bytes[before + 20]! ^= 1
    const scanned = await scan(bytes, { trusted: true })
    expect(numbers(scanned)).toEqual([1])
    expect(scanned.found[0]!.offset).toBeGreaterThan(bodyAt)
  })
})

describe('noise', () => {
  it('gives nothing and ends, whatever it is', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 4000 }),
        fc.boolean(),
        fc.boolean(),
        async (bytes, trusted, known) => {
          const noise = Buffer.concat([Buffer.alloc(headLength), bytes])
          const scanned = await scan(noise, { trusted, marker: known ? marker : undefined })
          expect(scanned.found).toEqual([])
          expect(scanned.next).toBe(trusted ? noise.length : headLength)
        },
      ),
      { numRuns: 200 },
    )
  })

  it('that begins like a record with wild lengths gives nothing', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat({ max: 2 ** 32 - 1 }),
        fc.nat({ max: 2 ** 32 - 1 }),
        fc.nat({ max: 2 ** 52 }),
        async (envelope, prefix, body) => {
          const { bytes } = segmentOf([Buffer.from('x')])
          bytes.writeUInt32LE(envelope, headLength + 24)
          bytes.writeUInt32LE(prefix, headLength + 28)
          bytes.writeUInt32LE(body % 2 ** 32, headLength + 32)
          bytes.writeUInt32LE(Math.floor(body / 2 ** 32), headLength + 36)
          sealHeader(bytes.subarray(headLength), { marker, segment: 3, offset: headLength })
          for (const trusted of [true, false]) expect((await scan(bytes, { trusted })).found).toEqual([])
        },
      ),
      { numRuns: 100 },
    )
  })
})

describe('bodies that are verified later', () => {
  const size = fc.oneof(fc.integer({ min: 0, max: 3000 }), fc.integer({ min: 10_000, max: 300_000 }))
  const sizes = fc.array(size, { minLength: 1, maxLength: 30 })

  it('change nothing in what is found, whatever the sizes', async () => {
    await fc.assert(
      fc.asyncProperty(sizes, async (lengths) => {
        const { bytes, begins } = segmentOf(lengths.map((length) => Buffer.alloc(length, 'x')))
        const scanned = await scan(bytes, { trusted: true, bodies: 'later' })
        expect(scanned.found.map(({ offset }) => offset)).toEqual(begins)
        expect(scanned.gaps).toEqual([])
        expect(scanned.next).toBe(bytes.length)
      }),
      { numRuns: 50 },
    )
  })

  it('are those of large records alone: other damage is found, told, and costs one record', async () => {
    await fc.assert(
      fc.asyncProperty(sizes, fc.nat(), fc.nat(), async (lengths, which, where) => {
        const { bytes, begins } = segmentOf(lengths.map((length) => Buffer.alloc(length, 'x')))
        const hit = which % lengths.length
        const body = (begins[hit + 1] ?? bytes.length) - lengths[hit]!
        const isLarge = lengths[hit]! > 15_000
        const end = isLarge ? body : body + lengths[hit]!
        bytes[begins[hit]! + (where % (end - begins[hit]!))]! ^= 1
        const scanned = await scan(bytes, { trusted: true, bodies: 'later' })
        expect(numbers(scanned)).toEqual(lengths.map((_, n) => n).filter((n) => n !== hit))
        expect(scanned.gaps.reduce((sum, gap) => sum + gap.bytes, 0)).toBe(
          (begins[hit + 1] ?? bytes.length) - begins[hit]!,
        )
      }),
      { numRuns: 50 },
    )
  })
})
