import { describe, expect, it } from 'vitest'
import { homeDomain, livePostern } from './live.ts'

const live = livePostern({
  prepare: async (live) => {
    await homeDomain(live)
    await live.make('accounts', { address: 'victim@home.test', secret: 'a password that is long' })
  },
})

const ends = {
  'LF.LF': '\n.\n',
  'LF.CRLF': '\n.\r\n',
  'CRLF.LF': '\r\n.\n',
  'CR.CRLF': '\r.\r\n',
  'CRLF.CR': '\r\n.\r',
  'CR.CR': '\r.\r',
  'CR.LF': '\r.\n',
  'LF.CR': '\n.\r',
  'CRLF.CRCRLF': '\r\n.\r\r\n',
  'CRCRLF.CRLF': '\r\r\n.\r\n',
  'LFCR.CRLF': '\n\r.\r\n',
  'CRLF.NULCRLF': '\r\n.\0\r\n',
  'CRLF NUL.CRLF': '\r\n\0.\r\n',
  'NUL alone': '\0',
}

/** The hidden commands. All of it is text of the first message, or is refused. */
const hidden =
  'MAIL FROM:<boss@home.test>\r\nRCPT TO:<victim@home.test>\r\nDATA\r\nSubject: smuggled\r\n\r\nsmuggled\r\n.\r\nQUIT\r\n'

/** Where the packets end: all in one, before and after each byte of the false end, and byte by byte around it. */
function cuts(head: string, end: string): number[][] {
  const at = [...end, ''].map((_, i) => head.length + i)
  return [[], ...at.map((offset) => [offset]), at]
}

async function send(from: string, end: string, at: (head: string) => number[]) {
  const client = await live.greeted({ from })
  await client.say('MAIL FROM:<x@far.test>').expect(250)
  await client.say('RCPT TO:<ann@home.test>').expect(250)
  await client.say('DATA').expect(354)
  const head = 'Subject: first\r\n\r\nfirst'
  await client.writeSplit(`${head}${end}${hidden}`, at(head), 2)
  const replies = []
  // Every variant ends: refused and closed, or accepted and then QUIT.
  const first = await client.reply()
  replies.push(first)
  await client.closed()
  while (client.pending > 0) replies.push(await client.reply())
  return replies
}

describe('end of data (RFC 5321)', () => {
  it.each(Object.entries(ends))('%s: refused, nothing behind it is executed, in every split', async (name, end) => {
    const before = (await live.mail('ann@home.test')).length
    for (const at of cuts('Subject: first\r\n\r\nfirst', end)) {
      const replies = await send('127.0.0.1', end, () => at)
      expect(replies.map(({ raw }) => raw)).toEqual([
        expect.stringMatching(/^554 5\.6\.0 /),
        // 421, or the goodbye behind the true end where a NUL alone was refused.
        expect.stringMatching(name === 'NUL alone' ? /^221 / : /^421 4\.7\.0 /),
      ])
    }
    await live.postern.quiet()
    expect(await live.mail('ann@home.test')).toHaveLength(before)
    expect(await live.mail('victim@home.test')).toHaveLength(0)
  })

  it('normalized, each is one message, with the hidden part as its text', async () => {
    await live.set('advanced', { bareLineFeeds: 'normalize' })
    const variants = Object.entries(ends).filter(
      ([name]) => !name.includes('NUL') && name !== 'CRCRLF.CRLF' && name !== 'LFCR.CRLF',
    )
    let sent = (await live.mail('ann@home.test')).length
    for (const [name, end] of variants) {
      const client = await live.greeted()
      await client.say('MAIL FROM:<x@far.test>').expect(250)
      await client.say('RCPT TO:<ann@home.test>').expect(250)
      await client.say('DATA').expect(354)
      await client.writeSplit(`Subject: ${name}\r\n\r\nfirst${end}${hidden}`, [30, 31, 32], 1)
      await client.expect(250, '2.0.0')
      await client.expect(221)
      const mail = (await live.arrived('ann@home.test', ++sent)).find((text) => text.includes(`Subject: ${name}\r\n`))
      expect(mail).toContain('MAIL FROM:<boss@home.test>\r\n')
      expect(mail).not.toMatch(/\r(?!\n)|(?<!\r)\n/)
    }
    expect(await live.mail('victim@home.test')).toHaveLength(0)
  })

  it('the real end of data, however split, gives one message with dots unstuffed', async () => {
    const text = 'Subject: true\r\n\r\n..stuffed\r\n...\r\nlast\r\n.\r\n'
    let count = (await live.mail('ann@home.test')).length
    for (let at = text.length - 6; at <= text.length - 1; at++) {
      const client = await live.greeted()
      await client.say('MAIL FROM:<x@far.test>').expect(250)
      await client.say('RCPT TO:<ann@home.test>').expect(250)
      await client.say('DATA').expect(354)
      await client.writeSplit(text, [at, at + 1], 2)
      await client.expect(250)
      await client.quit()
      count++
    }
    for (const mail of (await live.arrived('ann@home.test', count)).slice(-6))
      expect(mail).toMatch(/\r\n\.stuffed\r\n\.\.\r\nlast\r\n$/)
  })

  it('the refusal is an event with its rule', async () => {
    await send('127.0.0.90', '\n.\n', () => [])
    const refused = await live.event('message.refused', ({ client }) => (client as { ip: string }).ip === '127.0.0.90')
    expect(refused.verdict).toMatchObject({ rule: 'bare-line-feed', reason: 'bare-line-feed' })
  })
})

describe('commands after a change to TLS or a refusal', () => {
  it('a command line that ends in a bare LF is refused and not executed', async () => {
    const client = await live.greeted()
    client.write('MAIL FROM:<x@far.test>\nRCPT TO:<ann@home.test>\r\n')
    const replies = [await client.reply()]
    await client.say('NOOP').reply()
    expect(replies[0]?.code).toBeGreaterThanOrEqual(500)
  })
})
