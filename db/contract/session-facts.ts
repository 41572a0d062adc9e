import { z } from 'zod'
import type {
  AskFacts,
  AuthFacts,
  ConnectFacts,
  DataFacts,
  FaultFacts,
  HelloFacts,
  MailFacts,
  RcptFacts,
  SessionFacts,
} from './facts.ts'
import { canonicalAddress } from './ip-address.ts'
import { type Lookups, lookupsSchema } from './lookups.ts'
import { hackAttempts } from './offences.ts'

/**
 * One session with at most one transaction, as the facts that its decisions used. `POST /v1/simulate` takes it, workers
 * record it for the replay, and case files hold it. It has no body and no secret. Everything except the client's
 * address is optional: an absent key has its default (`sessionDefaults`), and a stage whose fact is absent was not
 * reached.
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

export const sessionRecordSchema = z.strictObject({
  /** The time of the session: milliseconds since the epoch, or RFC 3339. */
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
  /** `true`: TLS 1.3 with any cipher. */
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
  /** The user name that the client sent. */
  login: z.string().max(320).optional(),
  loginResult: z.enum(['valid', 'invalid', 'not-known']).optional(),
  // mail: the text between the angle brackets, empty for the null sender
  mailFrom: path.optional(),
  declaredSize: count.optional(),
  smtpUtf8: z.boolean().optional(),
  spool: z.enum(['ready', 'full', 'not-known']).optional(),
  // rcpt: one entry for each command, with the look-ups for that recipient alone
  rcptTo: z
    .array(z.union([path, z.strictObject({ to: path, lookups: lookupsSchema })]))
    .max(50_000)
    .optional(),
  // data
  size: count.optional(),
  bareLineFeeds: z.boolean().optional(),
  nulOctets: z.boolean().optional(),
  hops: count.optional(),
  // fault: the errors in the session so far
  errors: count.optional(),
  invalidRecipients: count.optional(),
  attempt: z.enum(hackAttempts).optional(),
  // vrfy, expn
  vrfy: path.optional(),
  expn: path.optional(),
  lookups: lookupsSchema.optional(),
})

export type SessionRecord = z.output<typeof sessionRecordSchema>

/** The values of absent keys. A record omits keys with these values. */
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
  errors: 0,
  invalidRecipients: 0,
} as const satisfies Partial<SessionRecord>

type KeysOf<T> = T extends unknown ? keyof T : never
type Fact = KeysOf<
  SessionFacts | ConnectFacts | HelloFacts | AuthFacts | MailFacts | RcptFacts | DataFacts | FaultFacts | AskFacts
>
/** Facts derived from others: `sender` from `mailFrom`, `credentials` from `login` and `loginResult`. */
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
/** A fact without a key here could be neither simulated nor replayed. The compiler refuses it. */
export type FactsLeftOut = Assert<Exclude<Fact, keyof SessionRecord | Read>>

/** The facts of one session at each stage where a decision was made, with at most one transaction. */
export type SessionStages = {
  connect: ConnectFacts
  hello?: HelloFacts | undefined
  auth?: AuthFacts | undefined
  mail?: MailFacts | undefined
  rcpts: readonly RcptFacts[]
  data?: DataFacts | undefined
  /** The last fault. */
  fault?: FaultFacts | undefined
}

/** Keys that are the same in the record and in the facts. A new key only needs a line in the schema. */
const copied = (Object.keys(sessionRecordSchema.shape) as (keyof SessionRecord)[]).filter(
  (key) => !['now', 'helo', 'login', 'mailFrom', 'rcptTo', 'vrfy', 'expn', 'lookups'].includes(key),
)

/** Builds the session record from these facts, without values that equal their defaults. */
export function recordOf({ connect, hello, auth, mail, rcpts, data, fault }: SessionStages): SessionRecord {
  const latest = data ?? rcpts.at(-1) ?? mail ?? auth ?? hello ?? connect
  const record: SessionRecord = { now: (mail ?? latest).now, ip: connect.ip }
  copy(record, connect)
  if (hello) {
    record.helo = hello.argument.slice(0, 512)
    if (hello !== latest) copy(record, hello)
  }
  if (auth?.credentials) {
    record.login = auth.credentials.login.slice(0, 320)
    if (auth.credentials.result !== sessionDefaults.loginResult) record.loginResult = auth.credentials.result
    if (auth !== latest) copy(record, auth)
  }
  if (fault) copy(record, fault)
  if (latest !== connect) copy(record, latest)
  if (mail) record.mailFrom = mail.senderText.slice(0, 1000)
  const lookups = merged([connect, hello, mail, data])
  if (lookups) record.lookups = lookups
  if (rcpts.length > 0)
    record.rcptTo = rcpts.map(({ recipientText, lookups: own }) => {
      const alone = own && onlyHere(own, record.lookups)
      return alone ? { to: recipientText.slice(0, 1000), lookups: alone } : recipientText.slice(0, 1000)
    })
  return record
}

function copy(record: SessionRecord, facts: SessionFacts): void {
  const from = facts as Record<string, unknown>
  const to = record as Record<string, unknown>
  for (const key of copied) {
    const value = from[key]
    if (value !== undefined && value !== (sessionDefaults as Record<string, unknown>)[key]) to[key] = value
  }
}

/** Merges the look-ups of several stages. Rates are counted separately at each stage. */
function merged(stages: readonly (SessionFacts | undefined)[]): Lookups | undefined {
  let all: Lookups | undefined
  for (const facts of stages) {
    const lookups = facts?.lookups
    if (!lookups || lookups === all) continue
    if (!all) all = lookups
    else {
      const rates = all.rates && lookups.rates ? { rates: joined(all.rates, lookups.rates) } : {}
      all = { ...all, ...lookups, ...rates }
    }
  }
  return all
}

type Rates = NonNullable<Lookups['rates']>

function joined(a: Rates, b: Rates): Rates {
  return {
    ...(a.client || b.client ? { client: { ...a.client, ...b.client } } : {}),
    ...(a.login || b.login ? { login: { ...a.login, ...b.login } } : {}),
  }
}

function onlyHere(own: Lookups, common: Lookups | undefined): Lookups | undefined {
  let alone: Record<string, unknown> | undefined
  for (const [key, value] of Object.entries(own))
    if (value !== undefined && value !== (common as Record<string, unknown> | undefined)?.[key]) {
      alone ??= {}
      alone[key] = value
    }
  return alone as Lookups | undefined
}
