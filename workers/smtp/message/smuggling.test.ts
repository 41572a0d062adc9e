import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { entry, startTestReceiver, type TestReceiver } from '../test/receiver-harness.ts'
import { pastBanner } from '../test/wire-client.ts'

/** What a smuggler hides behind a false end of data: a whole second message, and the goodbye. */
const second = [
  'MAIL FROM:<boss@example.test>',
  'RCPT TO:<jane@example.test>',
  'DATA',
  'Subject: smuggled',
  '',
  'smuggled',
  '.',
  'QUIT',
  '',
].join('\r\n')

const falseEnds: [string, string][] = [
  ['LF.LF', '\n.\n'],
  ['LF.CRLF', '\n.\r\n'],
  ['CRLF.LF', '\r\n.\n'],
  ['CR.CRLF', '\r.\r\n'],
  ['CRLF.CR', '\r\n.\r'],
  ['CR.CR', '\r.\r'],
  ['CR.LF', '\r.\n'],
  ['LF.CR', '\n.\r'],
  ['CRLF.CRCRLF', '\r\n.\r\r\n'],
  ['CRCRLF.CRLF', '\r\r\n.\r\n'],
  ['CRLF NUL.CRLF', '\r\n\0.\r\n'],
  ['CRLF.NUL CRLF', '\r\n.\0\r\n'],
  ['NUL alone', '\r\n\0\r\n'],
]

/** Sends the first message with the false end, the second one behind it, and the true end; cut into packets. */
async function attack(port: number, falseEnd: string, cuts: readonly number[]): Promise<string> {
  const client = await pastBanner({ port })
  await client.upToData()
  const text = Buffer.from(`Subject: first\r\n\r\nfirst${falseEnd}${second}`, 'latin1')
  const places = [...new Set(cuts.map((cut) => cut % text.length))].sort((a, b) => a - b)
  let from = 0
  for (const to of [...places, text.length]) {
    if (to === from || !client.open) continue
    client.write(text.subarray(from, to))
    from = to
    await new Promise((done) => setImmediate(done))
  }
  // The first answer may take its time on a busy machine; a second one would come with it.
  const answers = `${await client.text()}\r\n${await client.rest(60)}`
  client.destroy()
  return answers
}

describe('end-of-data smuggling', () => {
  let receiver: TestReceiver
  beforeAll(async () => {
    receiver = await startTestReceiver()
  })
  afterAll(() => receiver.close())
  beforeEach(() => {
    receiver.events.length = 0
  })

  it.each(falseEnds)('%s: one message or none, and nothing behind a refused one is done', async (name, falseEnd) => {
    const answers = await attack(receiver.port(), falseEnd, [])
    expect(receiver.of('message.accepted')).toHaveLength(0)
    expect(answers).toMatch(name.includes('NUL') ? /^554 5\.6\.0 (NUL|Bare)/ : /^554 5\.6\.0 Bare/)
    // Then 421; or, where a NUL alone was in it, the goodbye that stands behind the true end.
    expect(answers).toMatch(/^554 [^\r\n]*\r\n(?:421|221) [^\r\n]*\r\n$/)
    expect(answers.includes('\r\n221')).toBe(name === 'NUL alone')
    const [refused] = receiver.of('message.refused')
    expect(refused?.verdict.rule).toMatch(/bare-line-feed|nul-octet/)
  })

  it('holds for every variant over random packets', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...falseEnds),
        fc.array(fc.nat(300), { maxLength: 20 }),
        async ([, falseEnd], cuts) => {
          receiver.events.length = 0
          const answers = await attack(receiver.port(), falseEnd, cuts)
          expect(receiver.of('message.accepted')).toHaveLength(0)
          expect(answers).toMatch(/^554 5\.6\.0 [^\r\n]*\r\n(?:421|221) [^\r\n]*\r\n$/)
        },
      ),
      { numRuns: 60 },
    )
  }, 60_000)

  it('says 421 after the refusal and closes (RFC 5321 §3.8)', async () => {
    const client = await pastBanner({ port: receiver.port() })
    await client.upToData()
    client.write('a\nb\r\n.\r\nNOOP\r\nNOOP\r\n')
    expect(await client.untilClosed()).toMatch(/^554 5\.6\.0 [^\r\n]*\r\n421 4\.7\.0 mx\.test closing connection\r\n$/)
  })

  it('goes on after NUL: the end of the data is clear, and the next message is taken', async () => {
    const client = await pastBanner({ port: receiver.port() })
    expect(await client.send('a\0b\r\n')).toMatch(/^554 5\.6\.0 NUL/)
    expect(await client.send('innocent\r\n')).toMatch(/^250 2\.0\.0 Accepted/)
    client.destroy()
  })

  it('the next message of a session that is refused reads 421, and no reset takes the replies', async () => {
    const client = await pastBanner({ port: receiver.port() })
    await client.upToData()
    const next = 'MAIL FROM:<a@remote.test>\r\n'
    client.write(`a\nb\r\n.\r\n${next.repeat(2_000)}`)
    expect(await client.text()).toMatch(/^554 5\.6\.0 Bare/)
    client.write(next.repeat(2_000))
    expect(await client.text()).toMatch(/^421 4\.7\.0 /)
    expect(await client.untilClosed()).toBe('')
  })
})

describe('the White List and bareLineFeeds: normalize', () => {
  it.each([
    ['a White-listed client', { rows: [entry('white', '127.0.0.1')] }],
    ['the setting', { settings: { advanced: { bareLineFeeds: 'normalize' as const } } }],
  ])('%s: one message, every line in CRLF, the false end a line of text', async (_name, change) => {
    const receiver = await startTestReceiver(change)
    for (const [name, falseEnd] of falseEnds) {
      // NUL is refused to everybody; CR CRLF.CRLF holds the true end.
      if (name.includes('NUL') || name === 'CRCRLF.CRLF') continue
      receiver.events.length = 0
      await attack(receiver.port(), falseEnd, [3, 40, 41, 42])
      // The second message is text of the first, which ends where CRLF.CRLF is, and there only.
      expect(receiver.of('message.accepted')).toHaveLength(1)
    }
    for (const { body } of await receiver.stored()) {
      expect(body).not.toMatch(/\r(?!\n)|(?<!\r)\n/)
      expect(body).toContain('MAIL FROM:<boss@example.test>')
    }
    await receiver.close()
  })
})
