import { z } from 'zod'
import type {
  AskFacts,
  AuthFacts,
  ConnectFacts,
  DataFacts,
  HelloFacts,
  MailFacts,
  RcptFacts,
  SessionFacts,
} from './facts.ts'
import { lookupsSchema } from './lookups.ts'
import { canonicalAddress } from './network.ts'

/**
 * One session with at most one transaction, as the facts that its decisions looked at: what `POST /v1/simulate` is asked,
 * what a worker records for the replay, what a case file holds. No body, no secret. Everything but the client's address may
 * be left out: it is at its default (`sessionDefaults`), and a stage whose fact is not there was not reached.
 */

const address = z.string().transform((text, context) => {
  const canonical = canonicalAddress(text)
  if (canonical) return canonical
  context.addIssue({ code: 'custom', message: 'must be an IP address, e.g. 198.51.100.7 or 2001:db8::7' })
  return z.NEVER
})
const time = z.union([
  z.number().int().nonnegative(),
  z.iso.datetime({ offset: true }).transform((text) => Date.parse(text)),
])
const count = z.number().int().nonnegative()
const path = z.string().max(1000)

export const sessionSchema = z.strictObject({
  /** When it was; milliseconds since the epoch or RFC 3339. */
  now: time.optional(),
  listener: z.enum(['smtp', 'submission', 'smtps']).optional(),
  ip: address,
  balancer: address.optional(),
  local: address.optional(),
  machine: z.string().min(1).max(253).optional(),
  tlsAvailable: z.boolean().optional(),
  // connect
  sessionsOpen: count.optional(),
  sessionsFromAddress: count.optional(),
  // hello
  verb: z.enum(['HELO', 'EHLO']).optional(),
  helo: z.string().max(512).optional(),
  /** `true`: TLS 1.3, whatever the cipher. */
  tls: z
    .union([
      z.boolean(),
      z.strictObject({
        version: z.string().max(20),
        cipher: z.string().max(80),
        serverName: z.string().max(255).optional(),
      }),
    ])
    .optional(),
  // auth
  mechanism: z.string().max(40).optional(),
  /** What the client typed as its user name. */
  login: z.string().max(320).optional(),
  loginResult: z.enum(['valid', 'invalid', 'not-known']).optional(),
  // mail: between the angle brackets, empty for the null sender
  mailFrom: path.optional(),
  declaredSize: count.optional(),
  smtpUtf8: z.boolean().optional(),
  spool: z.enum(['ready', 'full', 'not-known']).optional(),
  // rcpt: one command each; what was looked up for one recipient alone stands beside it
  rcptTo: z
    .array(z.union([path, z.strictObject({ to: path, lookups: lookupsSchema })]))
    .max(50_000)
    .optional(),
  // data
  size: count.optional(),
  bareLineFeeds: z.boolean().optional(),
  nulOctets: z.boolean().optional(),
  hops: count.optional(),
  // vrfy, expn
  vrfy: path.optional(),
  expn: path.optional(),
  lookups: lookupsSchema.optional(),
})

export type Session = z.output<typeof sessionSchema>

/** What a key that is absent stands for. A record leaves these out. */
export const sessionDefaults = {
  listener: 'smtp',
  tlsAvailable: true,
  sessionsOpen: 1,
  sessionsFromAddress: 1,
  verb: 'EHLO',
  mechanism: 'PLAIN',
  loginResult: 'valid',
  smtpUtf8: false,
  spool: 'ready',
  bareLineFeeds: false,
  nulOctets: false,
  hops: 0,
} as const satisfies Partial<Session>

type KeysOf<T> = T extends unknown ? keyof T : never
type Fact = KeysOf<SessionFacts | ConnectFacts | HelloFacts | AuthFacts | MailFacts | RcptFacts | DataFacts | AskFacts>
/** Facts that are read out of others: `sender` out of `mailFrom`, `credentials` out of `login` and `loginResult`. */
type Read =
  | 'argument'
  | 'credentials'
  | 'senderText'
  | 'sender'
  | 'recipientText'
  | 'recipient'
  | 'recipientsSoFar'
  | 'recipients'
  | 'address'
type Assert<T extends never> = T
/** A fact that has no key here could be neither simulated nor replayed: the compiler refuses it. */
export type FactsLeftOut = Assert<Exclude<Fact, keyof Session | Read>>
