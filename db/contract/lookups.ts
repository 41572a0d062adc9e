import { z } from 'zod'

/**
 * What was asked of others about a client or a message, and what they said. Gathered before the decision that needs it, only
 * where a setting asks for it, and given to the rules as a fact. `not-known`: the look-up failed or took too long; never a no.
 */

const notKnown = z.literal('not-known')

export const lookupsSchema = z.strictObject({
  /** The client sent something before the banner. */
  pregreet: z.boolean().optional(),
  /** PTR of the client's address. `confirmed`: the name's own addresses include the client's. */
  reverseDns: z
    .union([notKnown, z.strictObject({ name: z.string().max(255).optional(), confirmed: z.boolean() })])
    .optional(),
  /** One for each zone of `security.dnsbl` that was asked: the A records of the answer, none when not listed. */
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
  /** Whether the HELO name (or address literal) is one of a host: A or AAAA. */
  helo: z.enum(['resolves', 'does-not-resolve', 'not-known']).optional(),
  /** Whether mail can be sent back to the domain of MAIL FROM: MX, A or AAAA; `null-mx`: RFC 7505. */
  senderDomain: z.enum(['mail', 'none', 'null-mx', 'not-known']).optional(),
  /** What the host behind a domain's route says of the recipient. */
  callout: z.enum(['exists', 'unknown', 'not-known']).optional(),
  /** When this client, sender and recipient were first seen together (milliseconds since the epoch); `passed`: it came back in time once. */
  greylist: z
    .union([notKnown, z.strictObject({ firstSeen: z.number().int().nonnegative(), passed: z.boolean() })])
    .optional(),
  /** What was counted in the running minute and hour, this one included. */
  rates: z
    .strictObject({
      client: z
        .partialRecord(z.enum(['connections', 'messages', 'recipients']), z.tuple([z.number().int(), z.number().int()]))
        .optional(),
      login: z
        .partialRecord(z.enum(['connections', 'messages', 'recipients']), z.tuple([z.number().int(), z.number().int()]))
        .optional(),
      /** Messages that the login has begun in the running hour and day, for the account's quota. */
      quota: z.tuple([z.number().int(), z.number().int()]).optional(),
    })
    .optional(),
  /** RFC 7208 §2.6. */
  spf: z
    .strictObject({
      result: z.enum(['none', 'neutral', 'pass', 'fail', 'softfail', 'temperror', 'permerror']),
      domain: z.string().max(255),
      /** What the domain's owner says to refused clients. */
      explanation: z.string().max(500).optional(),
    })
    .optional(),
  /** RFC 8601 §2.7.1, one for each signature that was looked at. */
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
  /** RFC 9989 (7489): the result, the policy that applies to a failing message, and the domain of From. */
  dmarc: z
    .strictObject({
      result: z.enum(['none', 'pass', 'fail', 'temperror', 'permerror']),
      policy: z.enum(['none', 'quarantine', 'reject']),
      domain: z.string().max(255),
    })
    .optional(),
  /** Why `application` is not known. */
  applicationTrouble: z.string().max(300).optional(),
  /** What the delivery application answered. */
  application: z
    .union([
      notKnown,
      z.strictObject({
        action: z.enum(['accept', 'reject', 'hold', 'redirect']),
        /** One printable line: for the client on reject, for the operator on hold. */
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
