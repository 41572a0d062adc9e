import type { ConnectFacts } from '@postern/contract/facts.ts'
import type { SessionView } from './view.ts'

/** From the connection to the banner. */

/** `PROXY `, version 2 of its header, a TLS handshake. */
const otherBeginning = /^(?:PROXY |\r\n\r\n\0\r|\x16\x03)/

/** A PROXY header from an address that is not trusted, and TLS at the wrong port, have answers of their own. */
export function isEarlyTalk(first: Buffer): boolean {
  return first.length > 0 && !otherBeginning.test(first.toString('latin1', 0, 6))
}

/** How many sessions there are, this one included. */
type Counts = Pick<ConnectFacts, 'sessionsOpen' | 'sessionsFromAddress'>

/** Where nothing is looked up the banner comes at once, and nobody can have talked before it. */
export function startSession(session: SessionView, counts: Counts): void {
  session.decide(
    'connect',
    { ...session.refresh(), ...counts },
    {
      under: session.receiver,
      again(lookups) {
        session.facts.lookups = { ...lookups, pregreet: session.hasTalkedEarly }
        return { ...session.refresh(), ...counts }
      },
      proceed(_, verdict) {
        session.noteRules(verdict)
        session.greet()
      },
      refused({ rule }) {
        // A rule that is only watched does not decide: then the address is not blocked either.
        if (rule === 'pregreet') session.hackAttempt('pregreet', 'the client sent data before the banner')
        session.leave()
      },
    },
  )
}
