import { checksFor } from '../mailauth.ts'
import type { RuleCheck } from '../rule.ts'

/**
 * RFC 6376 §6.1: a signature that does not verify counts as no signature, and unsigned mail is not worse. So nothing is
 * refused because of DKIM alone. `enforce` verifies before the answer, so that the trail has the result and DMARC can
 * decide.
 */
export const dkim: RuleCheck<'dkim'> = (facts, policy) => {
  if (policy.settings.general.verifyDkim !== 'enforce' || checksFor(facts, policy).dkim !== 'enforce') return 'pass'
  const found = facts.lookups?.dkim
  if (!found) return { missing: 'It is not known whether the DKIM signatures are valid.' }
  const broken = found.filter(({ result }) => result !== 'pass' && result !== 'none')
  if (broken.length === 0) return 'pass'
  const each = broken.map(
    ({ result, domain = '?', because }) => `${domain}: ${result}${because ? ` (${because})` : ''}`,
  )
  return { marks: `Bad DKIM signatures count as none: ${each.join(', ')}.` }
}
