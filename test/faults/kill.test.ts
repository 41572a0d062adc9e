import { expect, it } from 'vitest'
import { kinds } from './kinds.ts'
import { runFaultRounds } from './rounds.ts'

/** A short run: one round of each of these kinds. `npm run faults` runs all kinds many times. */
const short = [
  'kill -9 smtp',
  'kill -9 queue',
  'kill -9 api',
  'older index restored',
  'kill -9 while the index is rebuilt',
  'older settings restored',
  'a remote host that never answers, beside local mail',
  'connections cut at a random byte',
]

it('faults under load lose no message that got 250 and bounce none, and the books balance', {
  timeout: 600_000,
}, async () => {
  const chosen = kinds.filter(({ name }) => short.includes(name))
  expect(chosen).toHaveLength(short.length)
  // 300 a second, as in the long form: more would only make the deliveries after each fault take longer.
  const result = await runFaultRounds({
    rounds: chosen.length,
    kinds: chosen,
    perSecond: 300,
    say: (line) => console.log(line),
  })
  expect(result).toMatchObject({ rounds: chosen.length, lost: [], damaged: 0, unbalanced: [] })
  for (const [kind, { accepted }] of result.byKind) expect(accepted, kind).toBeGreaterThan(0)
})
