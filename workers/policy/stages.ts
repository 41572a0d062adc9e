import type { SessionFacts } from '@postern/contract/facts.ts'
import {
  type AskedRule,
  type Rule,
  reasonOf,
  ruleNames,
  ruleRow,
  rulesNeverWatched,
  type Stage,
  stageNames,
} from '@postern/contract/rules.ts'
import type { TrailStep, Treatment, Verdict } from '@postern/contract/verdict.ts'
import { findBlock } from './address-blocks.ts'
import type { Policy } from './policy.ts'
import type { Decision, Questions, RuleCheck, Said } from './rule.ts'
import { authCredentials } from './rules/auth-credentials.ts'
import { authDisabled } from './rules/auth-disabled.ts'
import { authForLocalSenders } from './rules/auth-for-local-senders.ts'
import { authMechanism } from './rules/auth-mechanism.ts'
import { authRequiresTls } from './rules/auth-requires-tls.ts'
import { bareLineFeed } from './rules/bare-line-feed.ts'
import { callout } from './rules/callout.ts'
import { concurrentSessions } from './rules/concurrent-sessions.ts'
import { connectionRate, loginRate } from './rules/connection-rate.ts'
import { connectionsPerAddress } from './rules/connections-per-address.ts'
import { controlAccess } from './rules/control-access.ts'
import { declaredSize } from './rules/declared-size.ts'
import { deliveryApplication } from './rules/delivery-application.ts'
import { dkim } from './rules/dkim.ts'
import { dmarc } from './rules/dmarc.ts'
import { dnsbl } from './rules/dnsbl.ts'
import { expn } from './rules/expn.ts'
import { greylist } from './rules/greylist.ts'
import { groupAccess } from './rules/group-access.ts'
import { hackAttempt } from './rules/hack-attempt.ts'
import { hardErrorLimit } from './rules/hard-error-limit.ts'
import { helloSyntax } from './rules/hello-syntax.ts'
import { helo } from './rules/helo.ts'
import { invalidRecipients } from './rules/invalid-recipients.ts'
import { killFile } from './rules/kill-file.ts'
import { mailLoop } from './rules/mail-loop.ts'
import { messageRate } from './rules/message-rate.ts'
import { messageSize } from './rules/message-size.ts'
import { nulOctet } from './rules/nul-octet.ts'
import { pregreet } from './rules/pregreet.ts'
import { recipientCount } from './rules/recipient-count.ts'
import { recipientRate } from './rules/recipient-rate.ts'
import { recipientSyntax } from './rules/recipient-syntax.ts'
import { relay } from './rules/relay.ts'
import { requireTls } from './rules/require-tls.ts'
import { reverseDns } from './rules/reverse-dns.ts'
import { senderDomain } from './rules/sender-domain.ts'
import { senderMustMatchLogin } from './rules/sender-must-match-login.ts'
import { senderSyntax } from './rules/sender-syntax.ts'
import { softErrorLimit } from './rules/soft-error-limit.ts'
import { spf } from './rules/spf.ts'
import { spoolFull } from './rules/spool-full.ts'
import { submissionAuth } from './rules/submission-auth.ts'
import { unknownRecipient } from './rules/unknown-recipient.ts'
import { vrfy } from './rules/vrfy.ts'

/** The implementations of all rules in the contract. */
const checks: { readonly [R in AskedRule]: RuleCheck<R> } = {
  'control-access': controlAccess,
  'concurrent-sessions': concurrentSessions,
  'connections-per-address': connectionsPerAddress,
  'connection-rate': connectionRate,
  pregreet,
  dnsbl,
  'reverse-dns': reverseDns,
  'hello-syntax': helloSyntax,
  helo,
  'auth-disabled': authDisabled,
  'auth-mechanism': authMechanism,
  'auth-requires-tls': authRequiresTls,
  'auth-credentials': authCredentials,
  'login-rate': loginRate,
  'require-tls': requireTls,
  'submission-auth': submissionAuth,
  'sender-syntax': senderSyntax,
  'kill-file': killFile,
  'auth-for-local-senders': authForLocalSenders,
  'sender-must-match-login': senderMustMatchLogin,
  'sender-domain': senderDomain,
  'message-rate': messageRate,
  'declared-size': declaredSize,
  'spool-full': spoolFull,
  'recipient-syntax': recipientSyntax,
  'recipient-count': recipientCount,
  relay,
  'group-access': groupAccess,
  'recipient-rate': recipientRate,
  'unknown-recipient': unknownRecipient,
  callout,
  greylist,
  'message-size': messageSize,
  'bare-line-feed': bareLineFeed,
  'nul-octet': nulOctet,
  'mail-loop': mailLoop,
  spf,
  dkim,
  dmarc,
  'delivery-application': deliveryApplication,
  'hack-attempt': hackAttempt,
  'hard-error-limit': hardErrorLimit,
  'invalid-recipients': invalidRecipients,
  'soft-error-limit': softErrorLimit,
  vrfy,
  expn,
}

