import { expect, it } from 'vitest'
import { casesOnDisk } from './case.ts'
import { proofs } from './coverage.ts'

/** Fails for every key of the contract that no case or test proves. */
const table = [...proofs()]

it.each(table)('%s is proved', (key, places) => {
  expect(places, `${key} has neither a case nor a tagged test; see coverage.ts`).not.toEqual([])
})

it('every file has its own number', () => {
  const numbers = casesOnDisk().map(({ number }) => number)
  expect(new Set(numbers).size).toBe(numbers.length)
})
