import type { SessionRecord } from '@postern/contract/session-facts.ts'
import { sessionDefaults } from '@postern/contract/session-facts.ts'
import type { SimulatedStep, SimulateRequest, Simulation } from '@postern/contract/simulation.ts'
import type { RcptVerdict } from '@postern/contract/verdict.ts'
import type { Policy } from '@postern/policy/policy.ts'
import { replyLinesOf } from '@postern/policy/reply-lines.ts'
import { type Step, simulateSession } from '@postern/policy/simulate-session.ts'
import { listRows } from '@postern/store/control/rows.ts'
import { policyInForce, withChanges, withKillFor } from '../policy-in-force.ts'
import type { Call } from '../write-revision.ts'
import { changesOfDraft } from './draft.ts'

/**
 * Returns the decision for a session and the reasons, with the saved configuration or with a draft applied on top.
 * Saves nothing.
 */
export async function simulate(call: Call, { session: given, draft }: SimulateRequest): Promise<Simulation> {
  const { control } = call.parts
  const changes = draft ? (await changesOfDraft(call, draft)).changes : []
  const saved = await policyInForce(control)
  const base = draft ? await withChanges(saved, changes) : saved.policy
  const session = await withDefaults(call, given)
  const policy = await withKillFor(control, base, { mailFrom: given.mailFrom ?? '', changes })
  const steps = simulateSession(session, policy)
  return {
    revision: saved.revision,
    draft: draft !== undefined,
    outcome: outcomeOf(steps, session),
    stages: steps.map((step) => shown(step, { policy, session, isDraft: draft !== undefined })),
    session,
  }
}

/**
 * Fills missing fields with the usual values. TLS is available if a certificate is saved. Look-ups that are not given
 * stay unknown.
 */
async function withDefaults({ parts }: Call, given: SessionRecord): Promise<SessionRecord> {
  const tlsAvailable = (await listRows(parts.control, 'certificate', { limit: 1 })).length > 0
  const session: SessionRecord = { ...sessionDefaults, now: parts.now(), machine: 'localhost', tlsAvailable, ...given }
  if (given.login === undefined) {
    delete session.mechanism
    delete session.loginResult
  }
  if (given.mailFrom !== undefined && given.rcptTo?.length) session.size ??= given.declaredSize ?? 1000
  return session
}

function outcomeOf(steps: Step[], { size }: SessionRecord): Simulation['outcome'] {
  const last = steps.at(-1)?.verdict
  if (last?.stage === 'data') return last.outcome.kind === 'proceed' ? 'accepted' : 'refused'
  const refused = steps.some(({ verdict }) => verdict.outcome.kind === 'refuse')
  return refused || size !== undefined ? 'refused' : 'incomplete'
}

type Seen = { policy: Policy; session: SessionRecord; isDraft: boolean }

function shown(step: Step, { policy, session, isDraft }: Seen): SimulatedStep {
  const { stage, outcome, rule, reason, explanation, trail, ...more } = step.verdict
  const replies = replyLinesOf(step, { policy, machine: session.machine ?? '' })
  const { recipients, relayed } = more as Partial<RcptVerdict>
  return {
    stage,
    ...(step.about === undefined ? {} : { about: step.about }),
    outcome: outcome.kind,
    close: outcome.kind === 'refuse' && outcome.close,
    rule,
    reason,
    reply: replies[0] ?? '',
    replies,
    explanation: [...explanation],
    trail: [...trail],
    ...more,
    ...(recipients ? { recipients: [...recipients.slice(0, 1000)], relayed: relayed ?? false } : {}),
    revision: isDraft ? 'draft' : policy.revision,
  }
}
