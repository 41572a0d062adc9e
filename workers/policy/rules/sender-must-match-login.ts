import { mayWriteAs } from '../login.ts'
import { type RuleCheck, refuse, senderAddress } from '../rule.ts'

/**
 * Requires that a login sends from its own address or from an alias that leads to it. The null sender passes, because
 * notifications need it.
 */
export const senderMustMatchLogin: RuleCheck<'sender-must-match-login'> = ({ facts, sender }, policy) => {
  const { login } = facts
  if (!policy.settings.security.senderMustMatchLogin || login === undefined) return 'pass'
  const address = senderAddress(sender)
  if (!address || mayWriteAs(policy, login, address)) return 'pass'
  return refuse(
    { reply: 'senderMustMatchLogin', values: { login } },
    `The sender ${address.text} is neither the address of the login ${login} nor an alias of it; security.senderMustMatchLogin is on.`,
  )
}
