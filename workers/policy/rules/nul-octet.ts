import { type Questions, type RuleRow, refuse } from '../rule.ts'

/** RFC 5322 §4 forbids NUL, and C programs downstream end the message there. Where the data end is clear all the same: the session goes on. */
export const nulOctet: RuleRow<Questions['data']> = {
  name: 'nul-octet',
  ask({ nulOctets }) {
    if (!nulOctets) return 'pass'
    return refuse({ reply: 'nulOctet', reason: 'nul-octet' }, 'The message contains a NUL octet.')
  },
}
