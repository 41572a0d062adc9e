import { expand } from '../expand.ts'
import { originalOf } from '../path.ts'
import { type RuleCheck, refuse } from '../rule.ts'

/** Refuses local recipients that lead nowhere: to no account, alias, group, catch-all or default mail host. */
export const unknownRecipient: RuleCheck<'unknown-recipient'> = (question, policy) => {
  const { target, facts } = question
  if (target.kind !== 'local') return 'pass'
  const expansion = expand(target, originalOf(facts.recipientText, target), policy)
  question.expansion = expansion
  const values = { recipient: facts.recipientText }
  switch (expansion.kind) {
    case 'found':
      return 'pass'
    case 'loop':
      return refuse({ reply: 'aliasLoop', values }, expansion.because)
    case 'unknown':
      return refuse({ reply: 'userUnknown', values }, expansion.because)
  }
}
