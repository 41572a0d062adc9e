import type { Lookups } from '@postern/contract/lookups.ts'
import type { Rule } from '@postern/contract/rules.ts'
import type { DataVerdict, RcptVerdict, Verdict } from '@postern/contract/verdict.ts'
import { decideAuth, decideConnect, decideData, decideHello, decideMail, decideRcpt } from '@postern/policy/decide.ts'
import type { Policy } from '@postern/policy/policy.ts'
import type { LookupClients } from './lookup-clients.ts'
import { type FactsOf, type LookupStage, lookUpRequired, type MessageSource } from './required-lookups.ts'

/** Decide, look up what the verdict lacks, decide again: the only place that does it. */

export type VerdictOf = { [stage in LookupStage]: Verdict } & { rcpt: RcptVerdict; data: DataVerdict }

const decisions: { [stage in LookupStage]: (facts: FactsOf[stage], policy: Policy) => VerdictOf[stage] } = {
  connect: decideConnect,
  hello: decideHello,
  auth: decideAuth,
  mail: decideMail,
  rcpt: decideRcpt,
  data: decideData,
}

export type Decision<S extends LookupStage, R> = {
  /** Whose policy decides: read again for each decision. */
  under: { readonly policy: Policy }
  clients: LookupClients
  /** At end of data. */
  message?: MessageSource
  /** The facts with what was looked up; `undefined` when nobody waits for the decision any more. Without it: `{ ...facts, lookups }`. */
  again?(lookups: Lookups): FactsOf[S] | undefined
  settled(facts: FactsOf[S], verdict: VerdictOf[S]): R
}

/**
 * Calls `settled` with the last decision: at once where the verdict lacks nothing, and then without a promise.
 * @returns what `settled` returned; `undefined` in a promise when `again` gave it up
 */
export function decide<S extends LookupStage, R>(
  stage: S,
  facts: FactsOf[S],
  decision: Decision<S, R>,
): R | Promise<R | undefined> {
  const { policy } = decision.under
  const verdict = decisions[stage](facts, policy)
  if (verdict.trail === policy.proceed[stage].trail) return decision.settled(facts, verdict)
  return decideAfterLookups(stage, { facts, verdict, asked: new Set() }, decision)
}

type Decided<S extends LookupStage> = { facts: FactsOf[S]; verdict: VerdictOf[S]; asked: Set<Rule> }

function decideAfterLookups<S extends LookupStage, R>(
  stage: S,
  { facts, verdict, asked }: Decided<S>,
  decision: Decision<S, R>,
): R | Promise<R | undefined> {
  const { under, clients, message } = decision
  const missing = lookUpRequired(stage, facts, { verdict, asked, clients, policy: under.policy, message })
  if (!missing) return decision.settled(facts, verdict)
  return missing.then((lookups) => {
    const known = decision.again ? decision.again(lookups) : { ...facts, lookups }
    if (!known) return undefined
    const next = { facts: known, verdict: decisions[stage](known, under.policy), asked }
    return decideAfterLookups(stage, next, decision)
  })
}
