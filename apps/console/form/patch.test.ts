import { describe, expect, test } from 'vitest'
import { applyPatch, changesOf, mergePatch } from './patch.ts'

describe('mergePatch', () => {
  test('holds only what changed', () => {
    expect(mergePatch({ a: 1, b: [1, 2], c: 'x' }, { a: 1, b: [1, 3], c: 'y' })).toEqual({ b: [1, 3], c: 'y' })
  })
  test('goes into objects, and replaces off by an object and back', () => {
    expect(mergePatch({ g: { host: 'a', port: 25 } }, { g: { host: 'b', port: 25 } })).toEqual({ g: { host: 'b' } })
    expect(mergePatch({ g: 'off' }, { g: { host: 'a' } })).toEqual({ g: { host: 'a' } })
    expect(mergePatch({ g: { host: 'a' } }, { g: 'off' })).toEqual({ g: 'off' })
  })
  test('never says null: a text that is gone becomes empty', () => {
    expect(mergePatch({ g: { host: 'a', user: 'u' } }, { g: { host: 'a' } })).toEqual({ g: { user: '' } })
  })
  test('applied to what it was made from, it gives what was wanted', () => {
    const before = { a: 1, g: 'off', list: [1], deep: { x: 1, y: 2 } }
    const after = { a: 2, g: { host: 'h', port: 25 }, list: [], deep: { x: 1, y: 3 } }
    expect(applyPatch(before, mergePatch(before, after))).toEqual(after)
  })
})

describe('changesOf', () => {
  test('names each leaf by its path; lists are leaves', () => {
    expect(changesOf({ a: { b: 1, c: [1] }, d: 2 }, { a: { b: 2, c: [1, 2] }, d: 2 })).toEqual([
      { path: 'a.b', before: 1, after: 2 },
      { path: 'a.c', before: [1], after: [1, 2] },
    ])
  })
  test('off to an object is one change', () => {
    expect(changesOf({ g: 'off' }, { g: { host: 'a' } })).toEqual([{ path: 'g', before: 'off', after: { host: 'a' } }])
  })
})
