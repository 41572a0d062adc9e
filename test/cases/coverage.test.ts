import { expect, it } from 'vitest'
import { casesOnDisk } from './case.ts'
import { proofs } from './coverage.ts'

/** A key of the contract without a case or test that proves it is a promise: this fails for it. */
const table = [...proofs()]

it.each(table)('%s is proved', (key, places) => {
  expect(places, `${key} has neither a case nor a tagged test; see coverage.ts`).not.toEqual([])
})

it('every file has its own number', () => {
  const numbers = casesOnDisk().map(({ number }) => number)
  expect(new Set(numbers).size).toBe(numbers.length)
})
