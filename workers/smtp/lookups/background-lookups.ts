import type { ConnectFacts, HelloFacts, MailFacts, SessionFacts } from '@postern/contract/facts.ts'
import type { Lookups } from '@postern/contract/lookups.ts'
import { findBlock } from '@postern/policy/address-blocks.ts'
import type { Policy } from '@postern/policy/policy.ts'
import { isOwnNetwork } from './address.ts'
import type { Dns } from './dns.ts'
import { askDnsbl } from './dnsbl.ts'
import { askHelo } from './helo.ts'
import { dnsblZones } from './required-lookups.ts'
import { askReverse } from './reverse-dns.ts'
import { askSenderDomain } from './sender-domain.ts'

/**
 * Look-ups for rules that only mark. They begin after the client has its answer, and nobody waits for them: what is found before
 * the message is accepted is in its event. Clients of our own networks are not looked up.
 */
export type BackgroundLookupOptions = {
  policy: Policy
  dns: Dns
  /** Called with each answer. */
  found(lookups: Lookups): void
}

/** `facts.lookups.dnsbl`: the lists that were asked before the greeting; they are not asked again. */
export function lookUpConnectInBackground(facts: ConnectFacts, { policy, dns, found }: BackgroundLookupOptions): void {
  const zones = dnsblZones(policy, 'mark')
  const wantsReverse = policy.settings.security.checkReverseDns === 'mark'
  if ((!wantsReverse && zones.length === 0) || !isLookedUp(facts, policy)) return
  if (wantsReverse) void askReverse(dns, facts.ip).then((reverse) => found({ reverseDns: reverse }))
  const asked = facts.lookups?.dnsbl?.map(({ zone }) => zone) ?? []
  for (const zone of zones)
    if (!asked.includes(zone)) void askDnsbl(dns, facts.ip, zone).then((answer) => found({ dnsbl: [answer] }))
}

export function lookUpHelloInBackground(facts: HelloFacts, { policy, dns, found }: BackgroundLookupOptions): void {
  const { argument } = facts
  if (policy.settings.security.checkHelo !== 'mark' || argument.startsWith('[') || !isLookedUp(facts, policy)) return
  void askHelo(dns, argument).then((helo) => found({ helo }))
}

export function lookUpMailInBackground(
  { sender, ip, now }: MailFacts,
  { policy, dns, found }: BackgroundLookupOptions,
): void {
  if (policy.settings.security.checkSenderDomain !== 'mark' || sender === null || sender === 'null-sender') return
  if (isOwnNetwork(ip) || policy.directory.domains.has(sender.domain) || sender.domain.startsWith('[')) return
  if (findBlock(policy.white, ip, now)) return
  void askSenderDomain(dns, sender.domain).then((senderDomain) => found({ senderDomain }))
}

function isLookedUp({ ip, listener, now }: SessionFacts, { white }: Policy): boolean {
  return listener === 'smtp' && !isOwnNetwork(ip) && !findBlock(white, ip, now)
}
