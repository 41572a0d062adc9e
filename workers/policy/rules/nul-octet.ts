import { type RuleCheck, refuse } from '../rule.ts'

/**
 * RFC 5322 §4 forbids NUL, and C programs downstream end the message there. The end of the data is still clear, so the
 * session continues.
 */
export const nulOctet: RuleCheck<'nul-octet'> = ({ nulOctets }) => {
  if (!nulOctets) return 'pass'
  return refuse({ reply: 'nulOctet' }, 'The message contains a NUL octet.')
}
