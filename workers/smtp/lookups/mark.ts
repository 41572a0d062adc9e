import type { ConnectFacts } from '@postern/contract/facts.ts'
import type { Lookups } from '@postern/contract/lookups.ts'
import { findBlock } from '@postern/policy/address-blocks.ts'
import { decideConnect, decideHello, decideMail } from '@postern/policy/decide.ts'
import type { Policy } from '@postern/policy/policy.ts'
import type { SessionContext } from '../session/context.ts'
import type { Transaction } from '../session/transaction.ts'
import { isOwnNetwork } from './address.ts'
import { zonesThat } from './ask.ts'
import { askDnsbl, type Heard } from './dnsbl.ts'
import { askHelo } from './helo.ts'
import { askReverse } from './reverse.ts'
import { askSenderDomain } from './sender-domain.ts'

/**
 * Look-ups whose rules only mark: they begin when the client has its answer already, and nobody waits for them. What is heard
 * before the message is accepted stands in its event. Nothing is asked about clients of our own networks.
 */

export function markConnect(session: SessionContext, facts: ConnectFacts): void {
  const { receiver } = session
  const { policy } = receiver
  const { dns } = receiver.lookupClients
  const zones = zonesThat(policy, 'mark')
  const wantsReverse = policy.settings.security.checkReverseDns === 'mark'
  if ((!wantsReverse && zones.length === 0) || !isAskedAbout(session, policy)) return
  const heard = (said: Lookups) => {
    know(session, said)
    // What was counted of the connection belongs to it alone, and is still so.
    const lookups = { ...facts.lookups, ...session.facts.lookups }
    session.mark(decideConnect({ ...facts, lookups }, policy))
  }
  if (wantsReverse) void askReverse(dns, facts.ip).then((reverse) => heard({ reverse }))
  const add = (one: Heard) => heard({ dnsbl: [...(session.facts.lookups?.dnsbl ?? []), one] })
  const waitedFor = session.facts.lookups?.dnsbl?.map(({ zone }) => zone) ?? []
  for (const zone of zones) if (!waitedFor.includes(zone)) void askDnsbl(dns, facts.ip, zone).then(add)
}

export function markHello(session: SessionContext, verb: 'HELO' | 'EHLO', argument: string): void {
  const { receiver } = session
  const { policy } = receiver
  if (policy.settings.security.checkHelo !== 'mark' || argument.startsWith('[')) return
  if (!isAskedAbout(session, policy)) return
  void askHelo(receiver.lookupClients.dns, argument).then((helo) => {
    // Meanwhile it may have greeted with another name, or forgotten this one with STARTTLS.
    if (session.facts.helo !== argument) return
    know(session, { helo })
    session.mark(decideHello({ ...session.facts, verb, argument }, policy))
  })
}

export function markMail({ receiver, facts }: SessionContext, transaction: Transaction): void {
  const { policy, facts: asked } = transaction
  const { sender } = asked
  if (policy.settings.security.checkSenderDomain !== 'mark' || sender === null || sender === 'null-sender') return
  if (isOwnNetwork(facts.ip) || policy.directory.domains.has(sender.domain) || sender.domain.startsWith('[')) return
  if (findBlock(policy.white, facts.ip, facts.now)) return
  void askSenderDomain(receiver.lookupClients.dns, sender.domain).then((senderDomain) => {
    asked.lookups = { ...asked.lookups, senderDomain }
    transaction.passed(decideMail(asked, policy))
  })
}

function isAskedAbout({ facts: { ip, listener, now } }: SessionContext, { white }: Policy): boolean {
  return listener === 'smtp' && !isOwnNetwork(ip) && !findBlock(white, ip, now)
}

function know({ facts }: SessionContext, heard: Lookups): void {
  facts.lookups = { ...facts.lookups, ...heard }
}
