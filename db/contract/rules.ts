import { z } from 'zod'
import type { Lookups } from './lookups.ts'
import type { ReplyName } from './replies.ts'

export const stageNames = ['connect', 'hello', 'auth', 'mail', 'rcpt', 'data', 'fault', 'vrfy', 'expn'] as const
export type Stage = (typeof stageNames)[number]

/**
 * All rules that can decide, in the order in which the stages ask them. `workers/policy/rules` has one file for each
 * rule. Events, metrics and the console show the name. One concept has one name: for the setting `checkHelo`, the rule,
 * its look-up, its reason and its reply are all `helo`. Only a reason or a look-up that several rules share has its own
 * name.
 */
type RuleRow = {
  /** `any`: applies if no other rule of the stage decides. */
  stage: Stage | 'any'
  /** The look-up that the rule reads. If a record lacks it, a replay cannot tell how the rule would answer. */
  reads?: keyof Lookups
  /** Clients in the White List skip the rule. */
  exemptsWhiteListed?: true
  /** The possible replies, each with its reason. */
  replies: { readonly [reply in ReplyName]?: string }
  /** The reason for an answer without a reply. */
  withoutReply?: string
  /** Why the rule cannot run in watch mode: the session cannot safely continue without its decision. */
  neverWatched?: string
}

export const rules = {
  'control-access': { stage: 'connect', replies: { accessDenied: 'access-denied' } },
  'concurrent-sessions': { stage: 'connect', replies: { tooManySessions: 'too-many-sessions' } },
  'connections-per-address': {
    stage: 'connect',
    exemptsWhiteListed: true,
    replies: { connectionsPerAddress: 'too-many-sessions' },
  },
  'connection-rate': { stage: 'connect', reads: 'rates', replies: { connectionRate: 'rate-exceeded' } },
  pregreet: { stage: 'connect', reads: 'pregreet', exemptsWhiteListed: true, replies: { pregreet: 'pregreet' } },
  dnsbl: { stage: 'connect', reads: 'dnsbl', exemptsWhiteListed: true, replies: { dnsbl: 'dnsbl' } },
  'reverse-dns': {
    stage: 'connect',
    reads: 'reverseDns',
    exemptsWhiteListed: true,
    replies: { reverseDns: 'reverse-dns' },
  },

  'hello-syntax': { stage: 'hello', replies: { helloSyntax: 'bad-syntax' } },
  helo: { stage: 'hello', reads: 'helo', exemptsWhiteListed: true, replies: { helo: 'helo' } },

  'auth-disabled': { stage: 'auth', replies: { authDisabled: 'command-disabled' } },
  'auth-mechanism': { stage: 'auth', replies: { authMechanism: 'bad-syntax' } },
  'auth-requires-tls': { stage: 'auth', replies: { authRequiresTls: 'tls-required' } },
  'auth-credentials': {
    stage: 'auth',
    replies: { authFailed: 'auth-failed', authTemporary: 'internal-error' },
    neverWatched: 'a wrong password would log in',
  },
  'login-rate': { stage: 'auth', reads: 'rates', replies: { connectionRate: 'rate-exceeded' } },

  'require-tls': { stage: 'mail', replies: { tlsRequired: 'tls-required' } },
  'submission-auth': { stage: 'mail', replies: { authRequired: 'auth-required' } },
  'sender-syntax': {
    stage: 'mail',
    replies: { senderSyntax: 'bad-syntax', smtpUtf8Required: 'bad-syntax' },
    neverWatched: 'an address that is malformed, or that needs SMTPUTF8, cannot be answered or sent on',
  },
  'kill-file': { stage: 'mail', replies: { killFile: 'kill-file' } },
  'auth-for-local-senders': { stage: 'mail', replies: { authRequired: 'auth-required' } },
  'sender-must-match-login': { stage: 'mail', replies: { senderMustMatchLogin: 'sender-must-match-login' } },
  'sender-domain': {
    stage: 'mail',
    reads: 'senderDomain',
    exemptsWhiteListed: true,
    replies: {
      senderDomainUnknown: 'sender-domain',
      senderDomainNullMx: 'sender-domain',
      senderDomainNotKnown: 'sender-domain',
    },
  },
  'message-rate': { stage: 'mail', reads: 'rates', replies: { messageRate: 'rate-exceeded' } },
  'declared-size': { stage: 'mail', replies: { messageTooLarge: 'too-large' } },
  'spool-full': {
    stage: 'mail',
    replies: { spoolFull: 'spool-full' },
    neverWatched: 'there is no space to store the message',
  },

  'recipient-syntax': {
    stage: 'rcpt',
    replies: { recipientSyntax: 'bad-syntax', smtpUtf8Required: 'bad-syntax' },
    neverWatched: 'mail cannot be delivered to an address that is malformed or that needs SMTPUTF8',
  },
  'recipient-count': { stage: 'rcpt', replies: { tooManyRecipients: 'too-many-recipients' } },
  relay: { stage: 'rcpt', replies: { relayDenied: 'relay-denied' } },
  'group-access': { stage: 'rcpt', replies: { groupDenied: 'group-denied' } },
  'recipient-rate': { stage: 'rcpt', reads: 'rates', replies: { recipientRate: 'rate-exceeded' } },
  'unknown-recipient': { stage: 'rcpt', replies: { userUnknown: 'user-unknown', aliasLoop: 'alias-loop' } },
  callout: {
    stage: 'rcpt',
    reads: 'callout',
    replies: { userUnknown: 'user-unknown', recipientNotVerified: 'recipient-not-verified' },
  },
  greylist: { stage: 'rcpt', reads: 'greylist', exemptsWhiteListed: true, replies: { greylist: 'greylist' } },

  'message-size': { stage: 'data', replies: { messageTooLarge: 'too-large' } },
  'bare-line-feed': { stage: 'data', exemptsWhiteListed: true, replies: { bareLineFeed: 'bare-line-feed' } },
  'nul-octet': { stage: 'data', replies: { nulOctet: 'nul-octet' } },
  'mail-loop': { stage: 'data', replies: { mailLoop: 'mail-loop' } },
  spf: { stage: 'data', reads: 'spf', replies: { spfFail: 'spf-fail', spfFailExplained: 'spf-fail' } },
  dkim: { stage: 'data', reads: 'dkim', replies: {} },
  dmarc: { stage: 'data', reads: 'dmarc', replies: { dmarcReject: 'dmarc-reject' } },
  'delivery-application': {
    stage: 'data',
    reads: 'application',
    replies: { applicationRefused: 'application-refused', applicationUnavailable: 'application-unavailable' },
  },
  accept: { stage: 'any', replies: {}, neverWatched: 'it applies when no other rule decides' },

  'hack-attempt': { stage: 'fault', exemptsWhiteListed: true, replies: { hackAttempt: 'hack-attempt' } },
  'hard-error-limit': { stage: 'fault', exemptsWhiteListed: true, replies: { tooManyErrors: 'too-many-errors' } },
  'invalid-recipients': { stage: 'fault', exemptsWhiteListed: true, replies: { tooManyErrors: 'too-many-errors' } },
  'soft-error-limit': {
    stage: 'fault',
    exemptsWhiteListed: true,
    replies: {},
    withoutReply: 'too-many-errors',
  },

  vrfy: {
    stage: 'vrfy',
    replies: {
      vrfyLocal: 'accepted',
      vrfyForwarded: 'accepted',
      vrfyUnconfirmed: 'not-confirmed',
      vrfyUnknown: 'user-unknown',
    },
    neverWatched:
      'VRFY needs an answer, and the only other one reveals to strangers which users exist; see security.disableVrfy',
  },
  expn: {
    stage: 'expn',
    replies: {
      expnMember: 'accepted',
      expnDisabled: 'command-disabled',
      expnRefused: 'group-denied',
      expnUnknown: 'user-unknown',
    },
    withoutReply: 'accepted',
    neverWatched:
      'EXPN needs an answer, and the only other one reveals the members to strangers; see security.disableExpn',
  },
} as const satisfies Record<string, RuleRow>

