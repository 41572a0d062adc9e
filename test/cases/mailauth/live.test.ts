import type { Findings } from '@postern/contract/mailauth.ts'
import type { RecordedEvent } from '@postern/contract/views.ts'
import { connect, proxyHeader } from '@postern/smtp/test/wire-client.ts'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Dns, type DnsZone, startDns } from '../../peers/dns.ts'
import { until } from '../../peers/peer.ts'
import { homeDomain, livePostern } from '../../wire/live.ts'
import { recordedEvents } from '../events.ts'
import { balancer } from '../world.ts'
import { type Case, caseOf, clientOf, defaultHeader, expectFound, filesOf, folders, messageOf, zoneOf } from './case.ts'
import type { Zone } from './zone.ts'

/**
 * Sends the same messages to a worker that uses a real DNS server, and checks the results in the event. All cases are
 * in one zone, so each has its own names (and its own address if that matters).
 */

type Own = {
  title: string
  given: Case
}

const cases: Own[] = folders.flatMap((folder) =>
  filesOf(folder).map((file) => ({ title: `${folder} ${file}`, given: caseOf(folder, file) })),
)
const own = cases
  .filter(({ given }) => !given.notLive)
  .map(({ title, given }, i) => ({ title, given: withItsNames(given, i) }))

/** `example.org` becomes `example.org-12`, with as many labels as before. A case about an address has its own one. */
function withItsNames(given: Case, number: number): Case {
  const whole = {
    ...given,
    client: clientOf(given),
    header: given.header ?? defaultHeader,
    signatures: given.signatures?.map((one) => ({ ...one, tags: { d: 'example.org', ...one.tags } })),
  }
  const text = JSON.stringify(whole).replace(
    /(?<!receiver)\.(org|com|test|example)(?![\w-]|\.(?:org|com)\b)/gi,
    `.$1-${number}`,
  )
  if (!text.includes('in-addr.arpa') && !whole.client.relay) return JSON.parse(text) as Case
  const octet = number % 256
  const moved = text
    .replaceAll('1.2.0.192.in-addr', `${octet}.100.51.198.in-addr`)
    .replace(/192\.0\.2\.1(?!\d)/g, `198.51.100.${octet}`)
  return JSON.parse(moved) as Case
}

function zoneOfAll(): DnsZone {
  const names: DnsZone['names'] = {}
  for (const { given } of own)
    for (const [name, is] of Object.entries(zoneOf(given) as Zone)) names[name.toLowerCase()] = described(is)
  return { names }
}

function described(is: Zone[string]): DnsZone['names'][string] {
  if (typeof is === 'string') return is
  const { txt = [], mx = [], ...more } = is
  return {
    ...more,
    txt: txt.map((text) => [text].flat().join('')),
    // The root is written as no name at all.
    mx: mx.map(([preference, host]) => [preference, host === '.' ? '' : host]),
  }
}

let dns: Dns
beforeAll(async () => {
  dns = await startDns(zoneOfAll())
})
afterAll(() => dns?.stop())

const live = livePostern({
  postern: () => ({ dns: dns.server }),
  prepare: async (live) => {
    await homeDomain(live)
    const relays = own.map(({ given }) => clientOf(given)).filter(({ relay }) => relay)
    for (const { ip } of relays) await live.add('relay', ip)
    await live.set('general', { hostname: 'mx.receiver.example' })
    await live.set('advanced', { proxyProtocol: [balancer] })
  },
})

const found = new Map<string, Findings>()

/** @returns the id of the message */
async function send(given: Case): Promise<string> {
  const { ip, helo, sender } = clientOf(given)
  const wire = await connect({ port: live.postern.smtpPort, from: balancer, first: proxyHeader(ip) })
  try {
    await wire.expect(220)
    await wire.say(`EHLO ${helo}`).expect(250)
    const isAscii = /^[\x00-\x7f]*$/.test(sender)
    await wire.say(`MAIL FROM:<${sender}>${isAscii ? '' : ' SMTPUTF8'}`).expect(250)
    await wire.say('RCPT TO:<ann@home.test>').expect(250)
    await wire.say('DATA').expect(354)
    const message = messageOf(given).toString('latin1').replace(/^\./gm, '..')
    const { raw } = await wire.write(`${message}${message.endsWith('\r\n') ? '' : '\r\n'}.\r\n`).expect(250)
    return /[0-9a-f-]{36}/.exec(raw)?.[0] ?? ''
  } finally {
    wire.destroy()
  }
}

const ids = new Map<string, string>()

it('receives and checks every message', async () => {
  const refused: string[] = []
  for (const { title, given } of own)
    await send(given).then(
      (id) => ids.set(title, id),
      (error: Error) => refused.push(`${title}: ${error.message}`),
    )
  const heard = async () => {
    for (const event of await recordedEvents(live.api, { type: 'message.authenticated' })) {
      const { messageId, ...findings } = event as RecordedEvent & Findings & { messageId: string }
      found.set(messageId, findings)
    }
    return [...ids.values()].every((id) => found.has(id))
  }
  await until('every message has its event', heard, { withinMs: 60_000, everyMs: 500 }).catch(() => {})
  expect(refused).toEqual([])
})

it.each(own)('$title', ({ title, given }) => {
  const findings = found.get(ids.get(title) ?? '')
  expect(findings, 'it has no event').toBeDefined()
  expectFound(given, findings as Findings)
})
