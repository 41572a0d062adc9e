import type { DnsZone } from '../peers/dns.ts'
import type { Case } from './case.ts'

type Names = DnsZone['names']
type Records = Exclude<Names[string], string>
type Lookups = NonNullable<Case['facts']['lookups']>

/** What the DNS server must say so that the worker looks up what the cases say. A name that is in no case does not exist. */
export function zoneOf(cases: readonly Case[]): DnsZone {
  const zone: Required<DnsZone> = { names: { 'client.test': { a: ['192.0.2.1'] } }, ptr: {} }
  for (const one of cases) {
    const { lookups } = one.facts
    if (!lookups) continue
    const said = (pattern: RegExp) => one.dialogue.map(([says]) => pattern.exec(says)?.[1]).find(Boolean) ?? ''
    aboutNames(zone.names, lookups, { helo: said(/^(?:EHLO|HELO) (.*)$/), sender: said(/^MAIL FROM:<[^>]*@([^>]+)>/) })
    aboutMail(zone.names, lookups)
    aboutAddress(zone, lookups, one.ip)
  }
  return zone
}

/** Adds records to a name, which may have some already. */
function tell(names: Names, name: string, is: Records | 'servfail'): void {
  const known = names[name]
  names[name] = typeof is === 'string' || typeof known === 'string' ? is : { ...known, ...is }
}

function aboutNames(names: Names, lookups: Lookups, { helo, sender }: { helo: string; sender: string }): void {
  if (lookups.helo === 'resolves') tell(names, helo, { a: ['192.0.2.1'] })
  if (lookups.helo === 'not-known') tell(names, helo, 'servfail')
  if (lookups.senderDomain === 'mail') tell(names, sender, { mx: [[10, 'mx.elsewhere.test']] })
  if (lookups.senderDomain === 'null-mx') tell(names, sender, { mx: 'null' })
  if (lookups.senderDomain === 'not-known') tell(names, sender, 'servfail')
}

/** Returns records of a domain that give this result for any client address. */
const spfRecords: { [result: string]: string } = {
  pass: 'v=spf1 +all',
  neutral: 'v=spf1 ?all',
  softfail: 'v=spf1 ~all',
  fail: 'v=spf1 -all',
  permerror: 'v=spf1 no-such-mechanism',
}

function aboutMail(names: Names, { spf, dmarc }: Lookups): void {
  const record = spf && spfRecords[spf.result]
  if (record) tell(names, spf.domain, { txt: [record] })
  if (spf?.result === 'temperror') tell(names, spf.domain, 'servfail')
  if (dmarc?.result === 'fail') tell(names, `_dmarc.${dmarc.domain}`, { txt: [`v=DMARC1; p=${dmarc.policy}`] })
  if (dmarc?.result === 'temperror') tell(names, `_dmarc.${dmarc.domain}`, 'servfail')
}

function aboutAddress(zone: Required<DnsZone>, { reverseDns: reverse, dnsbl = [] }: Lookups, ip: string): void {
  if (typeof reverse === 'object' && reverse.name) {
    zone.ptr[ip] = reverse.name
    if (reverse.confirmed) tell(zone.names, reverse.name, { a: [ip] })
  }
  const reversed = ip.split('.').reverse().join('.')
  for (const { zone: list, answers, text } of dnsbl)
    if (answers !== 'not-known' && answers.length > 0)
      tell(zone.names, `${reversed}.${list}`, { a: answers, ...(text ? { txt: [text] } : {}) })
}
