import { exceeded } from '../rates.ts'
import { type RuleCheck, refuse } from '../rule.ts'

export const recipientRate: RuleCheck<'recipient-rate'> = ({ facts }, { settings }) => {
  const found = exceeded(facts, settings, 'recipients')
  if (typeof found !== 'string') return found ?? 'pass'
  return refuse({ reply: 'recipientRate' }, found)
}
