import type { MailAddress } from '@postern/contract/address.ts'
import type { Recipient } from '@postern/contract/envelope.ts'
import type {
  AskFacts,
  AuthFacts,
  ConnectFacts,
  DataFacts,
  FaultFacts,
  HelloFacts,
  MailFacts,
  RcptFacts,
} from '@postern/contract/facts.ts'
import type { DataVerdict, FaultVerdict, RcptVerdict, Treatment, Verdict } from '@postern/contract/verdict.ts'
import { expand } from './expand.ts'
import { originalOf, readAddress, readTarget, type Sender } from './path.ts'
import type { Policy } from './policy.ts'
import type { Questions } from './rule.ts'
import { calloutFor as calloutAbout } from './rules/callout.ts'
import { askStage } from './stages.ts'

/**
 * Makes one decision for each stage: facts and policy in, verdict out. Pure, total and deterministic: no clock, no
 * look-up, no throw. A `proceed` verdict that does not depend on the facts is shared, so callers must never change it.
 */

export function decideConnect(facts: ConnectFacts, policy: Policy): Verdict {
  return askStage('connect', { question: facts, facts }, policy)
}

export function decideHello(facts: HelloFacts, policy: Policy): Verdict {
  return askStage('hello', { question: facts, facts }, policy)
}

/**
 * Decides about AUTH. Called twice: without `credentials` it decides whether AUTH may begin, with them whether it
 * succeeded. `proceed` then means logged in.
 */
export function decideAuth(facts: AuthFacts, policy: Policy): Verdict {
  return askStage('auth', { question: facts, facts }, policy)
}

export function decideMail(facts: MailFacts, policy: Policy): Verdict {
  return askStage('mail', { question: { facts, sender: senderOf(facts, policy) }, facts }, policy)
}

/** Decides about RCPT. `proceed` carries at least one recipient. */
export function decideRcpt(facts: RcptFacts, policy: Policy): RcptVerdict {
  const asked = { text: facts.recipientText, parsed: facts.recipient, facts }
  const question: Questions['rcpt'] = { facts, target: readTarget(asked, policy) }
  const verdict = askStage('rcpt', { question, facts }, policy)
  const { target } = question
  // An unreadable recipient never proceeds, because the rule against it cannot run in watch mode.
  if (verdict.outcome.kind !== 'proceed' || target.kind === 'unreadable')
    return withRecipients(verdict, verdict.explanation, [])
  return target.kind === 'local' ? local(verdict, question, policy) : relayed(verdict, target.address, facts)
}

function relayed(verdict: Verdict, address: MailAddress, facts: RcptFacts): RcptVerdict {
  const { text, domain } = address
  const why = facts.login === undefined ? 'the relay rule lets this client send there' : `${facts.login} has logged in`
  const recipients = [{ address: text, original: originalOf(facts.recipientText, address) }]
  return { ...withRecipients(verdict, [`${domain} is not a local domain; ${why}.`], recipients), relayed: true }
}

/**
 * Returns the recipients of local mail. If the rule against unknown recipients is only watched, recipients that it
 * would refuse go unchanged to the domain's route.
 */
function local(verdict: Verdict, { facts, target, expansion }: Questions['rcpt'], policy: Policy): RcptVerdict {
  if (target.kind !== 'local') return withRecipients(verdict, verdict.explanation, [])
  const original = originalOf(facts.recipientText, target)
  const result = expansion ?? expand(target, original, policy)
  const recipients =
    result.kind === 'found' ? result.recipients : [{ address: `${target.local}@${target.domain}`, original }]
  return withRecipients(verdict, [result.because], recipients)
}

/**
 * Returns the host that the receiver must ask about an address that `decideRcpt` let pass. The receiver then decides
 * again with `lookups.callout`.
 */
export function calloutFor(facts: RcptFacts, policy: Policy): ReturnType<typeof calloutAbout> {
  const asked = { text: facts.recipientText, parsed: facts.recipient, facts }
  return calloutAbout({ target: readTarget(asked, policy) }, policy)
}

/** Lists the fields explicitly, because copying with `...` costs more than all rules together. */
function withRecipients(
  verdict: Verdict,
  explanation: readonly string[],
  recipients: readonly Recipient[],
): RcptVerdict {
  const { stage, outcome, rule, reason, revision, trail } = verdict
  return { stage, outcome, rule, reason, revision, explanation, trail, recipients, relayed: false }
}

/**
 * Decides about the message. Bare line feeds that are not refused are always rewritten: for the White List, by the
 * setting, or because the rule is only watched.
 */
export function decideData(facts: DataFacts, policy: Policy): DataVerdict {
  const treatments: Treatment[] = []
  const { stage, outcome, rule, reason, revision, explanation, trail } = askStage(
    'data',
    { question: facts, facts, treatments },
    policy,
  )
  const lineFeeds = facts.bareLineFeeds ? 'normalize' : 'as-is'
  return { stage, outcome, rule, reason, revision, explanation, trail, lineFeeds, treatments }
}

/** Decides after each protocol error, refusal and hack attempt whether the session continues, and how slowly. */
export function decideFault(facts: FaultFacts, policy: Policy): FaultVerdict {
  const verdict = askStage('fault', { question: facts, facts }, policy)
  const isLate = verdict.rule === 'soft-error-limit'
  return { ...verdict, delaySeconds: isLate ? policy.settings.dictionary.softErrorDelaySeconds : 0 }
}

/** Decides about VRFY. The outcome is an answer or a refusal, never `proceed`. */
export function decideVrfy(facts: AskFacts, policy: Policy): Verdict {
  return askStage('vrfy', { question: askedAbout(facts, policy), facts }, policy)
}

/** Decides about EXPN. The outcome is an answer or a refusal, never `proceed`. */
export function decideExpn(facts: AskFacts, policy: Policy): Verdict {
  return askStage('expn', { question: askedAbout(facts, policy), facts }, policy)
}

function senderOf({ sender, senderText }: MailFacts, policy: Policy): Sender {
  if (sender === null || sender === 'null-sender') return sender
  return readAddress(senderText, sender, policy)
}

/**
 * Parses the argument of VRFY or EXPN. RFC 5321 §4.1.1.6: a mailbox, with or without brackets, or a user name, which is
 * looked up in the home domain.
 */
function askedAbout(facts: AskFacts, policy: Policy): Questions['vrfy'] {
  const text = facts.argument.trim().replace(/^<(.*)>$/, '$1')
  return { facts, target: readTarget({ text, parsed: facts.address, facts }, policy) }
}
