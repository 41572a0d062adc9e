import { connect, type WireClient } from '@postern/smtp/test/wire-client.ts'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { showLogsOnFailure } from '../peers/failure.ts'
import { until } from '../peers/peer.ts'
import { type Postern, startPostern } from '../system/postern.ts'
import { startWireSink, type TakenMessage, type WireSink } from './sink.ts'

/** Input from hostile clients gets a clear reply or a closed connection, and the same process keeps serving others. */

let postern: Postern
let sink: WireSink
let worker: number[]
let mails = 0
const taken: TakenMessage[] = []

beforeAll(async () => {
  sink = await startWireSink({ take: (message) => taken.push(message) })
  postern = await startPostern()
  const gateway = { host: sink.host, port: sink.port, tls: 'none' }
  const { revision } = await postern.api.patch('/v1/settings/general', { gateway })
  await postern.settle(revision)
  worker = postern.pids('smtp')
})
afterAll(async () => {
  await postern?.stop()
  await sink?.stop()
})
showLogsOnFailure(() => [postern])

afterEach(async () => {
  const recipient = `after${++mails}@far.test`
  const client = await connect({ port: postern.smtpPort })
  await client.hello()
  await client.mail({ from: 'a@b.test', to: recipient, content: 'Subject: still here\r\n\r\nhello\r\n' })
  await client.quit()
  await until('a mail after it arrives', () => taken.some((message) => message.recipients.includes(recipient)))
  expect(postern.pids('smtp')).toEqual(worker)
  const strange = taken.splice(0).filter((message) => !message.recipients.includes(recipient))
  expect(strange).toEqual([])
})

/** Connects from its own address, because a client that misbehaves may be blocked for a while. */
const stranger = (last: number) => connect({ port: postern.smtpPort, from: `127.0.3.${last}` })

/** Returns all replies until the server closes or is silent for a moment. */
async function repliesOf(client: WireClient, quietMs = 300): Promise<number[]> {
  const codes: number[] = []
  for (
    let quietSince = performance.now();
    performance.now() - quietSince < quietMs && (client.open || client.pending);
  ) {
    if (client.pending === 0) await new Promise((resolve) => setTimeout(resolve, 10))
    else {
      codes.push((await client.reply()).code)
      quietSince = performance.now()
    }
  }
  return codes
}

const refusal = (code: number) => code === 421 || code >= 500

it('an HTTP request', async () => {
  const client = await stranger(1)
  await client.expect(220)
  client.write('GET / HTTP/1.1\r\nHost: mail.test\r\nUser-Agent: x\r\n\r\n')
  const codes = await repliesOf(client)
  expect(codes.length).toBeGreaterThan(0)
  expect(codes.every(refusal)).toBe(true)
  client.destroy()
})

it('a TLS greeting on the plain port, and noise', async () => {
  const client = await stranger(2)
  await client.expect(220)
  client.write(Uint8Array.from([0x16, 0x03, 0x01, 0x02, 0, 1, 0, 1, 0xfc, 3, 3, ...Array(200).fill(0x0a)]))
  expect((await repliesOf(client)).every(refusal)).toBe(true)
  client.destroy()
  const noisy = await stranger(3)
  await noisy.expect(220)
  noisy.write(Uint8Array.from({ length: 50_000 }, (_, index) => (index * 7919 + (index >> 3)) & 255))
  expect((await repliesOf(noisy)).every(refusal)).toBe(true)
  noisy.destroy()
})

it('endless lines, and lines longer than RFC 5321 §4.5.3.1 allows', async () => {
  const client = await stranger(4)
  await client.hello()
  client.write('MAIL FROM:<')
  for (let part = 0; part < 200; part += 1) client.write('x'.repeat(10_000))
  client.write('@b.test>\r\n')
  const codes = await repliesOf(client)
  expect(codes.every(refusal)).toBe(true)
  expect(codes.length > 0 || !client.open).toBe(true)
  client.destroy()
})

it('a thousand unknown commands in one packet', async () => {
  const client = await stranger(5)
  await client.hello()
  client.say(...Array<string>(1000).fill('FROBNICATE now'))
  const codes = await repliesOf(client)
  expect(codes.length).toBeGreaterThan(0)
  expect(codes.every(refusal)).toBe(true)
  client.destroy()
})

it('commands out of order, and commands that end in a bare LF', async () => {
  const client = await stranger(6)
  await client.expect(220)
  await client.say('RCPT TO:<a@far.test>').expect(503, '5.5.1')
  await client.say('DATA').expect(503, '5.5.1')
  await client.ehlo()
  await client.say('RCPT TO:<a@far.test>').expect(503, '5.5.1')
  await client.say('MAIL FROM:<no closing bracket').expect([501, 500, 553])
  client.write('MAIL FROM:<a@b.test>\n')
  expect((await repliesOf(client)).every(refusal)).toBe(true)
  client.destroy()
})

it('clients that vanish: in the banner, in a command, in the data, with a half-closed socket', async () => {
  const early = await connect({ port: postern.smtpPort, from: '127.0.3.7' })
  early.reset()
  const inCommand = await stranger(7)
  await inCommand.expect(220)
  inCommand.write('EHL')
  inCommand.reset()
  const inData = await stranger(7)
  await inData.hello()
  await inData.say('MAIL FROM:<a@b.test>').expect(250)
  await inData.say('RCPT TO:<half@far.test>').expect(250)
  await inData.say('DATA').expect(354)
  inData.write('Subject: half\r\n\r\nhalf a mess')
  inData.reset()
  const halfClosed = await stranger(7)
  await halfClosed.hello()
  await halfClosed.say('MAIL FROM:<a@b.test>').expect(250)
  await halfClosed.say('RCPT TO:<half@far.test>').expect(250)
  await halfClosed.say('DATA').expect(354)
  halfClosed.write('Subject: half\r\n\r\nand then the end of the stream\r\n')
  halfClosed.end()
  await halfClosed.closed()
})

it('many silent sessions at once', async () => {
  const silent = await Promise.all(Array.from({ length: 40 }, () => stranger(8)))
  for (const client of silent) await client.expect(220)
  for (const client of silent) client.destroy()
})
