import { expect, it } from 'vitest'
import { runKillRounds } from './rounds.ts'

it('kill -9 of each process under load loses nothing that got 250, and the books balance', {
  timeout: 300_000,
}, async () => {
  const result = await runKillRounds({ rounds: 5, say: (line) => console.log(line) })
  expect(result).toMatchObject({ rounds: 5, lost: [], damaged: 0, unbalanced: [] })
  expect(result.accepted).toBeGreaterThan(0)
})
