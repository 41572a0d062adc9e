import { z } from 'zod'
import { canonicalAddress } from './network.ts'

/**
 * What clients do that a mail client does not, and how workers tell the API of it: `POST /v1/worker/offences`. The API counts
 * over all workers and makes Control Access entries of it. No sentence of evidence holds a secret.
 */

export const offenceKinds = ['failed-login', 'invalid-recipient', 'error-limit', 'hack-attempt'] as const
export type OffenceKind = (typeof offenceKinds)[number]

/**
 * `pregreet`: it talked before the banner. `other-protocol`: HTTP. `binary-noise`: commands made of control characters.
 * `command-flood`: commands without end that send no mail. `smuggling`: a second message hidden behind a false end of data.
 */
export const hackAttempts = ['pregreet', 'other-protocol', 'binary-noise', 'command-flood', 'smuggling'] as const
export type HackAttempt = (typeof hackAttempts)[number]

/** Sentences of evidence that one offence carries. */
export const maxSentences = 10

export const offenceSchema = z.strictObject({
  /** The worker's own; a batch that comes again is counted once. */
  id: z.string().regex(/^[a-z0-9-]{1,60}$/),
  kind: z.enum(offenceKinds),
  address: z.string().refine((text) => canonicalAddress(text) === text, { message: 'must be a canonical IP address' }),
  /** How often within a few seconds. */
  count: z.number().int().min(1).max(1_000_000),
  /** The last of them. */
  at: z.iso.datetime(),
  evidence: z.array(z.string().max(300)).max(maxSentences),
})
export type Offence = z.infer<typeof offenceSchema>

export const offenceBatchSchema = z.strictObject({ offences: z.array(offenceSchema).min(1).max(500) })

/** `revision`: the newest one; with the blocks, when there are any. */
export const offenceBatchResponseSchema = z.object({
  revision: z.number().int().nonnegative(),
  blocked: z.array(
    z.object({ address: z.string(), kind: z.enum(offenceKinds), reason: z.string(), expiresAt: z.iso.datetime() }),
  ),
})
export type OffenceBatchResponse = z.infer<typeof offenceBatchResponseSchema>
