import fc from 'fast-check'
import { afterEach, expect, test } from 'vitest'
import { type Script, TestServer } from '../test/server.ts'
import { Testbed, until } from '../test/testbed.ts'
import { LineBreaker, withLinesBroken } from './line-breaker.ts'

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
})

const longest = (bytes: Buffer) =>
  Math.max(
    ...bytes
      .toString('latin1')
      .split('\n')
      .map((line) => line.replace(/\r$/, '').length),
  )
const inPieces = (bytes: Buffer, size: number): Buffer => {
  const breaker = new LineBreaker()
  const pieces: Buffer[] = []
  for (let at = 0; at < bytes.length; at += size) pieces.push(...breaker.take(bytes.subarray(at, at + size)))
  return Buffer.concat([...pieces, breaker.finish()])
}

test('however a message is cut: no line over 998 bytes, short lines as they were, nothing but breaks added', () => {
  const line = fc.oneof(
    { weight: 3, arbitrary: fc.integer({ min: 0, max: 100 }) },
    { weight: 2, arbitrary: fc.integer({ min: 990, max: 1010 }) },
    { weight: 1, arbitrary: fc.integer({ min: 1000, max: 6000 }) },
  )
  const lines = fc.array(fc.tuple(line, fc.constantFrom('x', '\xe9', '-', '.')), { minLength: 1, maxLength: 12 })
  const size = fc.constantFrom(1, 7, 499, 997, 998, 999, 1000, 1001, 1 << 20)
  const check = (drawn: [number, string][], chunk: number, ending: string) => {
    const message = Buffer.from(drawn.map(([n, c]) => c.repeat(n)).join('\r\n') + ending, 'latin1')
    const sent = inPieces(message, chunk)
    expect(longest(sent)).toBeLessThanOrEqual(998)
    expect(sent.toString('latin1').replaceAll('\r\n ', '')).toBe(message.toString('latin1'))
    if (longest(message) <= 998) expect(sent.equals(message)).toBe(true)
  }
  fc.assert(fc.property(lines, size, fc.constantFrom('\r\n', '', '\r'), check), { numRuns: 2_000 })
})

test('a character of UTF-8 stays whole', () => {
  for (const before of ['', 'a', 'ab', 'abc']) {
    const text = `${before}${'€'.repeat(2000)}\r\n`
    const sent = withLinesBroken(Buffer.from(text))
    expect(longest(sent)).toBeLessThanOrEqual(998)
    expect(sent.toString().replaceAll('\r\n ', '')).toBe(text)
  }
})

const long = 'x'.repeat(3000)
const head = 'From: a@home.test\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: '
const part = 'Content-Type: text/plain\r\n\r\nhello\r\n'
const messages: [string, string][] = [
  ['preamble', `${head}multipart/mixed; boundary=b\r\n\r\n${long}\r\n--b\r\n${part}--b--\r\n`],
  ['epilogue', `${head}multipart/mixed; boundary=b\r\n\r\n--b\r\n${part}--b--\r\n${long}\r\n`],
  ['multipart without a boundary', `${head}multipart/mixed\r\n\r\n${long}\r\n`],
  ['multipart whose parts never begin', `${head}multipart/mixed; boundary=b\r\n\r\n${long}\r\n--c\r\n${long}\r\n`],
  ['signed', `${head}multipart/signed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n${long}\r\n--b--\r\n`],
  ['delivery status', `${head}message/delivery-status\r\n\r\nX-Long: ${long}\r\n`],
  ['unknown encoding', `${head}text/plain\r\nContent-Transfer-Encoding: x-zip\r\n\r\n${long}\r\n`],
  ['header without white space', `${head}text/plain\r\nX-Token: ${long}\r\n\r\nhello\r\n`],
  ['header that is no header', `Subject: x\r\nX-A:${long}\r\n`],
  ['header of a part', `${head}multipart/mixed; boundary=b\r\n\r\n--b\r\nX-Token:${long}\r\n${part}--b--\r\n`],
]
const servers: [string, Script][] = [
  ['8BITMIME', {}],
  ['no 8BITMIME', { extensions: ['PIPELINING'] }],
]
for (const [name, script] of servers)
  test.each(messages)(
    `%s, to a server with ${name}: small and streamed, no line over 998 leaves`,
    async (_, message) => {
      const remote = await TestServer.start(script)
      open.push(remote)
      const box = await Testbed.open({ domains: [{ name: 'a.test', route: remote.route }] })
      open.push(box)
      await box.send(['jane@a.test'], { text: message })
      await box.send(['jane@a.test'], { text: `${message}${'filler line\r\n'.repeat(100_000)}` })
      await until('both came', () => remote.received.length === 2, 60_000)
      for (const { data } of remote.received) {
        expect(longest(Buffer.from(data, 'latin1'))).toBeLessThanOrEqual(998)
        expect(data.replaceAll('\r\n ', '')).toContain('xxx')
      }
    },
  )

test('LMTP gets what is stored', async () => {
  const remote = await TestServer.start({ lmtp: true })
  open.push(remote)
  const route = { type: 'lmtp', host: '127.0.0.1', port: remote.route.port }
  const box = await Testbed.open({ domains: [{ name: 'a.test', route }] })
  open.push(box)
  const [, message] = messages[0] as [string, string]
  await box.send(['jane@a.test'], { text: message })
  await until('it came', () => remote.received.length === 1, 60_000)
  expect(remote.received[0]?.data).toContain(long)
})
