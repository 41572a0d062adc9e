/// <reference path="../libqp.d.ts" />
import libqp from 'libqp'
import { afterEach, expect, test } from 'vitest'
import { type Script, TestServer } from '../test/server.ts'
import { Testbed, until } from '../test/testbed.ts'
import { Converter } from './converter.ts'
import { hasLongLines, LongLines } from './long-lines.ts'
import { folded } from './mime-header.ts'

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
})

const long = `${'a word, '.repeat(400)}the end =`
const longest = (data: string) => Math.max(...data.split('\r\n').map((line) => line.length))
const bodyOf = (data: string) => data.slice(data.indexOf('\r\n\r\n') + 4)

/** What the server got. */
async function sent(text: string, script: Script = {}): Promise<string> {
  const remote = await TestServer.start(script)
  open.push(remote)
  const route = script.lmtp ? { type: 'lmtp', host: '127.0.0.1', port: remote.route.port } : remote.route
  const box = await Testbed.open({ domains: [{ name: 'a.test', route }] })
  open.push(box)
  await box.send(['jane@a.test'], { text })
  await until('delivered', () => remote.received.length === 1, 60_000)
  return remote.received[0]?.data ?? ''
}

test.each([
  ['998 bytes are not too long', 998, false],
  ['999 are', 999, true],
])('%s, however the message is cut', (_name, bytes, expected) => {
  const message = Buffer.from(`A: b\r\n\r\n${'x'.repeat(300)}\r\n${'y'.repeat(bytes)}\r\nz\r\n`)
  expect(hasLongLines(message)).toBe(expected)
  for (const size of [1, 2, 7, 499, 997, 1000, 1001]) {
    const lines = new LongLines()
    for (let at = 0; at < message.length; at += size) lines.take(message.subarray(at, at + size))
    expect(lines.found, `${size}`).toBe(expected)
  }
})

test.each([
  ['small', 1],
  ['streamed', 800],
])('a %s text with long lines leaves as quoted-printable and decodes to what it was', async (_name, times) => {
  const body = `${long}\r\nshort\r\n`.repeat(times)
  const data = await sent(`Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n${body}`)
  expect(data).toContain('Content-Transfer-Encoding: quoted-printable\r\n')
  expect(longest(data)).toBeLessThanOrEqual(76)
  expect(libqp.decode(bodyOf(data)).toString('latin1') === body).toBe(true)
})

test('text without MIME is ASCII when it is', async () => {
  const data = await sent(`Subject: x\r\n\r\n${long}\r\n`)
  expect(data).toContain('Content-Type: text/plain; charset=us-ascii\r\n')
  expect(libqp.decode(bodyOf(data)).toString('latin1')).toBe(`${long}\r\n`)
})

test('only the part with the long line changes: what is 8-bit stays, what is no text becomes base64', async () => {
  const eightBit = '--a\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: 8bit\r\n\r\nhäh\r\n'
  const head =
    'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=a\r\nContent-Transfer-Encoding: 8bit\r\n\r\n'
  const data = Buffer.from(
    await sent(`${head}${eightBit}--a\r\nContent-Type: application/x\r\n\r\n${long}\r\n--a--\r\n`),
    'latin1',
  ).toString()
  expect(data.startsWith(`${head}${eightBit}`)).toBe(true)
  const [, part = ''] = data.split('Content-Transfer-Encoding: base64\r\n\r\n')
  expect(Buffer.from(part.slice(0, part.indexOf('--a--')), 'base64').toString()).toBe(long)
})

const signed = `MIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary=a\r\n\r\n--a\r\n\r\n${long}\r\n--a--\r\n`
const short = 'Subject: x\r\n\r\nHello.\r\n'
test.each<[string, string, Script]>([
  ['a signed multipart by LMTP', signed, { lmtp: true }],
  ['a message without long lines', short, {}],
  ['what goes by LMTP', `Subject: x\r\n\r\n${long}\r\n`, { lmtp: true }],
])('%s stays as it is', async (_name, text, script) => {
  expect(await sent(text, script)).toBe(text)
})

test('a signed multipart may not be encoded: its lines are broken', async () => {
  const data = await sent(signed)
  expect(longest(data)).toBeLessThanOrEqual(998)
  expect(data.replaceAll('\r\n ', '')).toBe(signed)
})

test('header lines are folded at white space; where there is none they are broken', async () => {
  const subject = `Subject: ${'word '.repeat(300)}end`
  const data = await sent(`${subject}\r\nX-Solid: ${'x'.repeat(1200)}\r\n\r\nHello.\r\n`)
  const [first = '', ...rest] = data.split('\r\n')
  expect(first.length).toBeLessThanOrEqual(998)
  expect(`${first}${rest[0]}`).toBe(subject)
  expect(longest(data)).toBeLessThanOrEqual(998)
  expect(data.replaceAll('\r\n ', '')).toContain(`${'x'.repeat(1200)}\r\n\r\nHello.\r\n`)
  for (const text of [`A:${' '.repeat(1500)}`, `A: b${' '.repeat(1500)}`, `A: b${' '.repeat(1500)}c`])
    for (const line of folded(text).split('\r\n')) expect(line.trim()).not.toBe('')
})

test('of each message one piece is in memory, however many and however large they are', async () => {
  const [messages, bytes, piece] = [32, 1 << 20, 65_536]
  const converter = new Converter()
  open.push(converter)
  let inFlight = 0
  let most = 0
  const count = (change: number) => {
    inFlight += change
    most = Math.max(most, inFlight)
  }
  async function* source() {
    yield Buffer.from('MIME-Version: 1.0\r\nContent-Type: application/x\r\n\r\n')
    for (let at = 0; at < bytes; at += piece) {
      const chunk = Buffer.alloc(piece, 0xe4)
      count(piece)
      // Also when nobody reads on.
      try {
        yield chunk
      } finally {
        count(-piece)
      }
    }
  }
  const one = async () => {
    const conversion = await converter.convert(source)
    if (conversion.kind !== 'converted') throw new Error(conversion.kind)
    let given = 0
    for await (const chunk of conversion.stream()) {
      count(chunk.length)
      given += chunk.length
      await new Promise((resolve) => setImmediate(resolve))
      count(-chunk.length)
    }
    expect(given).toBe(conversion.bytes)
  }
  await Promise.all(Array.from({ length: messages }, one))
  // A piece that came, and what it became in base64.
  expect(most).toBeLessThanOrEqual(messages * piece * 2.5)
  expect(inFlight).toBe(0)
})
