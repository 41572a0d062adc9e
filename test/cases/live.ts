import type { WriteResult } from '@postern/contract/views.ts'
import type { DnsZone } from '../peers/dns.ts'
import { connect, type Reply, type WireClient } from '../wire/client.ts'
import type { Live } from '../wire/live.ts'
import type { Case } from './case.ts'
import { turnsOf } from './dialogue.ts'
import { balancer, password, worldOf } from './world.ts'

/** The third door: the same dialogue with a worker that runs, its settings made those of the case through the API. */

let inForce = ''

export async function setTheWorld(live: Live, one: Pick<Case, 'given'>): Promise<void> {
  const document = { postern: 1, ...worldOf(one.given) }
  const text = JSON.stringify(document)
  if (text === inForce) return
  const { revision } = await live.api.post<WriteResult>('/v1/apply', { document })
  inForce = text
  await live.postern.settle(revision)
}

/** Speaks the dialogue. @returns for each line what it expected and what came */
export async function speak(live: Live, one: Case): Promise<{ says: string; expects: string; reply: string }[]> {
  const others: WireClient[] = []
  for (let i = 1; i < (one.facts.sessionsFromAddress ?? 1); i++) {
    const other = await open(live, one)
    await other.reply()
    others.push(other)
  }
  const client = await open(live, one)
  const heard: { says: string; expects: string; reply: string }[] = []
  try {
    if (one.facts.lookups?.pregreet) client.say('NOOP')
    for (const { says, expects, stage } of turnsOf(one)) {
      const reply = await turn(client, says, stage === 'data')
      heard.push({ says, expects, reply: firstLine(reply) })
      if (says === '' && one.facts.lookups?.pregreet && reply.code === 220) await client.reply()
      if (says === 'STARTTLS' && reply.code === 220) await secured
    }
  } finally {
    client.destroy()
    for (const other of others) other.destroy()
  }
  return heard
}

let secured: Promise<unknown> = Promise.resolve()

async function turn(client: WireClient, says: string, isMessage: boolean): Promise<Reply> {
  if (says === '') return client.reply()
  if (isMessage) return client.write(Buffer.from(`${says.replace(/^\./gm, '..')}\r\n.\r\n`, 'utf8')).reply()
  if (says === 'STARTTLS') {
    secured = client.startTls()
    await secured
    return { code: 220, lines: ['2.0.0'], raw: '220 2.0.0 Ready to start TLS', afterMs: 0 }
  }
  if (!says.startsWith('AUTH ')) return client.ask(says)
  const [, mechanism = '', login = '', known = ''] = says.split(' ')
  const secret = Buffer.from(`\0${login}\0${known === 'right' ? password : 'wrong'}`).toString('base64')
  return client.ask(`AUTH ${mechanism} ${secret}`)
}

function open(live: Live, one: Case): Promise<WireClient> {
  const { smtpPort, submissionPort } = live.postern
  const port = one.facts.listener === 'submission' ? submissionPort : smtpPort
  const family = one.ip.includes(':') ? 'TCP6' : 'TCP4'
  const here = family === 'TCP6' ? '::1' : '127.0.0.1'
  return connect({ port, from: balancer, first: `PROXY ${family} ${one.ip} ${here} 40000 ${port}\r\n` })
}

function firstLine({ raw }: Reply): string {
  return (raw.split('\n')[0] ?? '').replace(/^(\d{3})-/, '$1 ')
}

/** What the DNS server must say so that the worker looks up what the cases say. A name that is in no case does not exist. */
export function zoneOf(cases: readonly Case[]): DnsZone {
  const zone: Required<DnsZone> = { names: { 'client.test': { a: ['192.0.2.1'] } }, ptr: {} }
  for (const one of cases) {
    const { lookups } = one.facts
    const helo = /^(?:EHLO|HELO) (.*)$/.exec(one.dialogue.find(([says]) => /^(EHLO|HELO)/.test(says))?.[0] ?? '')?.[1]
    if (lookups?.helo === 'resolves' && helo) zone.names[helo] = { a: ['192.0.2.1'] }
    if (lookups?.helo === 'not-known' && helo) zone.names[helo] = 'servfail'
    const domain = /^MAIL FROM:<[^>]*@([^>]+)>/.exec(one.dialogue.find(([says]) => /^MAIL/.test(says))?.[0] ?? '')?.[1]
    if (lookups?.senderDomain === 'mail' && domain) zone.names[domain] = { mx: [[10, 'mx.elsewhere.test']] }
    if (lookups?.senderDomain === 'null-mx' && domain) zone.names[domain] = { mx: 'null' }
    if (lookups?.senderDomain === 'not-known' && domain) zone.names[domain] = 'servfail'
    const reversed = one.ip.split('.').reverse().join('.')
    if (typeof lookups?.reverse === 'object' && lookups.reverse.name) {
      zone.ptr[one.ip] = lookups.reverse.name
      if (lookups.reverse.confirmed) zone.names[lookups.reverse.name] = { a: [one.ip] }
    }
    for (const list of lookups?.dnsbl ?? [])
      if (list.answers !== 'not-known' && list.answers.length > 0)
        zone.names[`${reversed}.${list.zone}`] = { a: list.answers, ...(list.text ? { txt: [list.text] } : {}) }
  }
  return zone
}
