import { type RuleCheck, refuse } from '../rule.ts'

/**
 * Requires that the HELO name is that of a host: it has an address. An address literal with accepted syntax needs no
 * look-up, and need not be the client's own (RFC 5321 §4.1.4). Applies only to the ports for mail servers, because mail
 * programs do not know their names.
 */
export const helo: RuleCheck<'helo'> = ({ verb, argument, listener, lookups }, { settings }) => {
  const { checkHelo } = settings.security
  if (checkHelo === 'off' || listener !== 'smtp' || argument.startsWith('[')) return 'pass'
  const helo = lookups?.helo
  if (helo === undefined && checkHelo === 'mark') return 'pass'
  if (helo === undefined || helo === 'not-known') return { missing: `It is not known whether ${argument} resolves.` }
  if (helo === 'resolves') return 'pass'
  const because = `${verb} ${argument}: the name has no address.`
  if (checkHelo === 'mark') return { marks: because }
  return refuse({ reply: 'helo', values: { helo: argument } }, because)
}
