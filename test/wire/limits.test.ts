import { describe, expect, it } from 'vitest'
import { homeDomain, livePostern } from './live.ts'

/** Proves [advanced.commandTimeoutSeconds, advanced.dataTimeoutSeconds]. */

const live = livePostern({ prepare: homeDomain })

/** Returns a message of exactly this size on the wire, without the end of data. */
function messageOf(bytes: number): string {
  const head = 'Subject: sized\r\n\r\n'
  const line = `${'x'.repeat(76)}\r\n`
  const rest = bytes - head.length
  const lines = line.repeat(Math.floor(rest / 78) - 1)
  const last = rest - lines.length
  return `${head}${lines}${'y'.repeat(last - 2)}\r\n`
}

async function inData() {
  const client = await live.greeted()
  await client.say('MAIL FROM:<x@far.test>').expect(250)
  await client.say('RCPT TO:<ann@home.test>').expect(250)
  await client.say('DATA').expect(354)
  return client
}

describe('maxMessageBytes (RFC 1870)', () => {
  it('is in EHLO, is enforced on the declared and the actual size, and may change in an open session', async () => {
    const client = await live.connect()
    expect((await client.hello()).get('SIZE')).toBe('26214400')
    await live.set('general', { maxMessageBytes: 5000 })
    expect((await client.ehlo()).get('SIZE')).toBe('5000')
    await client.say('MAIL FROM:<x@far.test> SIZE=5001').expect(552, '5.3.4')
    await client.say('MAIL FROM:<x@far.test> SIZE=5000').expect(250)
    await client.say('RCPT TO:<ann@home.test>').expect(250)
    await client.say('DATA').expect(354)
    await client.write(`${messageOf(5001)}.\r\n`).expect(552, '5.3.4')
    await client.mail({ from: 'x@far.test', to: 'ann@home.test', content: messageOf(5000) })
    await live.set('general', { maxMessageBytes: 0 })
    expect((await client.ehlo()).get('SIZE')).toBe('0')
    await client.mail({ from: 'x@far.test', to: 'ann@home.test', content: messageOf(300_000) })
  })

  it('a message that is far too large is read to its end, refused, and takes no space', async () => {
    await live.set('general', { maxMessageBytes: 1000 })
    const client = await inData()
    for (let i = 0; i < 40; i++) client.write(`${'z'.repeat(998)}\r\n`.repeat(100))
    await client.write('.\r\n').expect(552, '5.3.4')
    await client.mail({ from: 'x@far.test', to: 'ann@home.test', content: 'Subject: after it\r\n' })
    const refused = await live.event('message.refused', ({ size }) => size === 4_000_000)
    expect(refused).toMatchObject({ recipients: ['ann@home.test'], verdict: { rule: 'message-size' } })
  })
})

describe('maxRecipients', () => {
  it('452 4.5.3 above it, the other recipients are kept, and EHLO has the limit', async () => {
    await live.set('advanced', { maxRecipients: 2 })
    const client = await live.connect()
    expect((await client.hello()).get('LIMITS')).toContain('RCPTMAX=2')
    await client.say('MAIL FROM:<x@far.test>').expect(250)
    await client.say('RCPT TO:<ann@home.test>').expect(250)
    await client.say('RCPT TO:<nobody@home.test>').expect(550)
    await client.say('RCPT TO:<bob@home.test>').expect(250)
    await client.say('RCPT TO:<ann+two@home.test>').expect(452, '4.5.3')
    await client.say('DATA').expect(354)
    await client.write('Subject: two of three\r\n\r\n.\r\n').expect(250)
    await live.set('advanced', { maxRecipients: 0 })
    const extensions = await client.ehlo()
    expect(extensions.get('LIMITS') ?? '').not.toContain('RCPTMAX')
    await client.say('MAIL FROM:<x@far.test>').expect(250)
    for (let i = 0; i < 50; i++) await client.say(`RCPT TO:<ann+${i}@home.test>`).expect(250)
  })
})

