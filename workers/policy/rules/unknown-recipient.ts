import { expand } from '../expand.ts'
import { originalOf } from '../path.ts'
import { type Questions, type RuleRow, refuse } from '../rule.ts'

/** A local recipient leads somewhere: to an account, along aliases and groups, to a catch-all or to the default mail host. */
export const unknownRecipient: RuleRow<Questions['rcpt']> = {
  name: 'unknown-recipient',
  ask(question, policy) {
    const { target, facts } = question
    if (target.kind !== 'local') return 'pass'
    const expansion = expand(target, originalOf(facts.recipientText, target), policy)
    question.expansion = expansion
    const values = { recipient: facts.recipientText }
    switch (expansion.kind) {
      case 'found':
        return 'pass'
      case 'loop':
        return refuse({ reply: 'aliasLoop', reason: 'alias-loop', values }, expansion.because)
      case 'unknown':
        return refuse({ reply: 'userUnknown', reason: 'user-unknown', values }, expansion.because)
    }
  },
}
