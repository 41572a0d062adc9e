import { z } from 'zod'
import { draftSchema } from './draft.ts'
import { recipientSchema } from './envelope.ts'
import { reasons } from './reasons.ts'
import { ruleSchema, stageNames } from './rules.ts'
import { sessionRecordSchema } from './session-facts.ts'

/** What `POST /v1/simulate` is asked and answers. */

export const simulateRequestSchema = z.strictObject({ session: sessionRecordSchema, draft: draftSchema.optional() })
export type SimulateRequest = z.output<typeof simulateRequestSchema>

const stepSchema = z.object({
  stage: z.enum(stageNames),
  /** The sender, the recipient, the login, the HELO argument. */
  about: z.string().optional(),
  /** `marked`, `passed`, …: what each rule said, in the order they were asked, the deciding one last. */
  trail: z.array(z.looseObject({ rule: ruleSchema, said: z.string(), because: z.string().optional() })),
  outcome: z.enum(['proceed', 'refuse', 'answer']),
  /** The connection ends with the reply. */
  close: z.boolean(),
  rule: ruleSchema,
  reason: z.enum(reasons),
  /** As the client would read it. */
  reply: z.string(),
  replies: z.array(z.string()),
  explanation: z.array(z.string()),
  /** The saved revision, or `draft`. */
  revision: z.union([z.number().int(), z.literal('draft')]),
  /** Where the recipient's mail would go. */
  recipients: z.array(recipientSchema).optional(),
  relayed: z.boolean().optional(),
  lineFeeds: z.enum(['as-is', 'normalize']).optional(),
})
export type SimulatedStep = z.infer<typeof stepSchema>

export const simulationSchema = z.object({
  /** The newest saved one. */
  revision: z.number().int(),
  draft: z.boolean(),
  /** `accepted`: the message would be taken, for at least one recipient. `incomplete`: nothing was refused, but the session holds no message. */
  outcome: z.enum(['accepted', 'refused', 'incomplete']),
  stages: z.array(stepSchema),
  /** The session with every default that was assumed. */
  session: z.record(z.string(), z.unknown()),
})
export type Simulation = z.infer<typeof simulationSchema>
