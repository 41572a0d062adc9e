import { z } from 'zod'
import { draftSchema } from './draft.ts'
import { recipientSchema } from './envelope.ts'
import { reasons } from './reasons.ts'
import { ruleSchema, stageNames } from './rules.ts'
import { sessionRecordSchema } from './session-facts.ts'

/** The request and response of `POST /v1/simulate`. */

export const simulateRequestSchema = z.strictObject({ session: sessionRecordSchema, draft: draftSchema.optional() })
export type SimulateRequest = z.output<typeof simulateRequestSchema>

const stepSchema = z.object({
  stage: z.enum(stageNames),
  /** The sender, the recipient, the login or the HELO argument. */
  about: z.string().optional(),
  /** What each rule said (`marked`, `passed`, …), in the order in which the rules were asked. The deciding rule is last. */
  trail: z.array(z.looseObject({ rule: ruleSchema, said: z.string(), because: z.string().optional() })),
  outcome: z.enum(['proceed', 'refuse', 'answer']),
  /** Whether the reply ends the connection. */
  close: z.boolean(),
  rule: ruleSchema,
  reason: z.enum(reasons),
  /** The reply as the client would receive it. */
  reply: z.string(),
  replies: z.array(z.string()),
  explanation: z.array(z.string()),
  /** The saved revision, or `draft`. */
  revision: z.union([z.number().int(), z.literal('draft')]),
  /** The destinations of the recipient's mail. */
  recipients: z.array(recipientSchema).optional(),
  relayed: z.boolean().optional(),
  lineFeeds: z.enum(['as-is', 'normalize']).optional(),
})
export type SimulatedStep = z.infer<typeof stepSchema>

export const simulationSchema = z.object({
  /** The newest saved revision. */
  revision: z.number().int(),
  draft: z.boolean(),
  /**
   * `accepted`: the message would be accepted for at least one recipient. `incomplete`: nothing was refused, but the
   * session holds no message.
   */
  outcome: z.enum(['accepted', 'refused', 'incomplete']),
  stages: z.array(stepSchema),
  /** The session with all assumed defaults. */
  session: z.record(z.string(), z.unknown()),
})
export type Simulation = z.infer<typeof simulationSchema>
