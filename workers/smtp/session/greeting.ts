import type { ConnectFacts } from '@postern/contract/facts.ts'
import type { Verdict } from '@postern/contract/verdict.ts'
import { decideConnect } from '@postern/policy/decide.ts'
import type { Dialogue } from './context.ts'
import { askWhatIsMissing } from '../lookups/ask.ts'
import { markConnect } from '../lookups/mark.ts'
import { countRates, withRates } from '../lookups/rates.ts'

/** From the connection to the banner: who is nobody's business is let in at once, of others is asked, and who talks first is heard. */

export type Opening = Dialogue & {
  /** Octets have come, and nothing was said yet. */
  talked(): boolean
  /** The banner. */
  greet(): void
}

/** `PROXY `, its version 2, a TLS handshake. */
const otherBeginning = /^(?:PROXY |\r\n\r\n\0\r|\x16\x03)/

/** Not so: a PROXY header that nobody is believed to send, and TLS at the wrong port. Both are answered as what they are. */
export function isTalk(first: Buffer): boolean {
  return first.length > 0 && !otherBeginning.test(first.toString('latin1', 0, 6))
}

/** How many sessions there are, this one included. */
type Counts = Pick<ConnectFacts, 'sessionsOpen' | 'sessionsFromAddress'>

/** Where nothing is asked nothing is waited for, and then nobody can have talked before the banner. */
export function openSession(opening: Opening, here: Counts): void {
  const { policy, desk } = opening.house
  const facts: ConnectFacts = withRates({ ...opening.refresh(), ...here }, 'connections', opening.house)
  const verdict = decideConnect(facts, policy)
  const missing = askWhatIsMissing('connect', facts, { verdict, desk, policy })
  if (!missing) settled(opening, facts, verdict)
  else
    opening.wait(
      missing.then((lookups) => {
        opening.facts.lookups = { ...lookups, pregreet: opening.talked() }
        const known: ConnectFacts = { ...opening.refresh(), ...here }
        settled(opening, known, decideConnect(known, opening.house.policy))
      }),
    )
}

function settled(opening: Opening, facts: ConnectFacts, verdict: Verdict): void {
  opening.witness.connect(facts)
  // Watched, it decides nothing: its address is not kept out either.
  if (verdict.rule === 'pregreet') opening.attempted('pregreet', 'it talked before the banner')
  if (!opening.settle(verdict)) {
    opening.leave()
    return
  }
  countRates(facts, 'connections', opening.house)
  opening.mark(verdict)
  opening.greet()
  markConnect(opening, facts)
}
