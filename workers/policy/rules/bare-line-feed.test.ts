import { describe, expect, it } from 'vitest'
import { decideData } from '../decide.ts'
import { dataFacts, examplePolicy, saidBy } from '../test/example.ts'

describe('bare-line-feed', () => {
  const bare = dataFacts({ bareLineFeeds: true })

  it('refuses and closes', () => {
    const verdict = decideData(bare, examplePolicy())
    expect(saidBy(verdict)).toBe('554 5.6.0 bareLineFeed close')
    expect(decideData(dataFacts(), examplePolicy())).toMatchObject({ outcome: { kind: 'proceed' }, lineFeeds: 'as-is' })
  })

  it('rewrites by the setting, for the White List, and when it is only watched: never passes on what came', () => {
    const normalize = { settings: { advanced: { bareLineFeeds: 'normalize' as const } } }
    const watched = { settings: { security: { watch: ['bare-line-feed' as const] } } }
    for (const change of [normalize, watched, { lists: { white: ['198.51.100.7'] } }])
      expect(decideData(bare, examplePolicy(change))).toMatchObject({
        outcome: { kind: 'proceed' },
        lineFeeds: 'normalize',
      })
    expect(decideData(dataFacts(), examplePolicy(normalize)).lineFeeds).toBe('as-is')
  })
})
