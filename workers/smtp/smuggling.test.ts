import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { entry, type House, openHouse } from './test/receiver-harness.ts'
import { WireClient } from './test/wire-client.ts'

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
  const client = await WireClient.greeted(port)
  await client.upToData()
  const text = Buffer.from(`Subject: first\r\n\r\nfirst${falseEnd}${second}`, 'latin1')
  const places = [...new Set(cuts.map((cut) => cut % text.length))].sort((a, b) => a - b)
  let from = 0
  for (const to of [...places, text.length]) {
    if (to === from || client.closed) continue
    client.write(text.subarray(from, to))
    from = to
    await new Promise((done) => setImmediate(done))
  }
  // The first answer may take its time on a busy machine; a second one would come with it.
  const answers = `${await client.reply(10_000)}\r\n${await client.rest(60)}`
  client.end()
  return answers
}

describe('end-of-data smuggling', () => {
  let house: House
  beforeAll(async () => {
    house = await openHouse()
  })
  afterAll(() => house.close())
  beforeEach(() => {
    house.events.length = 0
  })

  it.each(falseEnds)('%s: one message or none, and nothing behind a refused one is done', async (name, falseEnd) => {
    const answers = await attack(house.port(), falseEnd, [])
    expect(house.of('message.accepted')).toHaveLength(0)
    expect(answers).toMatch(name.includes('NUL') ? /^554 5\.6\.0 (NUL|Bare)/ : /^554 5\.6\.0 Bare/)
    expect(answers.split('\r\n').filter((line) => line !== '')).toHaveLength(1)
    const [refused] = house.of('message.refused')
    expect(refused?.verdict.rule).toMatch(/bare-line-feed|nul-octet/)
  })

  it('holds for every variant over random packets', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...falseEnds),
        fc.array(fc.nat(300), { maxLength: 20 }),
        async ([, falseEnd], cuts) => {
          house.events.length = 0
          const answers = await attack(house.port(), falseEnd, cuts)
          expect(house.of('message.accepted')).toHaveLength(0)
          expect(answers).toMatch(/^554 5\.6\.0 [^\r\n]*\r\n$/)
        },
      ),
      { numRuns: 60 },
    )
  }, 60_000)

  it('closes the connection after the refusal', async () => {
    const client = await WireClient.greeted(house.port())
    await client.upToData()
    client.write('a\nb\r\n.\r\nNOOP\r\nNOOP\r\n')
    expect(await client.untilClosed()).toMatch(/^554 5\.6\.0 [^\r\n]*\r\n$/)
  })

  it('closes it after NUL too', async () => {
    const client = await WireClient.greeted(house.port())
    await client.upToData()
    client.write('a\0b\r\n.\r\nNOOP\r\n')
    expect(await client.untilClosed()).toMatch(/^554 5\.6\.0 NUL[^\r\n]*\r\n$/)
  })
})

describe('the White List and bareLineFeeds: normalize', () => {
  it.each([
    ['a White-listed client', { rows: [entry('white', '127.0.0.1')] }],
    ['the setting', { settings: { advanced: { bareLineFeeds: 'normalize' as const } } }],
  ])('%s: one message, every line in CRLF, the false end a line of text', async (_name, change) => {
    const house = await openHouse(change)
    for (const [name, falseEnd] of falseEnds) {
      // NUL is refused to everybody; CR CRLF.CRLF holds the true end.
      if (name.includes('NUL') || name === 'CRCRLF.CRLF') continue
      house.events.length = 0
      await attack(house.port(), falseEnd, [3, 40, 41, 42])
      // The second message is text of the first, which ends where CRLF.CRLF is, and there only.
      expect(house.of('message.accepted')).toHaveLength(1)
    }
    for (const { body } of await house.stored()) {
      expect(body).not.toMatch(/\r(?!\n)|(?<!\r)\n/)
      expect(body).toContain('MAIL FROM:<boss@example.test>')
    }
    await house.close()
  })
})
