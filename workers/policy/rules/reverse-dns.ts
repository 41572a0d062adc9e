import { type Questions, type RuleRow, refuse } from '../rule.ts'

/** PTR exists, and an address of the name it gives is the client's (RFC 8601 §2.7.3). Only at the ports of mail servers. */
export const reverseDns: RuleRow<Questions['connect']> = {
  name: 'reverse-dns',
  reads: 'reverse',
  exemptsWhiteListed: true,
  ask({ ip, listener, lookups }, { settings }) {
    const { checkReverseDns } = settings.security
    if (checkReverseDns === 'off' || listener !== 'smtp') return 'pass'
    const reverse = lookups?.reverse
    if (reverse === undefined && checkReverseDns === 'mark') return 'pass'
    if (reverse === undefined || reverse === 'not-known') return { missing: `The reverse DNS of ${ip} is not known.` }
    if (reverse.confirmed) return 'pass'
    const because = reverse.name
      ? `The PTR of ${ip} names ${reverse.name}, which does not have that address.`
      : `${ip} has no PTR record.`
    if (checkReverseDns === 'mark') return { marks: because }
    return refuse({ reply: 'reverseDns', reason: 'reverse-dns', values: { ip }, close: true }, because)
  },
}
