import { hash } from '@node-rs/argon2'
import type { Row } from '@postern/contract/rows.ts'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { entry, startTestReceiver, type TestReceiver } from '../test/receiver-harness.ts'
import { pastBanner, type WireClient } from '../test/wire-client.ts'

const password = 'correct horse'
/** In the relay list, and not in it. */
const application = '127.0.0.1'
const stranger = '127.0.0.9'

let receiver: TestReceiver
beforeAll(async () => {
  const secretHash = await hash(password, { memoryCost: 19_456, timeCost: 2, parallelism: 1 })
  const jane: Row = {
    kind: 'account',
    id: 'a1',
    value: { address: 'jane@example.test', login: '', disabled: false, secretHash },
  }
  const relay = { ...entry('relay', application), id: 'relay-127.0.0.0/8' } as Row
  receiver = await startTestReceiver({ settings: { advanced: { allowPlainWithoutTls: true } }, rows: [jane, relay] })
})
afterAll(() => receiver.close())

async function greeted({ login, from = application }: { login?: true; from?: string } = {}): Promise<WireClient> {
  const client = await pastBanner({ port: receiver.port(login ? 'submission' : 'smtp'), from: from })
  await client.answer('EHLO c.test')
  if (login) await client.answer(`AUTH PLAIN ${Buffer.from(`\0jane@example.test\0${password}`).toString('base64')}`)
  return client
}

/** Sends it in the pieces that the cuts make, and returns what is stored below our Received field. */
async function stored(client: WireClient, text: string, cuts: readonly number[] = []): Promise<string> {
  await client.upToData()
  let from = 0
  for (const to of [...cuts, text.length]) {
    client.write(text.slice(from, to))
    from = to
    if (cuts.length > 0) await new Promise((done) => setImmediate(done))
  }
  client.write('.\r\n')
  expect(await client.text()).toMatch(/^250 /)
  return (await receiver.stored()).at(-1)!.body.replace(/^Received:(?:[^\r]|\r\n[ \t])*\r\n/, '')
}

describe('Date and Message-ID (RFC 6409 §8)', () => {
  const added = /^Date: [^\r]+\r\nMessage-ID: <[0-9a-f-]{36}@mx\.test>\r\nSubject: x\r\n/
  const text = 'Subject: x\r\n\r\nhi\r\n'

  it('are added for a client of the relay list at port 25, and for a login', async () => {
    expect(await stored(await greeted(), text)).toMatch(added)
    expect(await stored(await greeted({ login: true }), text)).toMatch(added)
  })

  it('not for a stranger, and not where they are there', async () => {
    expect(await stored(await greeted({ from: stranger }), text)).toBe(text)
    const whole = `date: Mon, 30 Nov 2026 08:00:00 +0000\r\nMESSAGE-ID : <1@c.test>\r\n${text}`
    expect(await stored(await greeted(), whole)).toBe(whole)
  })
})

describe('Bcc', () => {
  const head = 'Date: Mon, 30 Nov 2026 08:00:00 +0000\r\nMessage-ID: <1@c.test>\r\n'
  const text = `${head}BCC: a@b.test,\r\n\tb@b.test\r\nTo: c@d.test\r\nResent-Bcc : e\r\n\r\nBcc: body\r\n`
  const without = `${head}To: c@d.test\r\n\r\nBcc: body\r\n`

  it('does not leave with what is handed in, wherever the packets are cut', async () => {
    const client = await greeted({ login: true })
    expect(await stored(client, text)).toBe(without)
    for (let at = head.length; at < text.indexOf('\r\n\r\n') + 4; at += 3)
      expect(await stored(client, text, [at])).toBe(without)
    const every = [...text].map((_, i) => i).slice(1)
    expect(await stored(client, text, every)).toBe(without)
  })

  it('nor in chunks (RFC 3030), nor behind a header that does not stay in memory', async () => {
    const client = await greeted({ login: true })
    for (const line of ['MAIL FROM:<jane@example.test>', 'RCPT TO:<jane@example.test>']) await client.answer(line)
    const half = text.indexOf('b@b.test')
    client.write(`BDAT ${half}\r\n${text.slice(0, half)}BDAT ${text.length - half} LAST\r\n${text.slice(half)}`)
    expect(await client.text()).toMatch(/^250 /)
    expect(await client.text()).toMatch(/^250 2\.0\.0 Accepted/)
    expect((await receiver.stored()).at(-1)?.body.endsWith(without)).toBe(true)
    const filler = `X-Filler: ${'x'.repeat(80)}\r\n`.repeat(2_000)
    expect(await stored(client, filler + text)).toBe(filler + without)
  })

  it('stays in what others send', async () => {
    for (const from of [application, stranger]) expect(await stored(await greeted({ from }), text)).toBe(text)
  })
})

describe('a message whose first line is no field', () => {
  it.each([
    ['text', 'Hello Jane,\r\nSubject: no\r\n', '\r\nHello Jane,\r\nSubject: no\r\n'],
    ['a folded line', ' x\r\nSubject: no\r\n', '\r\n x\r\nSubject: no\r\n'],
    [
      'an mbox line',
      'From jane Mon\r\nSubject: x\r\n\r\nhi\r\n',
      'X-Mailbox-Line: From jane Mon\r\nSubject: x\r\n\r\nhi\r\n',
    ],
    ['nothing', '', '\r\n'],
    ['an empty line', '\r\nhi\r\n', '\r\nhi\r\n'],
  ])('%s: the border is where a reader sees it', async (_name, text, as) => {
    expect(await stored(await greeted({ from: stranger }), text)).toBe(as)
    expect((await stored(await greeted(), text)).replace(/^Date: [^\r]*\r\nMessage-ID: [^\r]*\r\n/, '')).toBe(as)
  })
})
