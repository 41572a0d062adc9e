import { checksFor } from '../mailauth.ts'
import { type RuleCheck, refuse } from '../rule.ts'

/** RFC 9989 §5.4: applies the policy of the domain in From to messages that fail DMARC. */
export const dmarc: RuleCheck<'dmarc'> = (facts, policy) => {
  if (policy.settings.general.verifyDmarc !== 'enforce' || checksFor(facts, policy).dmarc !== 'enforce') return 'pass'
  const found = facts.lookups?.dmarc
  if (!found) return { missing: 'The DMARC result is not known.' }
  const { result, policy: requested, domain } = found
  if (result === 'temperror') return { missing: `The DMARC result of ${domain} is not known, because of a DNS error.` }
  if (result !== 'fail' || requested === 'none') return 'pass'
  const because = `general.verifyDmarc is enforce, and neither SPF nor DKIM passes for ${domain} (DMARC fail, p=${requested}).`
  if (requested === 'quarantine') return { treat: { noted: because, hold: `DMARC: ${domain} asks for quarantine` } }
  return refuse({ reply: 'dmarcReject', values: { domain } }, because)
}
