import { z } from 'zod'
import { lookupsSchema } from './lookups.ts'

/** What is to be found out about who a message comes from, and what was: SPF, DKIM and DMARC as they travel with it. */

export const mailChecks = ['spf', 'dkim', 'dmarc'] as const
export type MailCheck = (typeof mailChecks)[number]

/** Each as in `Lookups`; absent: not looked at, or not known. */
export const findingsSchema = lookupsSchema.pick({ spf: true, dkim: true, dmarc: true })
export type Findings = z.infer<typeof findingsSchema>

/** Written by the receiver into the envelope, read by the Queue Manager before the first delivery. */
export const authenticationSchema = z.object({
  /** An Authentication-Results field is added. False: only forged ones are taken out. */
  field: z.boolean(),
  /** What was not looked at before the message was accepted. */
  due: z.array(z.enum(mailChecks)).max(mailChecks.length),
  /** What was. */
  found: findingsSchema.optional(),
  /** The client is in the relay list: no signature is verified, not for DMARC either. */
  relay: z.boolean().optional(),
  /**
   * The one author domain of a message that bears no signature and no Authentication-Results field: nothing else in such a
   * message matters to any check, so it need not be read again. Absent: that was not seen.
   */
  author: z.string().max(253).optional(),
})
export type Authentication = z.infer<typeof authenticationSchema>
