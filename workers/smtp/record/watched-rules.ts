import type { SessionFacts } from '@postern/contract/facts.ts'
import type { Rule } from '@postern/contract/rules.ts'
import type { Verdict } from '@postern/contract/verdict.ts'
import type { ReceiverContext } from '../session/context.ts'
import { clientRecord, printable } from './event-fields.ts'

/**
 * What watched rules would have done in one session, whether or not a message comes of it. Of each rule the first time: it may
 * be so at every command from then on.
 */
export class WatchedRules {
  readonly #receiver: ReceiverContext
  readonly #facts: SessionFacts
  #told: Rule[] | undefined

  constructor(receiver: ReceiverContext, facts: SessionFacts) {
    this.#receiver = receiver
    this.#facts = facts
  }

  tell({ stage, trail }: Verdict): void {
    const { watch } = this.#receiver.policy.settings.security
    if (watch.length === 0) return
    for (const { rule, said, because = '' } of trail) {
      if (said !== 'watched' || this.#told?.includes(rule) || !(watch as readonly Rule[]).includes(rule)) continue
      this.#told = [...(this.#told ?? []), rule]
      const client = clientRecord(this.#facts)
      this.#receiver.record('session.watched', { client, stage, rule, because: printable(because) })
    }
  }
}
