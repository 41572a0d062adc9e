import { parseArgs } from 'node:util'
import { conditions } from '../bench/conditions.ts'
import { kinds } from './kinds.ts'
import { type KindResult, runFaultRounds } from './rounds.ts'

/**
 * `npm run faults -- --rounds N [--kind words] [--per-second messages]`: exits with 1 if a message was lost, damaged or
 * returned, or the books did not balance. `--kind`: only kinds with these words in their name.
 */
const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '110' },
    kind: { type: 'string', default: '' },
    'per-second': { type: 'string', default: '1000' },
  },
})

const interrupted = new AbortController()
// Ctrl-C once prints the results so far. Twice exits at once.
process.once('SIGINT', () => interrupted.abort())

console.log(`${conditions()}\n`)
const result = await runFaultRounds({
  rounds: Number(options.rounds),
  perSecond: Number(options['per-second']),
  kinds: kinds.filter(({ name }) => name.includes(options.kind)),
  say: (line) => console.log(line),
  signal: interrupted.signal,
})
const { accepted, lost, damaged, withoutReply, unbalanced, refused } = result
const row = (name: string, { rounds, accepted, lost, duplicates, unbalanced }: KindResult) =>
  `| ${name} | ${rounds} | ${accepted} | ${lost.length} | ${duplicates} (${((100 * duplicates) / Math.max(1, accepted)).toFixed(2)} %) | ${unbalanced.length} |`
console.log(`
| kind | rounds | accepted with 250 | lost | extra copies | books wrong |
|---|---|---|---|---|---|
${[...result.byKind].map(([name, of]) => row(name, of)).join('\n')}
${row('all', result)}

damaged: ${damaged}
lost: ${lost.slice(0, 20).join(' ') || 'none'}
delivered without a reply to the client: ${withoutReply}
books: ${unbalanced.join('\n') || 'always balanced'}
replies other than 250: ${[...refused].map(([reply, count]) => `${count} × ${reply}`).join('; ') || 'none'}`)
process.exitCode = lost.length + damaged + unbalanced.length === 0 && accepted > 0 ? 0 : 1
