import { parseArgs } from 'node:util'
import { conditions } from '../bench/conditions.ts'
import { runKillRounds } from './rounds.ts'

/** `npm run faults`: ends with 1 when a message was lost or damaged, or the books did not balance. */
const { values: options } = parseArgs({ options: { rounds: { type: 'string', default: '100' } } })

console.log(`${conditions()}\n`)
const result = await runKillRounds({ rounds: Number(options.rounds), say: (line) => console.log(line) })
const { kills, accepted, lost, damaged, duplicates, withoutReply, unbalanced, refused } = result
console.log(`
${result.rounds} rounds: ${kills.smtp} × smtp, ${kills.queue} × queue, ${kills.api} × api
accepted with 250: ${accepted}
lost: ${lost.length} ${lost.slice(0, 20).join(' ')}
damaged: ${damaged}
delivered more than once: ${duplicates} extra copies (${((100 * duplicates) / Math.max(1, accepted)).toFixed(2)} %)
delivered although the client saw no reply: ${withoutReply}
books out of balance: ${unbalanced.length}
${unbalanced.join('\n')}
accepted while the API was dead: ${result.acceptedWithoutApi}
replies other than 250: ${[...refused].map(([reply, count]) => `${count} × ${reply}`).join('; ') || 'none'}`)
process.exitCode = lost.length + damaged + unbalanced.length === 0 ? 0 : 1
