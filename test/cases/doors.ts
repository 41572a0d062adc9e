import type { Rule, Stage } from '@postern/contract/rules.ts'
import type { Simulation } from '@postern/contract/simulation.ts'
import { replyLinesOf } from '@postern/policy/reply-lines.ts'
import { simulateSession } from '@postern/policy/simulate-session.ts'
import { compilePolicy } from '../../workers/policy/compile.ts'
import type { Api } from '../system/api.ts'
import type { Case } from './case.ts'
import { sessionOf } from './dialogue.ts'
import { replicaOf, worldOf } from './world.ts'

/** The result for a case from an entry that shows verdicts. */
export type Decided = {
  stage: Stage
  rule: Rule
  reason: string
  reply: string
  trail: { rule: Rule; said: string; because?: string | undefined }[]
}

export function decideInProcess(one: Case): Decided[] {
  const policy = compilePolicy(replicaOf(worldOf(one.given)), 1)
  return simulateSession(sessionOf(one), policy).map((step) => {
    const { stage, rule, reason, trail } = step.verdict
    return {
      stage,
      rule,
      reason,
      reply: replyLinesOf(step, { policy, machine: 'mx.test' })[0] ?? '',
      trail: [...trail],
    }
  })
}

/** The saved world must be the base; the case is the draft. */
export async function askSimulation(api: Api, one: Case): Promise<Decided[]> {
  const session = sessionOf(one)
  const { stages } = await api.post<Simulation>('/v1/simulate', { session, draft: one.given })
  // It assumes a message if a recipient was accepted, but the case may end before.
  const asked = stages.filter(({ stage }) => stage !== 'data' || session.size !== undefined)
  return asked.map(({ stage, rule, reason, reply, trail }) => ({ stage, rule, reason, reply, trail }))
}
