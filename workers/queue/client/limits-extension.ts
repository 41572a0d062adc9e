import type { Recipient } from '@postern/contract/envelope.ts'
import type { Connection } from './connection.ts'

/** What a server says of its limits before it is asked (LIMITS, RFC 9422). What it does not say has none. */

function limitOf(connection: Connection, name: 'MAILMAX' | 'RCPTMAX' | 'RCPTDOMAINMAX'): number {
  const advertised = connection.extensions.get('LIMITS')
  if (advertised === undefined) return Number.POSITIVE_INFINITY
  const value = new RegExp(`(?:^| )${name} ([1-9]\\d{0,5})(?: |$)`).exec(advertised)?.[1]
  return value ? Number(value) : Number.POSITIVE_INFINITY
}

/** Transactions of one session. */
export function sessionLimit(connection: Connection): number {
  return limitOf(connection, 'MAILMAX')
}

/** How many of the recipients, from the first, may go in one transaction: one at least. */
export function maxTogether(connection: Connection, recipients: readonly Recipient[]): number {
  if (!connection.has('LIMITS')) return recipients.length
  const max = Math.min(recipients.length, limitOf(connection, 'RCPTMAX'))
  const maxDomains = limitOf(connection, 'RCPTDOMAINMAX')
  const domains = new Set<string>()
  for (const [i, { address }] of recipients.slice(0, max).entries()) {
    domains.add(address.slice(address.lastIndexOf('@') + 1).toLowerCase())
    if (domains.size > maxDomains) return i
  }
  return max
}
