import { parseMailAddress } from '@postern/contract/address.ts'
import type { Recipient } from '@postern/contract/envelope.ts'
import type { Lookups } from '@postern/contract/lookups.ts'
import type { AdvancedSettings } from '@postern/contract/settings.ts'
import { expand } from '../expand.ts'
import type { Policy } from '../policy.ts'
import { type RuleCheck, refuse } from '../rule.ts'

/**
 * Applies the answer of the delivery application, which decides last before the spool. If the answer is unusable, the
 * setting decides.
 */
export const deliveryApplication: RuleCheck<'delivery-application'> = ({ lookups }, policy) => {
  const setting = policy.settings.advanced.deliveryApplication
  if (setting === 'off') return 'pass'
  const said = lookups?.application
  if (said === undefined) return { missing: 'The delivery application was not asked.' }
  if (said === 'not-known') return withoutAnswer(setting, lookups?.applicationTrouble ?? 'it gave no answer')
  return carryOut(said, setting, policy)
}

type Answer = Exclude<NonNullable<Lookups['application']>, 'not-known'>
type Setting = Exclude<AdvancedSettings['deliveryApplication'], 'off'>

function carryOut({ action, reason, redirectTo = [], headers = [] }: Answer, setting: Setting, policy: Policy) {
  const why = reason ? `: ${reason}` : ''
  switch (action) {
    case 'accept':
      return headers.length === 0
        ? ('pass' as const)
        : { treat: { noted: `The delivery application accepted and added ${headers.length} headers.`, headers } }
    case 'reject':
      return refuse(
        { reply: 'applicationRefused', values: { reason: reason ?? 'by policy' } },
        `The delivery application refused the message${why}.`,
      )
    case 'hold':
      return {
        treat: {
          noted: `The delivery application holds the message${why}.`,
          hold: `delivery application${why}`.slice(0, 200),
          headers,
        },
      }
    case 'redirect': {
      const redirect = redirected(redirectTo, policy)
      if (typeof redirect === 'string') return withoutAnswer(setting, redirect)
      return {
        treat: { noted: `The delivery application redirects it to ${redirectTo.join(', ')}.`, redirect, headers },
      }
    }
  }
}

/**
 * Expands the redirect addresses. Local ones follow aliases and groups like any recipient.
 * @returns the recipients, or what is wrong with the answer
 */
function redirected(to: readonly string[], policy: Policy): readonly Recipient[] | string {
  const found = new Map<string, Recipient>()
  for (const text of to) {
    const address = parseMailAddress(text)
    if (!address) return `it redirects to "${text}", which is not an address`
    const own = policy.directory.domains.get(address.domain)
    if (!own) {
      found.set(address.text, { address: address.text, original: address.text })
      continue
    }
    const expansion = expand({ local: address.local, domain: own.name }, address.text, policy)
    if (expansion.kind !== 'found') return `it redirects to ${address.text}: ${expansion.because}`
    for (const recipient of expansion.recipients) found.set(recipient.address, recipient)
  }
  return found.size > 0 ? [...found.values()] : 'it redirects to no address'
}

function withoutAnswer({ onFailure }: Setting, trouble: string) {
  const because = `The delivery application gave no usable answer (${trouble}); its onFailure is ${onFailure}.`
  switch (onFailure) {
    case 'accept':
      return { missing: because }
    case 'hold':
      return { treat: { noted: because, hold: 'the delivery application gave no usable answer' } }
    case 'defer':
      return refuse({ reply: 'applicationUnavailable' }, because)
  }
}
