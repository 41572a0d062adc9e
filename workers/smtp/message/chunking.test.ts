import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { startTestReceiver, type TestReceiver } from '../test/receiver-harness.ts'
import { pastBanner, type WireClient } from '../test/wire-client.ts'

let receiver: TestReceiver
beforeAll(async () => {
  receiver = await startTestReceiver({ settings: { advanced: { maxConnectionsPerAddress: 0 } } })
})
afterAll(() => receiver.close())
beforeEach(() => {
  receiver.events.length = 0
})

const envelope = ['MAIL FROM:<sam@remote.test>', 'RCPT TO:<jane@example.test>']

/** Greeted, with an envelope whose message is to come. */
async function ready(at = receiver): Promise<WireClient> {
  const client = await pastBanner({ port: at.port() })
  for (const line of ['EHLO client.test', ...envelope]) expect(await client.answer(line)).toMatch(/^250/)
  return client
}

async function chunk(client: WireClient, text: string, last = false): Promise<string | null> {
  const bytes = Buffer.from(text, 'latin1')
  client.write(Buffer.concat([Buffer.from(`BDAT ${bytes.length}${last ? ' LAST' : ''}\r\n`), bytes]))
  return client.text()
}

/** Without our trace fields. */
/** Below our trace and the fields that a submission gets. */
async function bodies(at = receiver): Promise<string[]> {
  return (await at.stored()).map(({ body }) =>
    body
      .replace(/^Received:(?:[^\r]|\r\n[ \t])*\r\n/, '')
      .replace(/^Date: [^\r]*\r\nMessage-ID: <[^\r]*@mx\.test>\r\n/, ''),
  )
}

/** What has no header is all body, behind the empty line that says so. */
function bordered(text: string): string {
  return /^(?:[!-9;-~]+[ \t]*:|\r\n)/.test(text) ? text : `\r\n${text}`
}