type Rules = typeof rules
export type Rule = keyof Rules
/** The rules that a stage asks: all except `accept`. */
export type AskedRule = Exclude<Rule, 'accept'>
export type StageOf<R extends AskedRule> = Rules[R]['stage']
export type ReplyOf<R extends Rule> = keyof Rules[R]['replies'] & ReplyName

export const ruleNames = Object.keys(rules) as [Rule, ...Rule[]]
export const ruleSchema = z.enum(ruleNames)

/** Returns the row of a rule. */
export const ruleRow = (rule: Rule): RuleRow => rules[rule]

type ReasonOf<Row> = Row extends { replies: infer Replies } ? Replies[keyof Replies] : never
type ReasonWithoutReply<Row> = Row extends { withoutReply: infer Reason } ? Reason : never
export type RuleReason = { [R in Rule]: ReasonOf<Rules[R]> | ReasonWithoutReply<Rules[R]> }[Rule]

export const ruleReasons = ruleNames.flatMap((rule) => {
  const { replies, withoutReply } = ruleRow(rule)
  return [...Object.values(replies), ...(withoutReply ? [withoutReply] : [])]
}) as RuleReason[]

/** Returns the reason for a rule's reply. If a rule has several replies, they are all of one kind. */
export function reasonOf(rule: Rule, reply: ReplyName | undefined): RuleReason {
  const { replies, withoutReply } = ruleRow(rule)
  return (reply === undefined ? withoutReply : replies[reply]) as RuleReason
}

type NeverWatched = { [R in Rule]: Rules[R] extends { neverWatched: string } ? R : never }[Rule]

export const rulesNeverWatched = ruleNames.filter((rule) => ruleRow(rule).neverWatched !== undefined) as NeverWatched[]

/** Rules that can run in watch mode: they are evaluated and logged, but decide nothing. */
export const watchableRuleSchema = z.enum(ruleSchema.exclude(rulesNeverWatched).options, {
  error: ({ input }) => {
    const why = Object.hasOwn(rules, String(input)) ? ruleRow(input as Rule).neverWatched : undefined
    return why === undefined
      ? undefined
      : `must be a rule that can run in watch mode; ${String(input)} cannot, because ${why}`
  },
})
