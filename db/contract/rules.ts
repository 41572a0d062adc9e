import { z } from 'zod'

/** Every rule that can decide, in the order in which the stages ask them. The name is what events, metrics and the console show. */
export const ruleNames = [
  // connect
  'control-access',
  'concurrent-sessions',
  'connections-per-address',
  'connection-rate',
  'pregreet',
  'dnsbl',
  'reverse-dns',
  // hello
  'hello-syntax',
  'helo-resolves',
  // auth
  'auth-disabled',
  'auth-mechanism',
  'auth-requires-tls',
  'auth-credentials',
  'login-rate',
  // mail
  'require-tls',
  'submission-auth',
  'sender-syntax',
  'kill-file',
  'local-sender-auth',
  'sender-matches-login',
  'sender-domain',
  'message-rate',
  'declared-size',
  'spool-space',
  // rcpt
  'recipient-syntax',
  'recipient-count',
  'relay',
  'group-access',
  'recipient-rate',
  'unknown-recipient',
  'callout',
  'greylist',
  // data
  'message-size',
  'bare-line-feed',
  'nul-octet',
  'mail-loop',
  'spf',
  'dkim',
  'dmarc',
  'delivery-application',
  'accept',
  // fault
  'hack-attempt',
  'hard-error-limit',
  'invalid-recipients',
  'soft-error-limit',
  // vrfy, expn
  'vrfy',
  'expn',
] as const

export type Rule = (typeof ruleNames)[number]
export const ruleSchema = z.enum(ruleNames)

/** Rules that cannot run in watch mode, and why: without their decision the session cannot safely go on. */
export const whyNeverWatched = {
  'auth-credentials': 'a wrong password would log in',
  'sender-syntax': 'an address that is malformed, or that needs SMTPUTF8, cannot be answered or sent on',
  'spool-space': 'there is no space to store the message',
  'recipient-syntax': 'mail cannot be delivered to an address that is malformed or that needs SMTPUTF8',
  accept: 'it applies when no other rule decides',
  vrfy: 'VRFY needs an answer, and the only other one tells strangers who exists; see security.disableVrfy',
  expn: 'EXPN needs an answer, and the only other one tells strangers who the members are; see security.disableExpn',
} as const satisfies Partial<Record<Rule, string>>

export const rulesNeverWatched = Object.keys(whyNeverWatched) as (keyof typeof whyNeverWatched)[]

/** Every other rule can run in watch mode: it is evaluated and logged, and decides nothing. */
export const watchableRuleSchema = z.enum(ruleSchema.exclude(rulesNeverWatched).options, {
  error: ({ input }) => {
    const why = (whyNeverWatched as Record<string, string>)[String(input)]
    return why === undefined ? undefined : `must be a rule that can be watched; ${String(input)} cannot, because ${why}`
  },
})

export const stageNames = ['connect', 'hello', 'auth', 'mail', 'rcpt', 'data', 'fault', 'vrfy', 'expn'] as const
export type Stage = (typeof stageNames)[number]