type StageRule<S extends Stage> = {
  readonly name: Rule
  readonly exemptsWhiteListed: boolean
  readonly check: (question: Questions[S], policy: Policy) => Said
}

/**
 * The rules of each stage, in the order in which they are asked. The first that decides ends the stage. If none does,
 * the mail proceeds.
 */
export const stages = Object.fromEntries(
  stageNames.map((stage) => [stage, ruleNames.filter((name) => ruleRow(name).stage === stage).map(asStageRule)]),
) as unknown as { readonly [S in Stage]: readonly StageRule<S>[] }

function asStageRule(name: Rule) {
  return { name, exemptsWhiteListed: ruleRow(name).exemptsWhiteListed === true, check: checks[name as AskedRule] }
}

const accepted: TrailStep = { rule: 'accept', said: 'decided' }

/** The trail of a stage in which every rule passed. Shared, so that an accepted command allocates none. */
export const passedTrails = Object.fromEntries(
  stageNames.map((stage) => [stage, [...stages[stage].map(passedStep), accepted]] as const),
) as unknown as Record<Stage, readonly TrailStep[]>

function passedStep({ name }: { name: Rule }): TrailStep {
  return { rule: name, said: 'passed' }
}

type Asked<S extends Stage> = { question: Questions[S]; facts: SessionFacts; treatments?: Treatment[] }

/** Asks the rules of a stage one after the other. Adds to `treatments` if a rule that is not only watched requests one. */
export function askStage<S extends Stage>(
  stage: S,
  { question, facts, treatments }: Asked<S>,
  policy: Policy,
): Verdict {
  const rules: readonly StageRule<S>[] = stages[stage]
  const passed = passedTrails[stage]
  /** Created only if some rule did more than pass. */
  let trail: TrailStep[] | null = null
  for (let i = 0; i < rules.length; i++) {
    const rule = rules[i] as StageRule<S>
    const said = isExempt(rule, facts, policy) ? 'exempt' : rule.check(question, policy)
    if (said === 'pass') {
      trail?.push(passed[i] as TrailStep)
      continue
    }
    trail ??= passed.slice(0, i)
    if (said === 'exempt') trail.push({ rule: rule.name, said, because: `${facts.ip} is in the White List.` })
    else if ('missing' in said) trail.push({ rule: rule.name, said: 'not-known', because: said.missing })
    else if ('treat' in said) {
      const isMeant = !isWatched(rule.name, policy)
      if (isMeant) treatments?.push(said.treat)
      trail.push({ rule: rule.name, said: isMeant ? 'passed' : 'watched', because: printable(said.treat.noted, 300) })
    } else if ('marks' in said) trail.push({ rule: rule.name, said: 'watched', because: printable(said.marks, 300) })
    else if (!said.unavoidable && isWatched(rule.name, policy)) trail.push(step(rule.name, 'watched', said))
    else return decided(rule.name, { stage, said, trail }, policy)
  }
  return trail ? { ...policy.proceed[stage], trail: [...trail, accepted] } : policy.proceed[stage]
}

function isExempt(rule: { exemptsWhiteListed: boolean }, { ip, now }: SessionFacts, { white }: Policy): boolean {
  return rule.exemptsWhiteListed && findBlock(white, ip, now) !== undefined
}

function isWatched(rule: Rule, { watched }: Policy): boolean {
  return watched.has(rule) && !(rulesNeverWatched as readonly Rule[]).includes(rule)
}

function decided(
  rule: Rule,
  { stage, said, trail }: { stage: Stage; said: Decision; trail: TrailStep[] },
  { revision }: Policy,
): Verdict {
  trail.push(step(rule, 'decided', said))
  const { outcome } = said
  const reason = reasonOf(rule, outcome.kind === 'refuse' ? outcome.reply : outcome.replies[0]?.reply)
  const explanation = said.explanation.map((sentence) => printable(sentence, 500))
  return { stage, outcome, rule, reason, revision, explanation, trail }
}

function step(rule: Rule, said: TrailStep['said'], { explanation }: Decision): TrailStep {
  return { rule, said, because: printable(explanation[0] ?? '', 300) }
}

/** Makes text from clients safe in a sentence: it must not affect the terminal or the page that shows it. */
function printable(sentence: string, limit: number): string {
  return sentence.slice(0, limit).replace(/[\p{C}\u2028\u2029]/gu, '?')
}
