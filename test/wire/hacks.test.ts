import { randomBytes } from 'node:crypto'
import type { WireClient } from '@postern/smtp/test/wire-client.ts'
import { describe, expect, it } from 'vitest'
import { banner, entryOf, staysOut, untilRefused } from './attackers.ts'
import { homeDomain, livePostern } from './live.ts'

/** What no mail client does ends the session and blocks the address. What old and broken clients do does not. */

const live = livePostern({ prepare: homeDomain })
const port = () => live.postern.smtpPort
let serial = 0
const stranger = () => `127.3.0.${++serial}`

async function data(client: WireClient, content: string | Buffer): Promise<void> {
  await client.say('MAIL FROM:<x@far.test>').expect(250)
  await client.say('RCPT TO:<ann@home.test>').expect(250)
  await client.say('DATA').expect(354)
  client.write(content)
}

const smuggled =
  'Subject: x\r\n\r\nx\n.\r\nMAIL FROM:<boss@home.test>\r\nRCPT TO:<bob@home.test>\r\nDATA\r\nhidden\r\n.\r\n'

const attacks: [string, string, (client: WireClient) => Promise<unknown> | unknown][] = [
  ['another protocol', 'other-protocol', (client) => client.say('GET / HTTP/1.1', 'Host: x', '')],
  ['another protocol, an old one', 'other-protocol', (client) => client.say('GET /')],
  [
    'binary noise',
    'binary-noise',
    (client) => client.write(`\x00\x01\x02\x03\x04\x05\x06\x07\x08${'\x00\x01'.repeat(20)}\r\n`),
  ],
  ['much binary noise', 'binary-noise', (client) => client.write(randomBytes(50_000)).write('\r\n')],
  ['a flood of garbage', 'command-flood', (client) => client.write('NONSENSE\r\n'.repeat(200))],
  ['a flood of commands', 'command-flood', (client) => client.write('NOOP\r\n'.repeat(500))],
  ['a smuggled message', 'smuggling', (client) => data(client, smuggled)],
]

// [security.autoDenyHackAttempts, security.autoDenyMinutes]
describe('a hack attempt', () => {
  it.each(attacks)('%s: the session ends, the address is kept out with the evidence', async (_name, kind, attack) => {
    const from = stranger()
    const client = await live.greeted({ from })
    await attack(client)
    await client.closed()
    await untilRefused(port(), from)
    const entry = await entryOf(live.postern, from)
    expect(entry).toMatchObject({ createdBy: 'system:security', reason: 'A hack attempt', action: 'deny' })
    expect(entry?.evidence?.[0]).toContain(`smtp-1: ${kind}: `)
    const left = Date.parse(entry?.expiresAt ?? '') - Date.now()
    expect(left).toBeGreaterThan(59 * 60_000)
    expect(left).toBeLessThanOrEqual(60 * 60_000)
    await live.event('address.blocked', ({ address }) => address === from)
  })

  it('by a White-listed client (W) is ignored, until the client is no longer listed', async () => {
    const from = stranger()
    const id = await live.add('white', from)
    const client = await live.greeted({ from })
    await data(client, smuggled)
    // Bare line feeds are rewritten, so the hidden message is part of the one that was sent.
    await client.expect(250)
    client.write('NOOP\r\n'.repeat(500))
    for (let i = 0; i < 500; i++) await client.expect(250)
    expect(await staysOut(live.postern, from)).toBe(true)
    await live.remove('white', id)
    const again = await live.greeted({ from })
    await data(again, smuggled)
    await again.expect(554)
    await untilRefused(port(), from)
  })

  it('from a console address gets the same reply, and blocks nothing', async () => {
    const client = await live.greeted({ from: '127.0.0.1' })
    client.write('NOOP\r\n'.repeat(500))
    await client.closed()
    expect(await staysOut(live.postern, '127.0.0.1')).toBe(true)
  })

  it('autoDenyHackAttempts off: answered as protocol errors; autoDenyMinutes: the length of the block', async () => {
    await live.set('security', { autoDenyHackAttempts: false })
    const from = stranger()
    const client = await live.greeted({ from })
    client.write('NOOP\r\n'.repeat(300))
    for (let i = 0; i < 300; i++) await client.expect(250)
    await data(client, smuggled)
    await client.expect(554, '5.6.0')
    await live.set('security', { autoDenyHackAttempts: true, autoDenyMinutes: 3 })
    expect(await staysOut(live.postern, from)).toBe(true)
    const again = await live.greeted({ from })
    again.say('POST / HTTP/1.1')
    await untilRefused(port(), from)
    expect(Date.parse((await entryOf(live.postern, from))?.expiresAt ?? '') - Date.now()).toBeLessThanOrEqual(180_000)
  })

  it('hidden in a rewritten message is part of its text, and not an attempt', async () => {
    await live.set('advanced', { bareLineFeeds: 'normalize' })
    const from = stranger()
    const client = await live.greeted({ from })
    await data(client, smuggled)
    await client.expect(250)
    await client.say('NOOP').expect(250)
    expect(await staysOut(live.postern, from)).toBe(true)
    // The one of the White-listed client above, and this one.
    for (const mail of await live.arrived('ann@home.test', 2)) expect(mail).toContain('MAIL FROM:<boss@home.test>')
    expect(await live.mail('bob@home.test')).toEqual([])
  })
})

