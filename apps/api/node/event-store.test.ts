import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { zstdCompressSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { EventStore } from '../dependencies.ts'
import { openEventStore } from './event-store.ts'

let directory: string
let store: EventStore
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'event-store-'))
  const log = { info() {}, warn() {}, error() {} }
  store = await openEventStore({ env: {}, directory, log, now: () => Date.now() })
})
afterAll(async () => {
  await store.close()
  await rm(directory, { recursive: true })
})

async function unpacked(content: Uint8Array): Promise<string[]> {
  const found: string[] = []
  await store.unpack(content, (lines) => found.push(new TextDecoder('utf-8', { fatal: true }).decode(lines)))
  return found
}

describe('a batch is unpacked', () => {
  it('in whole lines, whatever is longer than what is unpacked at once', async () => {
    const text = [1, 30, 70_000, 3, 200_000, 5].map((n) => `${'é😀'.repeat(n)}\n`).join('')
    const found = await unpacked(await store.pack(text))
    expect(found.join('') === text).toBe(true)
    expect(found.every((lines) => lines.endsWith('\n'))).toBe(true)
  })

  it('and passes on what the caller throws', async () => {
    const refusal = store.unpack(await store.pack('a\n'), () => {
      throw new TypeError('no')
    })
    await expect(refusal).rejects.toThrow(/no/)
  })

  const line = zstdCompressSync('a line\n')
  it.each([
    ['is cut off', line.subarray(0, -3), /unexpected end/],
    ['is not compressed', Buffer.from('a line\n'), /Unknown frame/],
    ['is empty', new Uint8Array(), /unexpected end/],
    ['goes on behind its end', Buffer.concat([line, Buffer.from('more')]), /4 bytes follow its end/],
    ['has a second frame', Buffer.concat([line, line]), /bytes follow its end/],
    ['is not UTF-8', zstdCompressSync(Buffer.from('\xe9\n', 'latin1')), /invalid UTF-8/],
    ['ends within a character', zstdCompressSync(Buffer.from('é').subarray(0, 1)), /invalid UTF-8/],
    ['becomes too large', zstdCompressSync(Buffer.alloc(20_000_000, 'a\n')), /more than 16777216 bytes/],
  ])('unless it %s', async (_, content, message) => {
    await expect(unpacked(content)).rejects.toThrow(
      expect.objectContaining({ status: 400, message: expect.stringMatching(message) }),
    )
  })
})
