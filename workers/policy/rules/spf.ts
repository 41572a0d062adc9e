import { checksFor } from '../mailauth.ts'
import { type RuleCheck, refuse } from '../rule.ts'

/** RFC 7208 §8.4: refuses only a fail, if so configured. */
export const spf: RuleCheck<'spf'> = (facts, policy) => {
  if (policy.settings.general.verifySpf !== 'enforce' || checksFor(facts, policy).spf !== 'enforce') return 'pass'
  const found = facts.lookups?.spf
  if (!found) return { missing: `It is not known whether ${facts.ip} may send for the sender's domain.` }
  const { result, domain, explanation } = found
  if (result === 'temperror') return { missing: `The SPF result of ${domain} is not known, because of a DNS error.` }
  if (result !== 'fail') return 'pass'
  const values = { ip: facts.ip, domain, explanation: explanation ?? '' }
  return refuse(
    { reply: explanation ? 'spfFailExplained' : 'spfFail', values },
    `general.verifySpf is enforce, and ${domain} says that ${facts.ip} may not send its mail (SPF fail).`,
  )
}
