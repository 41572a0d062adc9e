import { z } from 'zod'
import { draftSchema } from './draft.ts'
import { ruleSchema, stageNames } from './rules.ts'

/** The request and response of `POST /v1/replay`: recorded sessions under the current settings and under a draft. */

const time = z.iso.datetime({ offset: true })

export const replayRequestSchema = z.strictObject({
  draft: draftSchema,
  /** Absent: one day before `until`. */
  since: time.optional(),
  /** Absent: now. */
  until: time.optional(),
  /** Number of examples of each kind of change. */
  examples: z.number().int().min(0).max(100).default(5),
  /**
   * How long the response may wait for the replay to end. After that the response is `running`, and the client asks
   * again with its id.
   */
  waitSeconds: z.number().int().min(0).max(600).default(300),
})
export type ReplayRequest = z.output<typeof replayRequestSchema>

const saidSchema = z.object({
  rule: ruleSchema,
  /** Code, enhanced code and text of the reply from the catalogue; or `proceed`. */
  reply: z.string(),
  /** Whether the reply ends the connection. */
  close: z.boolean(),
})
export type ReplaySaid = z.infer<typeof saidSchema>

const exampleSchema = z.object({
  at: z.string(),
  ip: z.string(),
  helo: z.string().optional(),
  login: z.string().optional(),
  sender: z.string().optional(),
  recipient: z.string().optional(),
  /** The first sentence of each verdict. */
  before: z.string(),
  after: z.string(),
})

export const replayChangeSchema = z.object({
  stage: z.enum(stageNames),
  before: saidSchema,
  after: saidSchema,
  /** Whether both sides proceed but the mail goes to different places. */
  elsewhere: z.boolean(),
  count: z.number().int(),
  examples: z.array(exampleSchema),
})
export type ReplayChange = z.infer<typeof replayChangeSchema>

export const replayResultSchema = z.object({
  sessions: z.number().int(),
  verdicts: z.number().int(),
  /** Number of sessions with at least one verdict that differs. */
  changedSessions: z.number().int(),
  changedVerdicts: z.number().int(),
  /** Grouped by stage, rule and reply; the most frequent first, at most 200. */
  changes: z.array(replayChangeSchema),
  /**
   * Number of sessions, and of answers in them, for which the effect of the draft is unknown because a rule needs data
   * that was not recorded.
   */
  notKnown: z.object({ sessions: z.number().int(), answers: z.number().int() }),
  /** The same, grouped by rule. One answer may depend on several rules. */
  notAnswerable: z.array(
    z.object({ rule: z.string(), fact: z.string(), sessions: z.number().int(), answers: z.number().int() }),
  ),
  /** Equal slices of the time between the first and the last session. */
  timeline: z.array(z.object({ at: z.string(), sessions: z.number().int(), changed: z.number().int() })),
  /** Number of lines that could not be read because another version wrote them. */
  unreadable: z.number().int(),
})
export type ReplayResult = z.infer<typeof replayResultSchema>

export const replaySchema = z.object({
  id: z.string(),
  state: z.enum(['running', 'done', 'failed']),
  progress: z.object({ sessions: z.number().int(), of: z.number().int() }),
  since: z.string(),
  until: z.string(),
  revision: z.number().int(),
  /** Number of sessions of that time that were not recorded because their worker or storage had no room. */
  dropped: z.number().int(),
  /** Keys of the draft's settings that no session decision reads. These numbers do not include their effect. */
  withoutVerdict: z.array(z.string()),
  error: z.string().optional(),
  tookMs: z.number().optional(),
  ...replayResultSchema.partial().shape,
})
export type Replay = z.infer<typeof replaySchema>
