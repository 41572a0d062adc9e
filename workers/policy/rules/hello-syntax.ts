import { parseAddress } from '@postern/contract/ip-address.ts'
import { hostPattern } from '@postern/contract/network.ts'
import { type RuleCheck, refuse } from '../rule.ts'

/**
 * RFC 5321 §4.1.1.1 requires a host name or an address literal. Devices and web hosts send their own names:
 * underscores, bare addresses, `[]`, two words, UTF-8. Any name that can be shown on one line is accepted
 * (`security.checkHelo` checks whether it resolves). A literal must hold an address, with or without its tag, a name,
 * or nothing.
 */
export const helloSyntax: RuleCheck<'hello-syntax'> = ({ verb, argument }) => {
  const wrong = faultIn(argument)
  if (wrong === null) return 'pass'
  return refuse({ reply: 'helloSyntax' }, `${verb} "${argument}" ${wrong}.`)
}

/** Controls, line separators, characters that change the text direction, and characters of paths, quotes and markup. */
const unfit = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}<>"\\]/u

function faultIn(argument: string): string | null {
  if (argument.trim() === '') return 'does not name a host'
  if (unfit.test(argument)) return 'contains characters that are not allowed in a host name'
  const inside = /^\[(.*)\]$/.exec(argument)?.[1]
  if (inside === undefined || inside === '' || isLiteral(inside)) return null
  return 'is not an address literal'
}

/**
 * Accepts the content of a literal. Mail programs send their link-local address with its zone, `[fe80::1%12]`, and
 * servers their name.
 */
function isLiteral(inside: string): boolean {
  if (parseAddress(inside.replace(/%[\w.-]*$/, '')) !== null) return true
  return hostPattern.test(inside) && /[a-z]/i.test(inside)
}
