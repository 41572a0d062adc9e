import { z } from 'zod'
import { reasons } from '../reasons.ts'
import { ruleSchema, stageNames } from '../rules.ts'
import type { ServiceName } from '../services.ts'

/** The prominence of an event in the console. Its title is shown beside the colour. */
export type Tone = 'calm' | 'good' | 'warn' | 'danger' | 'info'

/** The definition of an event type. All rows of `eventTypes` have this type. */
export type EventRow<T extends z.ZodObject = z.ZodObject> = {
  /** The only service that records the event. Absent: any worker may. */
  by?: ServiceName | 'api'
  title: string
  /** The fields and their maximum lengths. The recorder truncates values to them. */
  fields: T
  /** The log level at which the event is recorded; below it, the event is not created. Absent: `normal`. */
  level?: 'verbose' | 'debug'
  /** RFC 5424 §6.2.1: 3 error, 4 warning, 5 notice, 6 informational, 7 debug. */
  severity: 3 | 4 | 5 | 6 | 7
  /** Whether storage keeps the event even if it is not in the log. The pages about mail and services need it. */
  operational: boolean
  tone: Tone
  /**
   * One sentence for people, which the full-text search also uses. Text from clients and remote servers is quoted or
   * truncated.
   */
  sentence(fields: z.infer<T>): string
  /**
   * The lines of the classic format, in Postfix wording. Absent: type, title and fields. `id`: the id of the message or
   * session.
   */
  classic?(fields: z.infer<T>, id: string): string[]
}

export function eventRow<T extends z.ZodObject>(row: EventRow<T>): EventRow<T> {
  return row
}

export const messageId = z.string().length(36)
export const address = z.string().max(320)
export const host = z.string().max(255)

export const verdict = z.object({
  stage: z.enum(stageNames),
  rule: ruleSchema,
  reason: z.enum(reasons),
  revision: z.number().int(),
  /** The first line of the reply as sent to the client. */
  reply: z.string().max(600),
  explanation: z.array(z.string().max(500)).max(20),
  trail: z
    .array(
      z.object({
        rule: ruleSchema,
        said: z.enum(['passed', 'decided', 'watched', 'not-known', 'exempt']),
        because: z.string().max(300).optional(),
      }),
    )
    .max(40),
})
export type VerdictRecord = z.infer<typeof verdict>

export const client = z.object({
  ip: z.string(),
  helo: z.string().max(255).optional(),
  login: address.optional(),
  tls: z.string().max(100).optional(),
})

/** Lists the first addresses and the number of the others. */
export function someOf(addresses: readonly string[]): string {
  const some = addresses.slice(0, 20).map((one) => `<${one}>`)
  return addresses.length > 20 ? `${some.join(', ')} and ${addresses.length - 20} more` : some.join(', ')
}

export const rejected = (stage: string, { ip }: { ip: string }, reply: string): string =>
  `NOQUEUE: reject: ${stage} from unknown[${ip}]: ${reply}`
