import { z } from 'zod'
import { canonicalAddress } from './ip-address.ts'

/**
 * Offences: client behaviour that no mail client shows. Workers report them with `POST /v1/worker/offences`. The API
 * counts them over all workers and creates Control Access entries. Evidence never holds a secret.
 */

export const offenceKinds = ['failed-login', 'invalid-recipient', 'error-limit', 'hack-attempt'] as const
export type OffenceKind = (typeof offenceKinds)[number]

/**
 * `pregreet`: the client sent data before the banner. `other-protocol`: HTTP. `binary-noise`: commands made of control
 * characters. `command-flood`: endless commands that send no mail. `smuggling`: a second message hidden behind a false
 * end of data.
 */
export const hackAttempts = ['pregreet', 'other-protocol', 'binary-noise', 'command-flood', 'smuggling'] as const
export type HackAttempt = (typeof hackAttempts)[number]

/** Maximum number of evidence sentences for one offence. */
export const maxSentences = 10

export const offenceSchema = z.strictObject({
  /** Assigned by the worker. A repeated batch is counted once. */
  id: z.string().regex(/^[a-z0-9-]{1,60}$/),
  kind: z.enum(offenceKinds),
  address: z.string().refine((text) => canonicalAddress(text) === text, { message: 'must be a canonical IP address' }),
  /** Number of occurrences within a few seconds. */
  count: z.number().int().min(1).max(1_000_000),
  /** Time of the last occurrence. */
  at: z.iso.datetime(),
  evidence: z.array(z.string().max(300)).max(maxSentences),
})
export type Offence = z.infer<typeof offenceSchema>

export const offenceBatchSchema = z.strictObject({ offences: z.array(offenceSchema).min(1).max(500) })

/** `revision`: the newest one. If there are blocks, it includes them. */
export const offenceBatchResponseSchema = z.object({
  revision: z.number().int().nonnegative(),
  blocked: z.array(
    z.object({ address: z.string(), kind: z.enum(offenceKinds), reason: z.string(), expiresAt: z.iso.datetime() }),
  ),
})
export type OffenceBatchResponse = z.infer<typeof offenceBatchResponseSchema>
