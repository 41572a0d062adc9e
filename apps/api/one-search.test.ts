import { expect, it } from 'vitest'
import { oneSearch } from './one-search.ts'
import type { Call } from './write-revision.ts'

const parts = {}
const callOf = (actor: string, signal = new AbortController().signal) =>
  ({ parts, who: { actor }, signal }) as unknown as Call

/** A search that ends when it is told to. */
function search(began: string[], name: string) {
  const { promise, resolve } = Promise.withResolvers<void>()
  return {
    end: resolve,
    run: async () => {
      began.push(name)
      await promise
      return name
    },
  }
}

it('searches of one person follow each other, and those of others do not wait for them', async () => {
  const began: string[] = []
  const [first, second, other] = ['ann 1', 'ann 2', 'bob 1'].map((name) => search(began, name)) as [
    ReturnType<typeof search>,
    ReturnType<typeof search>,
    ReturnType<typeof search>,
  ]
  const answers = [
    oneSearch(callOf('ann'), first.run),
    oneSearch(callOf('ann'), second.run),
    oneSearch(callOf('bob'), other.run),
  ]
  await expect.poll(() => began).toEqual(['ann 1', 'bob 1'])
  other.end()
  expect(await answers[2]).toBe('bob 1')
  expect(began).toEqual(['ann 1', 'bob 1'])
  first.end()
  await expect.poll(() => began).toEqual(['ann 1', 'bob 1', 'ann 2'])
  second.end()
  expect(await Promise.all(answers)).toEqual(['ann 1', 'ann 2', 'bob 1'])
})

it('a search that fails does not stop the next, and one whose client left does not begin', async () => {
  const began: string[] = []
  const failing = oneSearch(callOf('ann'), async () => {
    throw new Error('damaged')
  })
  const left = new AbortController()
  const gone = oneSearch(callOf('ann', left.signal), search(began, 'gone').run)
  const last = search(began, 'last')
  const answer = oneSearch(callOf('ann'), last.run)
  left.abort()
  last.end()
  await expect(failing).rejects.toThrow('damaged')
  await expect(gone).rejects.toThrow('abort')
  expect(await answer).toBe('last')
  expect(began).toEqual(['last'])
})