describe('RFC 3030 CHUNKING', () => {
  it('takes a message in chunks, wherever they are cut, dots as they are', async () => {
    const client = await ready()
    expect(await chunk(client, 'Subject: one\r\n\r\n.dot\r')).toBe('250 2.0.0 21 octets received')
    expect(await chunk(client, '\n.\r\n..\r\n')).toBe('250 2.0.0 8 octets received')
    expect(await chunk(client, 'end\r\n', true)).toMatch(/^250 2\.0\.0 Accepted as /)
    expect((await bodies()).at(-1)).toBe('Subject: one\r\n\r\n.dot\r\n.\r\n..\r\nend\r\n')
    expect(await client.answer('NOOP')).toBe('250 2.0.0 OK')
    client.destroy()
  })

  it('BDAT 0 LAST ends the message, BDAT 0 is a chunk, and an empty message is one', async () => {
    const client = await ready()
    expect(await chunk(client, '')).toBe('250 2.0.0 0 octets received')
    expect(await chunk(client, 'a\r\n')).toMatch(/^250/)
    expect(await chunk(client, '', true)).toMatch(/^250 2\.0\.0 Accepted/)
    for (const line of envelope) await client.answer(line)
    expect(await chunk(client, '', true)).toMatch(/^250 2\.0\.0 Accepted/)
    expect((await bodies()).slice(-2)).toEqual(['\r\na\r\n', '\r\n'])
    client.destroy()
  })

  it('a last line without CRLF gets one, so that DATA can carry it on', async () => {
    const client = await ready()
    expect(await chunk(client, 'no end', true)).toMatch(/^250/)
    expect((await bodies()).at(-1)).toBe('\r\nno end\r\n')
    client.destroy()
  })

  it('envelope, chunks and goodbye in one packet are answered in order', async () => {
    const client = await pastBanner({ port: receiver.port() })
    const lines = ['EHLO c.test', ...envelope, 'BDAT 6', 'QUIT\r\nBDAT 6 LAST', 'NOOP\r\nQUIT', '']
    client.write(lines.join('\r\n'))
    const answers = (await client.untilClosed()).split('\r\n').filter((line) => /^\d{3} /.test(line))
    expect(answers.map((line) => line.slice(0, 3))).toEqual(['250', '250', '250', '250', '250', '221'])
    expect((await bodies()).at(-1)).toBe('\r\nQUIT\r\nNOOP\r\n')
  })

  it.each([
    ['before EHLO', [], /^503 5\.5\.1 Send HELO/],
    ['before MAIL', ['EHLO c.test'], /^503 5\.5\.1 .*MAIL first/],
    [
      'with every recipient refused',
      ['EHLO c.test', envelope[0], 'RCPT TO:<nobody@example.test>'],
      /^554 5\.5\.1 No valid/,
    ],
    ['after RSET', ['EHLO c.test', ...envelope, 'BDAT 3\r\na', 'RSET'], /^503 5\.5\.1 .*MAIL first/],
  ])('%s it is refused, and its bytes are no commands', async (_name, before, expected) => {
    const client = await pastBanner({ port: receiver.port() })
    for (const line of before) await client.answer(line as string)
    expect(await chunk(client, 'RCPT TO:<jane@example.test>\r\nQUIT\r\n', true)).toMatch(expected)
    expect(await client.answer('NOOP')).toBe('250 2.0.0 OK')
    expect(receiver.of('message.accepted')).toHaveLength(0)
    client.destroy()
  })

  it('DATA and BDAT are not mixed: 503, and the half message is gone', async () => {
    const client = await ready()
    expect(await chunk(client, 'half\r\n')).toMatch(/^250/)
    expect(await client.answer('RCPT TO:<jane@example.test>')).toMatch(/^503 5\.5\.1 /)
    expect(await client.answer('DATA')).toMatch(/^503 5\.5\.1 .*BDAT/)
    expect(await chunk(client, 'rest\r\n', true)).toMatch(/^503 /)
    expect(receiver.of('message.accepted')).toHaveLength(0)
    for (const line of envelope) expect(await client.answer(line)).toMatch(/^250/)
    expect(await chunk(client, 'whole\r\n', true)).toMatch(/^250/)
    expect((await bodies()).at(-1)).toBe('\r\nwhole\r\n')
    client.destroy()
  })

  it.each([
    'BDAT',
    'BDAT x',
    'BDAT -1',
    'BDAT 5 FIRST',
    'BDAT 5  LAST',
    `BDAT ${'9'.repeat(20)}`,
    `BDAT ${'0'.repeat(22)}`,
  ])('a count that cannot be read ends the connection: %s', async (line) => {
    const client = await ready()
    client.write(`${line}\r\nNOOP\r\nNOOP\r\n`)
    expect(await client.untilClosed()).toMatch(/^501 5\.5\.4 [^\r\n]*\r\n421 4\.7\.0 [^\r\n]*\r\n$/)
  })

  it('BINARYMIME is neither offered nor taken', async () => {
    const client = await pastBanner({ port: receiver.port() })
    const hello = await client.answer('EHLO c.test')
    expect(hello).toContain('CHUNKING')
    expect(hello).not.toContain('BINARYMIME')
    expect(await client.answer('MAIL FROM:<sam@remote.test> BODY=BINARYMIME')).toMatch(/^501 5\.5\.4 /)
    client.destroy()
  })

  it.each([
    ['a bare LF', 'a\nb\r\n'],
    ['a bare CR', 'a\rb\r\n'],
    ['a CR at the end', 'a\r\nb\r'],
    ['a false end of data', 'a\n.\r\nMAIL FROM:<boss@example.test>\r\n'],
  ])('%s is refused as after DATA, and the connection ends with 421', async (_name, bytes) => {
    const client = await ready()
    client.write(`BDAT ${bytes.length} LAST\r\n${bytes}NOOP\r\n`)
    expect(await client.untilClosed()).toMatch(/^554 5\.6\.0 [^\r\n]*\r\n421 4\.7\.0 [^\r\n]*\r\n$/)
    expect(receiver.of('message.refused')).toHaveLength(1)
    expect(receiver.of('message.accepted')).toHaveLength(0)
  })

  it('NUL is refused, and the session goes on: where the chunk ends is clear', async () => {
    const client = await ready()
    expect(await chunk(client, 'a\0b\r\n')).toMatch(/^554 5\.6\.0 NUL/)
    for (const line of envelope) expect(await client.answer(line)).toMatch(/^250/)
    expect(await chunk(client, 'a\0b\r\n', true)).toMatch(/^554 5\.6\.0 NUL/)
    for (const line of envelope) expect(await client.answer(line)).toMatch(/^250/)
    expect(await chunk(client, 'innocent\r\n', true)).toMatch(/^250/)
    client.destroy()
  })

  it('what is wrong with an early chunk is said at once', async () => {
    const client = await ready()
    expect(await chunk(client, 'a\nb\r\n')).toMatch(/^554 5\.6\.0 Bare/)
    expect(await client.untilClosed()).toMatch(/^421 4\.7\.0 [^\r\n]*\r\n$/)
  })

  it('normalize rewrites bare CR and LF over the borders of chunks', async () => {
    const lax = await startTestReceiver({ settings: { advanced: { bareLineFeeds: 'normalize' } } })
    const client = await ready(lax)
    for (const bytes of ['a\r', '\n.\n', 'b\r', 'c']) expect(await chunk(client, bytes)).toMatch(/^250/)
    expect(await chunk(client, '\r', true)).toMatch(/^250 2\.0\.0 Accepted/)
    expect((await bodies(lax)).at(-1)).toBe('\r\na\r\n.\r\nb\r\nc\r\n')
    client.destroy()
    await lax.close()
  })

  it('the size limit holds over all chunks, and the session lives', async () => {
    const small = await startTestReceiver({ settings: { general: { maxMessageBytes: 1000 } } })
    const client = await ready(small)
    expect(await chunk(client, `${'x'.repeat(598)}\r\n`)).toMatch(/^250/)
    expect(await chunk(client, `${'x'.repeat(598)}\r\n`)).toMatch(/^552 5\.3\.4 /)
    expect(await chunk(client, 'x\r\n', true)).toMatch(/^503 /)
    for (const line of envelope) expect(await client.answer(line)).toMatch(/^250/)
    expect(await chunk(client, `${'x'.repeat(998)}\r\n`, true)).toMatch(/^250/)
    client.write(`BDAT ${1 << 30} LAST\r\n`)
    expect(await client.untilClosed()).toMatch(/^552 5\.3\.4 /)
    expect(await small.stored()).toHaveLength(1)
    await small.close()
  })

  it('a large message flows to disk in chunks', async () => {
    const line = `${'y'.repeat(98)}\r\n`
    const client = await ready()
    for (let i = 0; i < 20; i++) expect(await chunk(client, line.repeat(2000))).toMatch(/^250/)
    expect(await chunk(client, '', true)).toMatch(/^250/)
    expect((await bodies()).at(-1)).toBe(bordered(line.repeat(40_000)))
    client.destroy()
  })

  it('a client that goes away within a chunk leaves nothing', async () => {
    const client = await ready()
    client.write('BDAT 100 LAST\r\nhalf')
    await client.rest(50)
    client.destroy()
    const other = await ready()
    expect(await other.answer('NOOP')).toMatch(/^250/)
    other.destroy()
    expect(receiver.of('message.accepted')).toHaveLength(0)
  })

  it('holds over random chunks in random packets: what is stored is what was sent', async () => {
    const piece = fc.constantFrom(
      '.',
      '\r\n',
      '\r\n.\r\n',
      'QUIT\r\n',
      'BDAT 5 LAST\r\n',
      'x',
      'MAIL FROM:<a@b.c>\r\n',
      '\xe9',
    )
    const text = fc.array(piece, { maxLength: 30 }).map((pieces) => pieces.join(''))
    const client = await ready()
    await fc.assert(
      fc.asyncProperty(
        fc.array(text, { minLength: 1, maxLength: 6 }),
        fc.array(fc.nat(400), { maxLength: 30 }),
        async (chunks, cuts) => {
          const lines = chunks.map(
            (bytes, i) => `BDAT ${bytes.length}${i === chunks.length - 1 ? ' LAST' : ''}\r\n${bytes}`,
          )
          const wire = Buffer.from(lines.join(''), 'latin1')
          const places = [...new Set(cuts.map((cut) => cut % wire.length))].sort((a, b) => a - b)
          let from = 0
          for (const to of [...places, wire.length]) {
            if (to > from) client.write(wire.subarray(from, to))
            from = to
            await new Promise((done) => setImmediate(done))
          }
          for (const _ of chunks) expect(await client.text()).toMatch(/^250 /)
          const sent = chunks.join('')
          const whole = sent === '' || sent.endsWith('\r\n') ? sent : `${sent}\r\n`
          sizes.push([whole.length, sent.length])
          texts.push(whole)
          for (const line of envelope) expect(await client.answer(line)).toMatch(/^250/)
        },
      ),
      { numRuns: 80 },
    )
    client.destroy()
    expect((await bodies()).slice(-texts.length)).toEqual(texts.map(bordered))
    expect(receiver.of('message.accepted').map(({ size }) => size)).toEqual(sizes.map(([, size]) => size))
  }, 60_000)
  const texts: string[] = []
  const sizes: [number, number][] = []
})
