import { z } from 'zod'

/** Every rule that can decide, in the order in which the stages ask them. The name is what events, metrics and the console show. */
export const ruleNames = [
  // connect
  'control-access',
  'concurrent-sessions',
  'connections-per-address',
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
  // mail
  'require-tls',
  'submission-auth',
  'sender-syntax',
  'kill-file',
  'local-sender-auth',
  'sender-matches-login',
  'sender-domain',
  'declared-size',
  'spool-space',
  // rcpt
  'recipient-syntax',
  'recipient-count',
  'relay',
  'group-access',
  'unknown-recipient',
  'greylist',
  // data
  'message-size',
  'bare-line-feed',
  'nul-octet',
  'mail-loop',
  'accept',
  // vrfy, expn
  'vrfy',
  'expn',
] as const

export type Rule = (typeof ruleNames)[number]
export const ruleSchema = z.enum(ruleNames)

/**
 * Rules without which there is nothing to go on with: an unreadable address, a wrong password, an answer that must be given.
 * They cannot run in watch mode.
 */
export const rulesNeverWatched = [
  'auth-mechanism',
  'auth-credentials',
  'sender-syntax',
  'spool-space',
  'recipient-syntax',
  'accept',
  'vrfy',
  'expn',
] as const satisfies readonly Rule[]

export const watchableRuleSchema = ruleSchema.exclude([...rulesNeverWatched])

export const stageNames = ['connect', 'hello', 'auth', 'mail', 'rcpt', 'data', 'vrfy', 'expn'] as const
export type Stage = (typeof stageNames)[number]
