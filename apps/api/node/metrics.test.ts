import { expect, it } from 'vitest'
import { makeMetrics } from './metrics.ts'

it('counts outcomes that were reported twice', async () => {
  const text = await makeMetrics().text({ revision: 7, duplicates: 3, balance: -2, workers: [] })
  expect(text).toContain('# TYPE postern_duplicates_total counter\npostern_duplicates_total 3\n')
  expect(text).toContain('# TYPE postern_books_balance gauge\npostern_books_balance -2\n')
  expect(text).toContain('\npostern_revision 7\n')
})