// [security.greetingDelaySeconds, security.autoDenyHackAttempts]
describe('a client that sends before the banner', () => {
  const first = 'EHLO robot.test\r\nMAIL FROM:<x@far.test>\r\n'
  const robot = (from: string) => live.connect({ from, first })

  it('is refused and blocked with reason, evidence and expiry, until the entry is removed', async () => {
    await live.set('security', { greetingDelaySeconds: 8, autoDenyMinutes: 5 })
    const from = stranger()
    const client = await robot(from)
    await client.expect(554, '5.5.1')
    await client.closed()
    await untilRefused(port(), from)
    const refusal = await banner(port(), from)
    const entry = await entryOf(live.postern, from)
    expect(entry).toMatchObject({ createdBy: 'system:security', reason: 'A hack attempt', action: 'deny' })
    expect(entry?.evidence?.[0]).toContain('smtp-1: pregreet: ')
    const left = Date.parse(entry?.expiresAt ?? '') - Date.now()
    expect(left).toBeGreaterThan(4 * 60_000)
    expect(left).toBeLessThanOrEqual(5 * 60_000)
    await live.event('address.blocked', ({ address }) => address === from)
    await live.remove('control-access', String(entry?.id))
    const patient = await live.connect({ from })
    const { afterMs } = await patient.expect(220)
    expect(afterMs).toBeGreaterThan(7_900)
    // At once, and not after the delay.
    expect(refusal.afterMs).toBeLessThan(afterMs)
  })

  it('is not blocked while White-listed (W), and is blocked afterwards', async () => {
    await live.set('security', { greetingDelaySeconds: 1 })
    const from = stranger()
    const id = await live.add('white', from)
    const client = await robot(from)
    for (const code of [220, 250, 250]) await client.expect(code)
    expect(await staysOut(live.postern, from)).toBe(true)
    await live.remove('white', id)
    await (await robot(from)).expect(554, '5.5.1')
    await untilRefused(port(), from)
  })

  it('is only refused with autoDenyHackAttempts off, and only recorded with pregreet watched', async () => {
    await live.set('security', { greetingDelaySeconds: 1, autoDenyHackAttempts: false })
    const refused = stranger()
    await (await robot(refused)).expect(554, '5.5.1')
    await live.set('security', { autoDenyHackAttempts: true, watch: ['pregreet'] })
    expect(await staysOut(live.postern, refused)).toBe(true)
    const watched = stranger()
    const client = await robot(watched)
    for (const code of [220, 250, 250]) await client.expect(code)
    expect(await staysOut(live.postern, watched)).toBe(true)
  })
})

describe('not an attempt:', () => {
  it.each<[string, (client: WireClient) => Promise<unknown>]>([
    [
      'an old client that sends bare LF',
      async (client) => {
        await data(client, 'Subject: x\n\nold\n.\nand honest\n\r\n.\r\n')
        await client.expect(554, '5.6.0')
      },
    ],
    [
      'a NUL in a message',
      async (client) => {
        await data(client, 'Subject: x\r\n\r\na\0b\r\n.\r\n')
        await client.expect(554, '5.6.0')
      },
    ],
    ['a stray control character in a command', (client) => client.say('\x01\x02NOOP').expect(500)],
    [
      'a TLS handshake on the plain port',
      async (client) => {
        client.write(
          Buffer.concat([Buffer.from('1603010200010001fc0303', 'hex'), randomBytes(400), Buffer.from('\r\n')]),
        )
        await client.reply()
      },
    ],
    ['a PROXY header', (client) => client.say('PROXY TCP4 192.0.2.1 127.0.0.1 1 2').expect(421)],
    [
      'mail about SMTP',
      async (client) => {
        await data(client, 'Subject: x\r\n\r\nSay\r\n..\r\nMAIL FROM:<x@y>\r\n.\r\n')
        await client.expect(250)
      },
    ],
    [
      'many messages in one session',
      async (client) => {
        for (let i = 0; i < 250; i++)
          client
            .say('RSET', 'MAIL FROM:<x@far.test>', 'RCPT TO:<ann@home.test>', 'DATA')
            .write('Subject: x\r\n\r\n.\r\n')
        for (let i = 0; i < 250 * 5; i++) await client.expect([250, 354])
      },
    ],
  ])('%s', async (_name, honest) => {
    const from = stranger()
    const client = await live.greeted({ from })
    await honest(client)
    expect(await staysOut(live.postern, from)).toBe(true)
    expect((await banner(port(), from)).code).toBe(220)
  })
})
