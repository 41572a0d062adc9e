import type { HackAttempt } from '@postern/contract/offences.ts'
import { type RuleCheck, refuse } from '../rule.ts'

/**
 * Ends sessions with behaviour that no mail client shows, not even an old one. The API creates a Control Access entry
 * from the report.
 */
export const hackAttempt: RuleCheck<'hack-attempt'> = ({ attempt }, { settings }) => {
  if (!attempt || !settings.security.autoDenyHackAttempts) return 'pass'
  return refuse({ reply: 'hackAttempt', close: true }, `${words[attempt]}; security.autoDenyHackAttempts is on.`)
}

const words: Record<HackAttempt, string> = {
  pregreet: 'The client sent data before the banner',
  'other-protocol': 'The client does not speak SMTP',
  'binary-noise': 'The client sent binary noise instead of commands',
  'command-flood': 'The client floods the server with commands that send no mail',
  smuggling: 'The client hid a second message behind a false end of data',
}
