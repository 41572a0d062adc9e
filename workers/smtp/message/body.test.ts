import { envelopeSchema } from '@postern/contract/envelope.ts'
import type { Message, SpoolWriter } from '@postern/spool/spool.ts'
import { expect, test } from 'vitest'
import { MessageBody } from './body.ts'
import { readHeader } from './header.ts'

const envelope = envelopeSchema.parse({
  id: '01990000-0000-7000-8000-000000000000',
  receivedAt: 0,
  worker: 'smtp-1',
  revision: 1,
  origin: 'smtp',
  sender: 'a@b.test',
  recipients: [{ address: 'c@d.test', original: 'c@d.test' }],
  body: '7bit',
  smtpUtf8: false,
  hops: 0,
  client: { ip: '192.0.2.1', helo: 'x' },
})

test.each([
  ['plain text', 'Subject: x\r\n\r\nplain\r\n', '7bit'],
  ['8-bit text that the client did not declare', 'Subject: x\r\n\r\nz\u00fcrich\r\n', '8bitmime'],
])('%s is stored as what it is', async (_name, text, body) => {
  const stored: Message[] = []
  const spool = { write: async (message: Message) => void stored.push(message) } as unknown as SpoolWriter
  const message = new MessageBody(spool, { limit: 1000, stuffed: true, submitted: false })
  const bytes = Buffer.from(`${text}.\r\n`)
  // The packets end anywhere, also within a character.
  for (const byte of bytes) message.take(Buffer.from([byte]))
  await message.store(envelope, Buffer.alloc(0))
  expect(stored.map((each) => each.envelope.body)).toEqual([body])
})

test.each([
  ['a header and text', 'Received: x\r\nSubject: one\r\nFrom: a@b.test\r\n\r\nDate: not a field\r\n\r\nmore\r\n'],
  ['no header', '\r\nReceived: not a field\r\n\r\nmore\r\n'],
  ['a header alone', 'Subject: one\r\n'],
  ['an mbox line before an empty line', 'From a@b.test Tue\r\n\r\nSubject: not a field\r\n'],
])('%s: the header is the same however the packets are split', (_name, text) => {
  const bytes = Buffer.from(`${text}.\r\n`)
  const headers = [bytes.length, 40, 7, 1].map((size) => {
    const message = new MessageBody({} as SpoolWriter, { limit: 1000, stuffed: true, submitted: false })
    for (let at = 0; at < bytes.length; at += size) message.take(bytes.subarray(at, at + size))
    return message.header()
  })
  for (const header of headers) expect(header).toEqual(headers[0])
  expect(headers[0]).toEqual(readHeader(Buffer.from(text)))
})
