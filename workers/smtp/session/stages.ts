import type { HelloFacts } from '@postern/contract/facts.ts'
import { decideConnect, decideHello, decideMail } from '@postern/policy/decide.ts'
import type { Rated } from '@postern/policy/rates.ts'
import type { SessionStage, StageStep } from '../commands/command.ts'
import {
  lookUpConnectInBackground,
  lookUpHelloInBackground,
  lookUpMailInBackground,
} from '../lookups/background-lookups.ts'
import { decide, type VerdictOf } from '../lookups/decide.ts'
import { countRates, withRates } from '../lookups/rates.ts'
import type { FactsOf } from '../lookups/required-lookups.ts'
import type { SessionView } from './view.ts'

/** One decision of a session, the same for every stage: facts, look-ups, verdict, record, answer, rates, look-ups that only mark. */

/** What each stage counts against the rates. */
const rated: { readonly [stage in SessionStage]?: Rated } = {
  connect: 'connections',
  auth: 'connections',
  mail: 'messages',
  rcpt: 'recipients',
}

export function decideStage<S extends SessionStage>(
  session: SessionView,
  stage: S,
  facts: FactsOf[S],
  step: StageStep<S>,
): void {
  const { under, login, again } = step
  const clients = session.receiver.lookupClients
  const what = rated[stage]
  const counted = what ? withRates(facts, what, { policy: under.policy, rates: clients.rates, login }) : facts
  const settled = (known: FactsOf[S], verdict: VerdictOf[S]) => settle(session, stage, { known, verdict, step })
  const waiting = decide(stage, counted, { under, clients, again, settled })
  if (waiting) session.wait(waiting)
}

type Settled<S extends SessionStage> = { known: FactsOf[S]; verdict: VerdictOf[S]; step: StageStep<S> }

function settle<S extends SessionStage>(
  session: SessionView,
  stage: S,
  { known, verdict, step }: Settled<S>,
): undefined {
  session.recorder.record(stage, known)
  if (!session.settle(verdict, step.about)) {
    step.refused?.(verdict)
    return
  }
  const { under, login } = step
  const what = rated[stage]
  if (what) countRates(known, what, { policy: under.policy, rates: session.receiver.lookupClients.rates, login })
  step.proceed(known, verdict)
  marks[stage]?.(session, known)
}

/** Look-ups whose rules only mark. The stage is decided again with what they find. */
const marks: { readonly [stage in SessionStage]?: (session: SessionView, facts: FactsOf[stage]) => void } = {
  connect(session, facts) {
    const { policy, lookupClients } = session.receiver
    lookUpConnectInBackground(facts, {
      policy,
      dns: lookupClients.dns,
      found({ dnsbl, ...found }) {
        const known = session.facts.lookups
        session.facts.lookups = { ...known, ...found, ...(dnsbl && { dnsbl: [...(known?.dnsbl ?? []), ...dnsbl] }) }
        // What was counted of the connection belongs to it alone, and is still so.
        const lookups = { ...facts.lookups, ...session.facts.lookups }
        session.noteRules(decideConnect({ ...facts, lookups }, policy))
      },
    })
  },
  hello(session, facts: HelloFacts) {
    const { policy, lookupClients } = session.receiver
    const { verb, argument } = facts
    lookUpHelloInBackground(facts, {
      policy,
      dns: lookupClients.dns,
      found(lookups) {
        // The client may have sent another name meanwhile, or have begun TLS.
        if (session.facts.helo !== argument) return
        session.facts.lookups = { ...session.facts.lookups, ...lookups }
        session.noteRules(decideHello({ ...session.facts, verb, argument }, policy))
      },
    })
  },
  mail({ receiver, transaction }) {
    if (!transaction) return
    const { policy, facts } = transaction
    lookUpMailInBackground(facts, {
      policy,
      dns: receiver.lookupClients.dns,
      found(lookups) {
        facts.lookups = { ...facts.lookups, ...lookups }
        transaction.passed(decideMail(facts, policy))
      },
    })
  },
}
