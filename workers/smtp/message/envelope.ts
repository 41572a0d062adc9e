import type { ApplicationQuestion } from '@postern/contract/delivery-application.ts'
import type { Envelope, Recipient } from '@postern/contract/envelope.ts'
import type { DataFacts, SessionFacts } from '@postern/contract/facts.ts'
import { type Authentication, type Findings, mailChecks } from '@postern/contract/mailauth.ts'
import type { Treatment } from '@postern/contract/verdict.ts'
import { checksFor, isRelay } from '@postern/policy/mailauth.ts'
import { isAscii } from '@postern/policy/path.ts'
import type { Policy } from '@postern/policy/policy.ts'
import type { Header } from './header.ts'
import type { Transaction } from './transaction.ts'

/** The envelope of an accepted message, and the same facts as the delivery application reads them. */

/** What the rules at end of data want done with the message, together. */
export type Handling = { hold?: string; headers: string; redirect?: readonly Recipient[] }

export function handlingOf(treatments: readonly Treatment[]): Handling {
  const handling: Handling = { headers: '' }
  for (const { hold, headers = [], redirect } of treatments) {
    if (hold !== undefined)
      handling.hold = handling.hold === undefined ? hold : `${handling.hold}; ${hold}`.slice(0, 200)
    for (const { name, value } of headers) handling.headers += `${name}: ${value}\r\n`
    if (redirect) handling.redirect = redirect
  }
  return handling
}

export type EnvelopeOptions = {
  id: string
  worker: string
  origin: 'smtp' | 'api'
  receivedAt: number
  /** The client, or the sender's address, asks for SMTPUTF8. */
  smtpUtf8: boolean
  header: Header
  handling: Handling
  authentication?: Authentication | undefined
}

export function envelopeOf(
  { policy, sender, recipients, parameters, facts }: Transaction,
  { id, worker, origin, receivedAt, smtpUtf8, header, handling: { hold, redirect }, authentication }: EnvelopeOptions,
): Envelope {
  const to = redirect ? redirected(redirect, recipients) : recipients
  return {
    id,
    receivedAt,
    worker,
    revision: policy.revision,
    origin,
    sender,
    recipients: to,
    ...(header.subject === undefined ? {} : { subject: header.subject }),
    ...parameters,
    // An alias or a redirect may lead to an address that needs SMTPUTF8, whatever the client asked for.
    smtpUtf8: smtpUtf8 || to.some(({ address }) => !isAscii(address)),
    hops: header.hops,
    client: clientOf(facts),
    ...(authentication ? { authentication } : {}),
    ...(hold === undefined ? {} : { hold }),
  }
}

/** The new recipients replace all others; what the sender of the first wanted to be told stays. */
function redirected(redirect: readonly Recipient[], [first]: readonly Recipient[]): Recipient[] {
  const { original, orcpt, notify } = first as Recipient
  return redirect.map((to) => ({ ...to, original, ...(orcpt ? { orcpt } : {}), ...(notify ? { notify } : {}) }))
}

function clientOf({ ip, helo = '', login, tls }: SessionFacts): Envelope['client'] {
  return {
    ip,
    helo,
    ...(login === undefined ? {} : { login }),
    ...(tls ? { tls: { version: tls.version, cipher: tls.cipher } } : {}),
  }
}

export function questionOf(
  facts: DataFacts,
  { sender, recipients, policy }: Transaction,
  { id, server }: { id: string; server: string },
): ApplicationQuestion {
  return {
    id,
    receivedAt: new Date(facts.now).toISOString(),
    server,
    revision: policy.revision,
    sender,
    recipients: recipients.map(({ address, original }) => ({ address, original })),
    size: facts.size,
    client: { ...clientOf(facts), listener: facts.listener },
    lookups: facts.lookups ?? {},
  }
}

/** What the Queue Manager has to check before it delivers; absent: nothing. */
export function authenticationFor(facts: DataFacts, header: Header, policy: Policy): Authentication | undefined {
  const { verifySpf, verifyDkim, verifyDmarc } = policy.settings.general
  const field = verifySpf !== 'off' || verifyDkim !== 'off' || verifyDmarc !== 'off'
  if (!field) return header.claimsResults ? { field, due: [] } : undefined
  const checks = checksFor(facts, policy)
  const { author } = header
  const ofAuthor = author === undefined ? {} : { author }
  if (checks.spf === 'off' && checks.dkim === 'off' && checks.dmarc === 'off') return { field, due: [], ...ofAuthor }
  const { spf, dkim, dmarc } = facts.lookups ?? {}
  const found: Findings = { ...(spf && { spf }), ...(dkim && { dkim }), ...(dmarc && { dmarc }) }
  const relay = isRelay(facts, policy)
  const due = mailChecks.filter((check) => checks[check] !== 'off' && !found[check])
  return {
    field,
    due,
    ...(Object.keys(found).length > 0 ? { found } : {}),
    ...(relay ? { relay } : {}),
    ...ofAuthor,
  }
}
