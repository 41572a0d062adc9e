import { exceeded } from '../rates.ts'
import { type Questions, type RuleRow, refuse } from '../rule.ts'

export const recipientRate: RuleRow<Questions['rcpt']> = {
  name: 'recipient-rate',
  reads: 'rates',
  ask({ facts }, { settings }) {
    const found = exceeded(facts, settings, 'recipients')
    if (typeof found !== 'string') return found ?? 'pass'
    return refuse({ reply: 'recipientRate', reason: 'rate-exceeded' }, found)
  },
}
