import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { finished } from 'node:stream/promises'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { deliveredBytes, type HeaderEdits, noEdits, streamWithEdits, withEdits, withLines } from './header-edits.ts'

const stored = Buffer.from('A: 1\r\nB: 2\r\nC: 3\r\n\r\nbody\r\n')
const overlay: HeaderEdits = { lines: 'X: 0\r\n', cuts: [[6, 12]] }

describe('an overlay', () => {
  it('puts lines before a message and leaves fields out', () => {
    expect(withEdits(stored, overlay).toString()).toBe('X: 0\r\nA: 1\r\nC: 3\r\n\r\nbody\r\n')
    expect(withEdits(stored, withLines(overlay, 'S: s\r\n')).toString()).toMatch(/^S: s\r\nX: 0\r\nA: 1\r\nC/)
  })

  it('gives the stored message itself when there is nothing to change', () => {
    expect(withEdits(stored, undefined)).toBe(stored)
    expect(withEdits(stored, noEdits)).toBe(stored)
  })

  it('does the same to a stream, however it is cut into pieces, and knows the bytes beforehand', async () => {
    const cuts = fc.uniqueArray(fc.integer({ min: 0, max: 200 }), { maxLength: 8 }).map((slots) => {
      const sorted = slots.sort((a, b) => a - b)
      return sorted.flatMap((from, i) =>
        i % 2 === 0 && sorted[i + 1] ? [[from, sorted[i + 1]] as [number, number]] : [],
      )
    })
    const sizes = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 300 })
    await fc.assert(
      fc.asyncProperty(cuts, sizes, async (cut, pieces) => {
        const bytes = Buffer.from(Array.from({ length: 220 }, (_, i) => i))
        const given = { lines: 'x\r\n', cuts: cut }
        const expected = Buffer.concat([
          Buffer.from('x\r\n'),
          bytes.filter((_, i) => !cut.some(([a, b]) => i >= a && i < b)),
        ])
        const source = Readable.from(split(bytes, pieces), { objectMode: false })
        expect(await buffer(streamWithEdits(source, given))).toEqual(expected)
        expect(withEdits(bytes, given)).toEqual(expected)
        expect(deliveredBytes({ bytes: 220, headerEdits: given })).toBe(expected.length)
      }),
    )
  })

  it('fails as the stored message does, and closes it when nobody reads on', async () => {
    async function* broken() {
      yield stored
      throw new Error('damaged')
    }
    await expect(buffer(streamWithEdits(Readable.from(broken(), { objectMode: false }), overlay))).rejects.toThrow(
      'damaged',
    )
    const source = Readable.from([stored, stored], { objectMode: false })
    const stream = streamWithEdits(source, overlay)
    for await (const _ of stream) break
    await finished(source, { error: false }).catch(() => {})
    expect(source.destroyed).toBe(true)
  })
})

function split(bytes: Buffer, sizes: number[]): Buffer[] {
  const pieces: Buffer[] = []
  let at = 0
  for (let i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length] as number
    pieces.push(bytes.subarray(at, at + size))
    at += size
  }
  return pieces
}
