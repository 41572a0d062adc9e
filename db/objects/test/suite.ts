import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ObjectStore } from '../object-store.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (content: Uint8Array | undefined): string | undefined => content && new TextDecoder().decode(content)

/** What every object store does. `open` answers an empty one. */
export function objectStoreSuite(name: string, open: () => Promise<ObjectStore>): void {
  describe(name, () => {
    let store: ObjectStore
    beforeEach(async () => {
      store = await open()
    })
    afterEach(() => store.close())

    it('creates an object once', async () => {
      expect(await store.create('log/a', bytes('first'))).toBe('created')
      expect(await store.create('log/a', bytes('second'))).toBe('taken')
      expect(text(await store.get('log/a'))).toBe('first')
    })

    it('lets one of many who create the same key at once have it', async () => {
      const outcomes = await Promise.all([...'abcdefgh'].map((letter) => store.create('race/key', bytes(letter))))
      expect(outcomes.filter((outcome) => outcome === 'created')).toHaveLength(1)
      expect(text(await store.get('race/key'))).toBe('abcdefgh'[outcomes.indexOf('created')])
    })

    it('replaces an object', async () => {
      await store.put('a.parquet', bytes('old'))
      await store.put('a.parquet', bytes('new'))
      expect(text(await store.get('a.parquet'))).toBe('new')
    })

    it('answers undefined for a key that has no object', async () => {
      await store.put('log/a', bytes('x'))
      expect(await store.get('log/b')).toBeUndefined()
      expect(await store.get('log')).toBeUndefined()
      expect(await store.get('nothing/at/all')).toBeUndefined()
    })

    it('keeps every byte, of nothing and of 5 MB', async () => {
      const large = randomBytes(5_000_000)
      await store.create('large', large)
      await store.create('empty', new Uint8Array())
      expect(Buffer.compare((await store.get('large')) as Uint8Array, large)).toBe(0)
      expect(await store.get('empty')).toHaveLength(0)
    })

    it('lists keys in the order of their octets, whatever their folders', async () => {
      const keys = ['b', 'a/b/c', 'a-b', 'a.b', 'a/b', 'a/b-c', 'a/C', 'a0', 'A/z'].filter((key) => key !== 'a/b')
      for (const key of keys) await store.put(key, bytes(key))
      const listed = await store.list({ prefix: '' })
      expect(listed).toEqual(keys.toSorted((a, b) => (a < b ? -1 : 1)).map((key) => ({ key, bytes: key.length })))
    })

    it('lists a prefix that ends within a name, from a key on, so many at a time', async () => {
      for (const n of [1, 2, 3, 10, 20]) await store.put(`day/smtp-${n}`, bytes('x'))
      await store.put('day/queue-1', bytes('x'))
      const keysOf = async (range: Parameters<ObjectStore['list']>[0]) =>
        (await store.list(range)).map(({ key }) => key)
      expect(await keysOf({ prefix: 'day/smtp-1' })).toEqual(['day/smtp-1', 'day/smtp-10'])
      expect(await keysOf({ prefix: 'day/smtp-', limit: 2 })).toEqual(['day/smtp-1', 'day/smtp-10'])
      expect(await keysOf({ prefix: 'day/smtp-', after: 'day/smtp-10', limit: 2 })).toEqual([
        'day/smtp-2',
        'day/smtp-20',
      ])
      expect(await keysOf({ prefix: 'day/smtp-', after: 'day/smtp-3' })).toEqual([])
      expect(await keysOf({ prefix: 'night/' })).toEqual([])
    })

    it('walks 1 100 objects a page at a time', async () => {
      const keys = Array.from({ length: 1_100 }, (_, n) => `many/${String(n).padStart(5, '0')}`)
      for (let from = 0; from < keys.length; from += 100)
        await Promise.all(keys.slice(from, from + 100).map((key) => store.create(key, bytes('x'))))
      const found: string[] = []
      for (;;) {
        const page = await store.list({ prefix: 'many/', after: found.at(-1) ?? '' })
        if (page.length === 0) break
        expect(page.length).toBeLessThanOrEqual(1_000)
        found.push(...page.map(({ key }) => key))
      }
      expect(found).toEqual(keys)
      await store.remove(keys)
      expect(await store.list({ prefix: '' })).toEqual([])
      expect(await store.folders('')).toEqual([])
    })

    it('names folders, without those that have become empty', async () => {
      for (const key of ['log/2026-11-29/10/a', 'log/2026-11-30/09/a', 'log/2026-11-30/10/a', 'log/file', 'other/a'])
        await store.put(key, bytes('x'))
      expect(await store.folders('')).toEqual(['log/', 'other/'])
      expect(await store.folders('log/')).toEqual(['log/2026-11-29/', 'log/2026-11-30/'])
      expect(await store.folders('log/2026-11-30/')).toEqual(['log/2026-11-30/09/', 'log/2026-11-30/10/'])
      await store.remove(['log/2026-11-29/10/a'])
      expect(await store.folders('log/')).toEqual(['log/2026-11-30/'])
      expect(await store.folders('nothing/')).toEqual([])
    })

    it('removes objects, and minds none that is gone', async () => {
      await store.put('a', bytes('x'))
      await store.put('b/c', bytes('x'))
      await store.remove(['a', 'b/c', 'never/was'])
      await store.remove(['a'])
      await store.remove([])
      expect(await store.list({ prefix: '' })).toEqual([])
      expect(await store.create('b/c', bytes('again'))).toBe('created')
    })

    it('loses nothing when folders fill and empty at the same time', async () => {
      await Promise.all(
        Array.from({ length: 50 }, async (_, n) => {
          await store.create(`same/folder/${n}`, bytes(String(n)))
          if (n % 2 === 0) await store.remove([`same/folder/${n}`])
        }),
      )
      expect(await store.list({ prefix: 'same/' })).toHaveLength(25)
    })

    const strange = [
      '',
      '/',
      '/a',
      'a/',
      'a//b',
      '.',
      '..',
      'a/../b',
      './a',
      'a/.',
      '.drafts/a',
      'a/.b',
      'a b',
      'ä',
      'a\0',
      'a\\b',
      '*',
      'x'.repeat(901),
    ]
    it.each(strange)('refuses the key %j', async (key) => {
      await expect(store.create(key, bytes('x'))).rejects.toThrow(RangeError)
      await expect(store.put(key, bytes('x'))).rejects.toThrow(RangeError)
      await expect(store.get(key)).rejects.toThrow(RangeError)
      await expect(store.remove([key])).rejects.toThrow(RangeError)
    })
  })
}
