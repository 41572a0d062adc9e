import { type RuleCheck, refuse } from '../rule.ts'

/**
 * Requires a PTR record whose name has the client's address (RFC 8601 §2.7.3). Applies only to the ports for mail
 * servers.
 */
export const reverseDns: RuleCheck<'reverse-dns'> = ({ ip, listener, lookups }, { settings }) => {
  const { checkReverseDns } = settings.security
  if (checkReverseDns === 'off' || listener !== 'smtp') return 'pass'
  const reverse = lookups?.reverseDns
  if (reverse === undefined && checkReverseDns === 'mark') return 'pass'
  if (reverse === undefined || reverse === 'not-known') return { missing: `The reverse DNS of ${ip} is not known.` }
  if (reverse.confirmed) return 'pass'
  const because = reverse.name
    ? `The PTR of ${ip} names ${reverse.name}, which does not have that address.`
    : `${ip} has no PTR record.`
  if (checkReverseDns === 'mark') return { marks: because }
  return refuse({ reply: 'reverseDns', values: { ip }, close: true }, because)
}
