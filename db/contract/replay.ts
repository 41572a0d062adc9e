import { z } from 'zod'
import { draftSchema } from './draft.ts'
import { ruleSchema, stageNames } from './rules.ts'

/** What `POST /v1/replay` is asked and answers: recorded sessions under the settings in force, and under a draft. */

const time = z.iso.datetime({ offset: true })

export const replayRequestSchema = z.strictObject({
  draft: draftSchema,
  /** Absent: a day before `until`. */
  since: time.optional(),
  /** Absent: now. */
  until: time.optional(),
  /** Examples of each kind of change. */
  examples: z.number().int().min(0).max(100).default(5),
  /** How long the answer may wait for the end; what is not done by then answers `running`, to be asked again by its id. */
  waitSeconds: z.number().int().min(0).max(600).default(300),
})
export type ReplayRequest = z.output<typeof replayRequestSchema>

const saidSchema = z.object({
  rule: ruleSchema,
  /** Code, enhanced code and text of the reply as the catalogue has it; `proceed`. */
  reply: z.string(),
  /** The connection ends with it. */
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
  /** Where it proceeds on both sides, the mail goes elsewhere. */
  elsewhere: z.boolean(),
  count: z.number().int(),
  examples: z.array(exampleSchema),
})
export type ReplayChange = z.infer<typeof replayChangeSchema>

export const replayResultSchema = z.object({
  sessions: z.number().int(),
  verdicts: z.number().int(),
  /** Sessions with at least one verdict that differs. */
  changedSessions: z.number().int(),
  changedVerdicts: z.number().int(),
  /** By stage, rule and reply; the most frequent first, at most 200. */
  changes: z.array(replayChangeSchema),
  /** Of these sessions, and answers in them, nobody knows what the draft would have done: a rule asks for what was not recorded. */
  notKnown: z.object({ sessions: z.number().int(), answers: z.number().int() }),
  /** The same by rule; one answer may wait for several. */
  notAnswerable: z.array(
    z.object({ rule: z.string(), fact: z.string(), sessions: z.number().int(), answers: z.number().int() }),
  ),
  /** Equal slices of the time between the first and the last session. */
  timeline: z.array(z.object({ at: z.string(), sessions: z.number().int(), changed: z.number().int() })),
  /** Lines that could not be read: of another version. */
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
  /** Sessions of that time that are not among the recorded: their worker or storage had no room. */
  dropped: z.number().int(),
  /** Keys of the draft's settings that no decision about a session reads: their effect is not in these numbers. */
  withoutVerdict: z.array(z.string()),
  error: z.string().optional(),
  tookMs: z.number().optional(),
  ...replayResultSchema.partial().shape,
})
export type Replay = z.infer<typeof replaySchema>
