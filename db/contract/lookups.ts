import { z } from 'zod'

/**
 * Look-ups about a client or a message, and their results. They are gathered before the decision that needs them, only
 * if a setting asks for them, and passed to the rules as facts. `not-known`: the look-up failed or took too long; it
 * never means no.
 */

const notKnown = z.literal('not-known')

export const lookupsSchema = z.strictObject({
  /** Whether the client sent data before the banner. */
  pregreet: z.boolean().optional(),
  /** PTR of the client's address. `confirmed`: the addresses of that name include the client's. */
  reverseDns: z
    .union([notKnown, z.strictObject({ name: z.string().max(255).optional(), confirmed: z.boolean() })])
    .optional(),
  /** One entry for each queried zone of `security.dnsbl`: the A records of the answer, empty if not listed. */
  dnsbl: z
    .array(
      z.strictObject({
        zone: z.string().max(255),
        answers: z.union([notKnown, z.array(z.string().max(64)).max(20)]),
        text: z.string().max(300).optional(),
      }),
    )
    .max(50)
    .optional(),
  /** Whether the HELO name (or address literal) belongs to a host: it has an A or AAAA record. */
  helo: z.enum(['resolves', 'does-not-resolve', 'not-known']).optional(),
  /** Whether the MAIL FROM domain can receive mail: it has MX, A or AAAA records. `null-mx`: RFC 7505. */
  senderDomain: z.enum(['mail', 'none', 'null-mx', 'not-known']).optional(),
  /** The answer of the host behind a domain's route about the recipient. */
  callout: z.enum(['exists', 'unknown', 'not-known']).optional(),
  /**
   * Time at which this client, sender and recipient were first seen together, in milliseconds since the epoch.
   * `passed`: the client retried in time once.
   */
  greylist: z
    .union([notKnown, z.strictObject({ firstSeen: z.number().int().nonnegative(), passed: z.boolean() })])
    .optional(),
  /** Counts for the current minute and hour, including this event. */
  rates: z
    .strictObject({
      client: z
        .partialRecord(z.enum(['connections', 'messages', 'recipients']), z.tuple([z.number().int(), z.number().int()]))
        .optional(),
      login: z
        .partialRecord(z.enum(['connections', 'messages', 'recipients']), z.tuple([z.number().int(), z.number().int()]))
        .optional(),
      /** Messages that this login began in the current hour and day, for the account's quota. */
      quota: z.tuple([z.number().int(), z.number().int()]).optional(),
    })
    .optional(),
  /** RFC 7208 §2.6. */
  spf: z
    .strictObject({
      result: z.enum(['none', 'neutral', 'pass', 'fail', 'softfail', 'temperror', 'permerror']),
      domain: z.string().max(255),
      /** The explanation that the domain's owner publishes for refused clients. */
      explanation: z.string().max(500).optional(),
    })
    .optional(),
  /** RFC 8601 §2.7.1, one entry for each signature that was checked. */
  dkim: z
    .array(
      z.strictObject({
        result: z.enum(['none', 'pass', 'fail', 'policy', 'neutral', 'temperror', 'permerror']),
        domain: z.string().max(255).optional(),
        selector: z.string().max(255).optional(),
        because: z.string().max(300).optional(),
      }),
    )
    .max(20)
    .optional(),
  /** RFC 9989 (7489): the result, the policy for failing messages, and the From domain. */
  dmarc: z
    .strictObject({
      result: z.enum(['none', 'pass', 'fail', 'temperror', 'permerror']),
      policy: z.enum(['none', 'quarantine', 'reject']),
      domain: z.string().max(255),
    })
    .optional(),
  /** Why `application` is not known. */
  applicationTrouble: z.string().max(300).optional(),
  /** The answer of the delivery application. */
  application: z
    .union([
      notKnown,
      z.strictObject({
        action: z.enum(['accept', 'reject', 'hold', 'redirect']),
        /** One printable line: shown to the client for reject, to the operator for hold. */
        reason: z.string().max(300).optional(),
        redirectTo: z.array(z.string().max(320)).max(100).optional(),
        headers: z
          .array(z.strictObject({ name: z.string().max(100), value: z.string().max(900) }))
          .max(50)
          .optional(),
      }),
    ])
    .optional(),
})

export type Lookups = z.infer<typeof lookupsSchema>
