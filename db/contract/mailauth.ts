import { z } from 'zod'
import { lookupsSchema } from './lookups.ts'

/** SPF, DKIM and DMARC checks that remain for a message, and the results that travel with it. */

export const mailChecks = ['spf', 'dkim', 'dmarc'] as const
export type MailCheck = (typeof mailChecks)[number]

/** The results, as in `Lookups`. Absent: not checked, or not known. */
export const findingsSchema = lookupsSchema.pick({ spf: true, dkim: true, dmarc: true })
export type Findings = z.infer<typeof findingsSchema>

/** The receiver writes this into the envelope. The Queue Manager reads it before the first delivery. */
export const authenticationSchema = z.object({
  /** Whether to add an Authentication-Results field. If false, only forged fields are removed. */
  field: z.boolean(),
  /** The checks that did not run before the message was accepted. */
  due: z.array(z.enum(mailChecks)).max(mailChecks.length),
  /** The results of the checks that ran. */
  found: findingsSchema.optional(),
  /** The client is in the relay list: no signature is verified, not even for DMARC. */
  relay: z.boolean().optional(),
  /**
   * The only author domain of a message that has no signature and no Authentication-Results field. The checks need
   * nothing else from such a message, so it is not read again. Absent: the receiver did not determine this.
   */
  author: z.string().max(253).optional(),
})
export type Authentication = z.infer<typeof authenticationSchema>
