import { parseMailAddress } from '@postern/contract/address.ts'
import type { MailFacts, SessionFacts } from '@postern/contract/facts.ts'
import type { Lookups } from '@postern/contract/lookups.ts'
import { type SessionRecord, sessionDefaults } from '@postern/contract/session-facts.ts'
import type { Verdict } from '@postern/contract/verdict.ts'
import {
  decideAuth,
  decideConnect,
  decideData,
  decideExpn,
  decideFault,
  decideHello,
  decideMail,
  decideRcpt,
  decideVrfy,
} from './decide.ts'
import { findAccount } from './login.ts'
import { readSender } from './path.ts'
import type { Policy } from './policy.ts'

/** One command of a session and the verdict on it. `about`: the sender, the recipient or the login. */
export type Step = { verdict: Verdict; about?: string }

const plainTls = { version: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384' }

/**
 * Asks every stage that the session reaches, in the order of the dialogue, about the facts given. A client that is
 * refused at connect, HELO or MAIL goes no further. A client that cannot log in with good credentials gives up. Without
 * an accepted recipient there is no DATA. A stage without its fact (`mailFrom`, `rcptTo`, `size`, …) is skipped.
 */
export function simulateSession(session: SessionRecord, policy: Policy): Step[] {
  const steps: Step[] = []
  const facts = sessionFacts(session)
  if (!goesOn(steps, { verdict: decideConnect(connectFacts(session, facts), policy) })) return steps
  if (!fault(steps, { session, facts }, policy)) return steps
  if (session.helo !== undefined && !hello(steps, { session, facts }, policy)) return steps
  if (session.tls) facts.tls = session.tls === true ? plainTls : session.tls
  if (session.login !== undefined && !auth(steps, { session, facts }, policy)) return steps
  asks(steps, { session, facts }, policy)
  if (session.mailFrom !== undefined) transaction(steps, { session, facts }, policy)
  return steps
}

type OpenSession = { session: SessionRecord; facts: SessionFacts }

/** @returns whether the client may go on */
function goesOn(steps: Step[], step: Step): boolean {
  steps.push(step)
  return step.verdict.outcome.kind === 'proceed'
}

function sessionFacts(session: SessionRecord): SessionFacts {
  const { listener, tlsAvailable } = sessionDefaults
  const facts: SessionFacts = {
    now: session.now ?? 0,
    listener: session.listener ?? listener,
    ip: session.ip,
    machine: session.machine ?? 'localhost',
    tlsAvailable: session.tlsAvailable ?? tlsAvailable,
  }
  if (session.balancer !== undefined) facts.balancer = session.balancer
  if (session.local !== undefined) facts.local = session.local
  if (session.lookups) facts.lookups = session.lookups
  if (session.tls && session.listener === 'smtps') facts.tls = session.tls === true ? plainTls : session.tls
  return facts
}

function connectFacts(session: SessionRecord, facts: SessionFacts) {
  const { sessionsOpen, sessionsFromAddress } = sessionDefaults
  return {
    ...facts,
    sessionsOpen: session.sessionsOpen ?? sessionsOpen,
    sessionsFromAddress: session.sessionsFromAddress ?? sessionsFromAddress,
  }
}

/**
 * Decides about faults once, before the rest, whenever they occurred in the session.
 * @returns whether the session continues
 */
function fault(steps: Step[], { session, facts }: OpenSession, policy: Policy): boolean {
  const { errors = sessionDefaults.errors, invalidRecipients = sessionDefaults.invalidRecipients, attempt } = session
  if (errors === 0 && invalidRecipients === 0 && attempt === undefined) return true
  const verdict = decideFault({ ...facts, errors, invalidRecipients, ...(attempt && { attempt }) }, policy)
  steps.push({ verdict, ...(attempt && { about: attempt }) })
  return verdict.outcome.kind !== 'refuse'
}

function hello(steps: Step[], { session, facts }: OpenSession, policy: Policy): boolean {
  const argument = session.helo ?? ''
  const verb = session.verb ?? sessionDefaults.verb
  if (!goesOn(steps, { verdict: decideHello({ ...facts, verb, argument }, policy), about: argument })) return false
  facts.helo = argument.slice(0, 255)
  return true
}

function auth(steps: Step[], { session, facts }: OpenSession, policy: Policy): boolean {
  const login = session.login ?? ''
  const mechanism = session.mechanism ?? sessionDefaults.mechanism
  const result = session.loginResult ?? sessionDefaults.loginResult
  const begin = decideAuth({ ...facts, mechanism }, policy)
  const verdict =
    begin.outcome.kind === 'proceed'
      ? decideAuth({ ...facts, mechanism, credentials: { login, result } }, policy)
      : begin
  if (!goesOn(steps, { verdict, about: login })) return result !== 'valid'
  const account = findAccount(policy, login)
  if (account) facts.login = account.address
  return true
}

function asks(steps: Step[], { session, facts }: OpenSession, policy: Policy): void {
  for (const [argument, decide] of [
    [session.vrfy, decideVrfy],
    [session.expn, decideExpn],
  ] as const) {
    if (argument === undefined) continue
    const address = parseMailAddress(argument.trim().replace(/^<(.*)>$/, '$1'))
    steps.push({ verdict: decide({ ...facts, argument, address }, policy), about: argument })
  }
}

function transaction(steps: Step[], { session, facts }: OpenSession, policy: Policy): void {
  const mail = mailFacts(session, facts, policy)
  if (!goesOn(steps, { verdict: decideMail(mail, policy), about: mail.senderText })) return
  let recipientsSoFar = 0
  for (const given of session.rcptTo ?? []) {
    const { to, lookups } = typeof given === 'string' ? { to: given, lookups: undefined } : given
    const recipientText = bare(to)
    const recipient = parseMailAddress(recipientText)
    const asked = { ...mail, recipientText, recipient, recipientsSoFar }
    if (lookups) asked.lookups = over(mail.lookups, lookups)
    if (goesOn(steps, { verdict: decideRcpt(asked, policy), about: recipientText })) recipientsSoFar++
  }
  if (recipientsSoFar === 0 || session.size === undefined) return
  const end = {
    recipients: recipientsSoFar,
    size: session.size,
    bareLineFeeds: session.bareLineFeeds ?? sessionDefaults.bareLineFeeds,
    nulOctets: session.nulOctets ?? sessionDefaults.nulOctets,
    hops: session.hops ?? sessionDefaults.hops,
  }
  steps.push({ verdict: decideData({ ...mail, ...end }, policy) })
}

function mailFacts(session: SessionRecord, facts: SessionFacts, policy: Policy): MailFacts {
  const senderText = bare(session.mailFrom ?? '')
  const mail: MailFacts = {
    ...facts,
    senderText,
    sender: readSender(senderText, policy),
    smtpUtf8: session.smtpUtf8 ?? sessionDefaults.smtpUtf8,
    spool: session.spool ?? sessionDefaults.spool,
  }
  if (session.declaredSize !== undefined) mail.declaredSize = session.declaredSize
  return mail
}

/** Merges the look-ups for one recipient over those for all. Keeps the prototype (see `Replay`). */
function over(common: Lookups = {}, own: Lookups): Lookups {
  return { __proto__: Object.getPrototypeOf(common) as object, ...common, ...own } as Lookups
}

/** Removes angle brackets, which people may include in an address. */
function bare(text: string): string {
  return text.startsWith('<') && text.endsWith('>') ? text.slice(1, -1) : text
}
