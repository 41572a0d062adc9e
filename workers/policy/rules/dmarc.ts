import { checksFor } from '../mail-authentication.ts'
import { type Questions, type RuleRow, refuse } from '../rule.ts'

/** RFC 9989 §5.4: what the domain in From asks for when its name is used by others. */
export const dmarc: RuleRow<Questions['data']> = {
  name: 'dmarc',
  reads: 'dmarc',
  ask(facts, policy) {
    if (policy.settings.general.verifyDmarc !== 'enforce' || checksFor(facts, policy).dmarc !== 'enforce') return 'pass'
    const found = facts.lookups?.dmarc
    if (!found) return { missing: 'Whether the domain in From agrees is not known.' }
    const { result, policy: wish, domain } = found
    if (result === 'temperror') return { missing: `DMARC of ${domain} is not known: the DNS is in trouble.` }
    if (result !== 'fail' || wish === 'none') return 'pass'
    const because = `general.verifyDmarc is enforce, and neither SPF nor DKIM speaks for ${domain} (DMARC fail, p=${wish}).`
    if (wish === 'quarantine') return { treat: { noted: because, hold: `DMARC: ${domain} asks for quarantine` } }
    return refuse({ reply: 'dmarcReject', reason: 'dmarc-reject', values: { domain } }, because)
  },
}