describe('bareLineFeeds', () => {
  const bare = ['one\ntwo\r\n', 'one\rtwo\r\n', 'one\r\r\n']

  it.each(bare)('reject: 554 5.6.0 and close: %j', async (content) => {
    const client = await inData()
    await client.write(`${content}.\r\n`).expect(554, '5.6.0')
    expect(await client.closed()).toBeDefined()
  })

  it('normalize: stored with CRLF, otherwise unchanged', async () => {
    await live.set('advanced', { bareLineFeeds: 'normalize' })
    const before = (await live.mail('ann@home.test')).length
    for (const content of bare) await (await inData()).write(`Subject: n\r\n\r\n${content}.\r\n`).expect(250)
    const mail = (await live.arrived('ann@home.test', before + bare.length)).slice(before)
    for (const text of mail) expect(text).not.toMatch(/\r(?!\n)|(?<!\r)\n/)
    expect(mail.some((text) => text.includes('one\r\ntwo\r\n'))).toBe(true)
  })

  it('White-listed clients are normalized while others are refused', async () => {
    await live.add('white', '127.0.0.60')
    const before = (await live.mail('ann@home.test')).length
    const white = await live.greeted({ from: '127.0.0.60' })
    await white.say('MAIL FROM:<x@far.test>').expect(250)
    await white.say('RCPT TO:<ann@home.test>').expect(250)
    await white.say('DATA').expect(354)
    await white.write('Subject: white\r\n\r\na\nb\r\n.\r\n').expect(250)
    expect((await live.arrived('ann@home.test', before + 1)).at(-1)).toContain('a\r\nb\r\n')
    const other = await inData()
    await other.write('a\nb\r\n.\r\n').expect(554, '5.6.0')
  })

  it('watched, the rule lets it through, rewritten', async () => {
    await live.set('security', { watch: ['bare-line-feed'] })
    const before = (await live.mail('ann@home.test')).length
    await (await inData()).write('Subject: watched\r\n\r\na\nb\r\n.\r\n').expect(250)
    expect((await live.arrived('ann@home.test', before + 1)).at(-1)).toContain('a\r\nb\r\n')
  })
})

describe('timeouts', () => {
  it('commandTimeoutSeconds: 421 4.4.2 and close, also for open sessions', async () => {
    const open = await live.greeted()
    // Both open sessions must still say something after the change, also on a machine with other work.
    await live.set('advanced', { commandTimeoutSeconds: 5 })
    await open.say('NOOP').expect(250)
    const reply = await open.expect(421, '4.4.2')
    expect(reply.afterMs).toBeGreaterThan(4_900)
    expect(reply.afterMs).toBeLessThan(20_000)
    expect(await open.closed()).toBe('closed')
    const silent = await live.connect()
    await silent.expect(220)
    await silent.expect(421, '4.4.2')
    // The open session applied it as well.
    await live.held.expect(421, '4.4.2')
    await live.hold()
    await live.set('advanced', { commandTimeoutSeconds: 300 })
    await live.hold()
  })

  it('dataTimeoutSeconds: silence within a message is 421 4.4.2, and no part of it is stored', async () => {
    await live.set('advanced', { dataTimeoutSeconds: 1 })
    const client = await inData()
    const reply = await client.write('Subject: half\r\n\r\nhalf').expect(421, '4.4.2')
    expect(reply.afterMs).toBeLessThan(20_000)
    expect(await client.closed()).toBe('closed')
    await live.event('session.error', ({ reason }) => reason === 'timeout')
  })
})

it('too many hops is a loop: 554 5.4.6', async () => {
  const client = await inData()
  const received = 'Received: from a.test by b.test; Sun, 22 Nov 2026 00:00:00 +0000\r\n'
  await client.write(`${received.repeat(101)}Subject: round\r\n\r\n.\r\n`).expect(554, '5.4.6')
  await client.mail({ from: 'x@far.test', to: 'ann@home.test', content: `${received.repeat(99)}Subject: far\r\n` })
})

it('the books balance after all of it', async () => {
  expect((await live.postern.quiet()).total.balance).toBe(0)
})
