import { type Questions, type RuleRow, refuse } from '../rule.ts'

/** RFC 5322 §4 forbids NUL, and C programs downstream end the message there. */
export const nulOctet: RuleRow<Questions['data']> = {
  name: 'nul-octet',
  ask({ nulOctets }) {
    if (!nulOctets) return 'pass'
    return refuse({ reply: 'nulOctet', reason: 'nul-octet', close: true }, 'The message holds a NUL octet.')
  },
}
