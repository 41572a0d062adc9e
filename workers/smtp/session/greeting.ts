import type { ConnectFacts } from '@postern/contract/facts.ts'
import type { Verdict } from '@postern/contract/verdict.ts'
import { decideConnect } from '@postern/policy/decide.ts'
import { askWhatIsMissing } from '../lookups/ask.ts'
import { markConnect } from '../lookups/mark.ts'
import { countRates, withRates } from '../lookups/rates.ts'
import type { SessionContext } from './context.ts'

/** From the connection to the banner: who is nobody's business is let in at once, of others is asked, and who talks first is heard. */

export type GreetingSession = SessionContext & {
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
export function startSession(opening: GreetingSession, here: Counts): void {
  const { policy, lookupClients } = opening.receiver
  const facts: ConnectFacts = withRates({ ...opening.refresh(), ...here }, 'connections', opening.receiver)
  const verdict = decideConnect(facts, policy)
  const missing = askWhatIsMissing('connect', facts, { verdict, lookupClients, policy })
  if (!missing) settled(opening, facts, verdict)
  else
    opening.wait(
      missing.then((lookups) => {
        opening.facts.lookups = { ...lookups, pregreet: opening.talked() }
        const known: ConnectFacts = { ...opening.refresh(), ...here }
        settled(opening, known, decideConnect(known, opening.receiver.policy))
      }),
    )
}

function settled(opening: GreetingSession, facts: ConnectFacts, verdict: Verdict): void {
  opening.recorder.connect(facts)
  // Watched, it decides nothing: its address is not kept out either.
  if (verdict.rule === 'pregreet') opening.attempted('pregreet', 'it talked before the banner')
  if (!opening.settle(verdict)) {
    opening.leave()
    return
  }
  countRates(facts, 'connections', opening.receiver)
  opening.mark(verdict)
  opening.greet()
  markConnect(opening, facts)
}
