import type { DataFacts } from '@postern/contract/facts.ts'
import { type Authentication, type Findings, type MailCheck, mailChecks } from '@postern/contract/mailauth.ts'
import type { Verdict } from '@postern/contract/verdict.ts'
import { ExaminerBusy } from '@postern/mailauth/examiner.ts'
import { checksFor, isRelay } from '@postern/policy/mail-authentication.ts'
import type { Policy } from '@postern/policy/policy.ts'
import type { MessageBody } from '../message/body.ts'
import type { Header } from '../message/header.ts'
import { hostName } from '../session/context.ts'
import type { LookupClients } from './ask.ts'

/** What is asked about a message before it is answered, and what is left to the Queue Manager. */

/**
 * Asks what a rule that is enforced does not know yet, and with it everything that is on: it costs no more. Absent: no rule
 * lacks anything. Resolves after 20 seconds at the latest, and with nothing when that was too short or the line too long.
 */
export function askAboutMessage(
  facts: DataFacts,
  {
    verdict,
    body,
    lookupClients,
    policy,
  }: { verdict: Verdict; body: Pick<MessageBody, 'read'>; lookupClients: LookupClients; policy: Policy },
): Promise<Findings> | undefined {
  const lacks = (check: MailCheck) => verdict.trail.some(({ rule, said }) => rule === check && said === 'not-known')
  if (verdict.outcome.kind !== 'proceed' || verdict.trail === policy.proceed.data.trail) return undefined
  if (!lookupClients.examiner || !mailChecks.some(lacks)) return undefined
  const { sender, ip, helo = '' } = facts
  const checks = checksFor(facts, policy)
  const question = {
    sender: sender === null || sender === 'null-sender' ? '' : sender.text,
    ip,
    helo,
    hostname: hostName(policy, facts.machine),
    checks: mailChecks.filter((check) => checks[check] !== 'off'),
    relay: isRelay(facts, policy),
  }
  return lookupClients.examiner.sent(question, body.read()).then(
    ({ findings }) => findings,
    (error: unknown) => {
      if (!(error instanceof ExaminerBusy)) lookupClients.trouble?.(error)
      return {}
    },
  )
}

/** What the Queue Manager has to do before it delivers; absent: nothing. */
export function authenticationFor(facts: DataFacts, header: Header, policy: Policy): Authentication | undefined {
  const { verifySpf, verifyDkim, verifyDmarc } = policy.settings.general
  const field = verifySpf !== 'off' || verifyDkim !== 'off' || verifyDmarc !== 'off'
  if (!field) return header.claimsResults ? { field, due: [] } : undefined
  const checks = checksFor(facts, policy)
  const { author } = header
  const plain = author === undefined ? {} : { author }
  if (checks.spf === 'off' && checks.dkim === 'off' && checks.dmarc === 'off') return { field, due: [], ...plain }
  const { spf, dkim, dmarc } = facts.lookups ?? {}
  const found: Findings = { ...(spf && { spf }), ...(dkim && { dkim }), ...(dmarc && { dmarc }) }
  const relay = isRelay(facts, policy)
  const due = mailChecks.filter((check) => checks[check] !== 'off' && !found[check])
  return {
    field,
    due,
    ...(Object.keys(found).length > 0 ? { found } : {}),
    ...(relay ? { relay } : {}),
    ...plain,
  }
}
