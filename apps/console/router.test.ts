import { readFileSync } from 'node:fs'
import { consolePages } from '@postern/contract/console-pages.ts'
import { expect, test } from 'vitest'

test('the API knows every page of the router, and no other', () => {
  const source = readFileSync(new URL('router.tsx', import.meta.url), 'utf8')
  const first = [...source.matchAll(/\bat\('\/([a-z-]+)/g)].map(([, segment]) => segment)
  expect([...new Set(first)].sort()).toEqual([...consolePages].sort())
})
