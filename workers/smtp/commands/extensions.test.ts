import type { Row } from '@postern/contract/rows.ts'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { certificateRow, mxCertificate } from '../test/certificates.ts'
import { entry, startTestReceiver, type TestReceiver } from '../test/receiver-harness.ts'
import { pastBanner, type WireClient } from '../test/wire-client.ts'
import { readUtf8Address } from './path.ts'

let receiver: TestReceiver
const runs: string[] = []
let apiIsAway = false
beforeAll(async () => {
  const account = { login: '', disabled: false, secretHash: '' }
  receiver = await startTestReceiver(
    {
      rows: [
        certificateRow(mxCertificate),
        { kind: 'account', id: 'zoe', value: { ...account, address: 'zoë@example.test' } },
        { kind: 'alias', id: 'z', value: { address: 'z@example.test', to: ['zoë@example.test'] } },
      ],
    },
    {
      runQueue: async (domain, by) => {
        if (apiIsAway) throw new Error('no answer')
        runs.push(`${domain} ${by}`)
      },
    },
  )
})
afterAll(() => receiver.close())
beforeEach(() => {
  receiver.events.length = 0
})

const utf8 = (text: string) => Buffer.from(text, 'utf8')

async function say(client: WireClient, line: string): Promise<string | null> {
  client.write(utf8(`${line}\r\n`))
  return client.text()
}

async function greeted(tls = false): Promise<WireClient> {
  const client = await pastBanner({ port: receiver.port() })
  await client.answer('EHLO c.test')
  if (!tls) return client
  await client.answer('STARTTLS')
  await client.secure()
  await client.answer('EHLO c.test')
  return client
}

async function last() {
  return (await receiver.stored()).at(-1)
}

describe('RFC 6531 SMTPUTF8', () => {
  it('addresses beyond ASCII only when it was asked for: 553 5.6.7', async () => {
    const client = await greeted()
    expect(await say(client, 'MAIL FROM:<señor@remote.test>')).toMatch(/^553 5\.6\.7 /)
    expect(await say(client, 'MAIL FROM:<sam@remote.test>')).toMatch(/^250/)
    expect(await say(client, 'RCPT TO:<zoë@example.test>')).toMatch(/^553 5\.6\.7 /)
    client.destroy()
  })

  it('takes them with it, says so in the envelope, and in Received as §4.3 wants it', async () => {
    const client = await greeted(true)
    expect(await say(client, 'MAIL FROM:<señor@bücher.test> BODY=8BITMIME SMTPUTF8')).toMatch(/^250/)
    expect(await say(client, 'RCPT TO:<zoë+box@example.test>')).toMatch(/^250/)
    await say(client, 'DATA')
    client.write(utf8('Subject: Grüße aus Köln\u202e\r\n\r\nTschüß\r\n.\r\n'))
    expect(await client.text()).toMatch(/^250/)
    const { envelope, body } = (await last()) as NonNullable<Awaited<ReturnType<typeof last>>>
    expect(envelope).toMatchObject({
      smtpUtf8: true,
      body: '8bitmime',
      sender: 'señor@xn--bcher-kva.test',
      recipients: [{ address: 'zoë@example.test', original: 'zoë+box@example.test' }],
    })
    expect(body).toMatch(/\) with UTF8SMTPS id /)
    expect(body).toContain(utf8('Subject: Grüße').toString('latin1'))
    expect(receiver.of('message.accepted')[0]?.subject).toBe('Grüße aus Köln?')
    client.destroy()
  })

  it('has no value, and a broken byte is no address', async () => {
    const client = await greeted()
    expect(await say(client, 'MAIL FROM:<a@b.test> SMTPUTF8=yes')).toMatch(/^501 5\.5\.4 /)
    client.write(Buffer.from('MAIL FROM:<se\xf1or@b.test> SMTPUTF8\r\n', 'latin1'))
    expect(await client.text()).toMatch(/^500 5\.5\.2 /)
    expect(await say(client, 'MAIL FROM:<a\u202eb@b.test> SMTPUTF8')).toMatch(/^501 5\.1\.7 /)
    client.destroy()
  })

  it('an alias in ASCII may lead to an address that needs it', async () => {
    const client = await greeted()
    expect(await client.send('x\r\n', 'z@example.test')).toMatch(/^250/)
    expect((await last())?.envelope).toMatchObject({ smtpUtf8: true, recipients: [{ address: 'zoë@example.test' }] })
    expect((await last())?.body).toContain(' with ESMTP id ')
    client.destroy()
  })

  it('VRFY and EXPN take the parameter', async () => {
    const client = await greeted()
    expect(await say(client, 'VRFY zoë@example.test SMTPUTF8')).toMatch(/^252 2\.1\.5 /)
    expect(await say(client, 'EXPN all@example.test SMTPUTF8')).toMatch(/^502 5\.5\.1 /)
    client.destroy()
  })
})

describe('RFC 8689 REQUIRETLS', () => {
  it('is offered and taken under TLS only', async () => {
    const plain = await pastBanner({ port: receiver.port() })
    expect(await plain.answer('EHLO c.test')).not.toContain('REQUIRETLS')
    expect(await plain.answer('MAIL FROM:<sam@remote.test> REQUIRETLS')).toMatch(/^555 5\.5\.4 /)
    plain.destroy()
    const client = await greeted(true)
    expect(await client.answer('EHLO c.test')).toContain('REQUIRETLS')
    expect(await client.answer('MAIL FROM:<sam@remote.test> REQUIRETLS=1')).toMatch(/^501 5\.5\.4 /)
    expect(await client.answer('MAIL FROM:<sam@remote.test> REQUIRETLS')).toMatch(/^250/)
    await client.answer('RCPT TO:<jane@example.test>')
    await client.answer('DATA')
    client.write('x\r\n.\r\n')
    expect(await client.text()).toMatch(/^250/)
    expect((await last())?.envelope.requireTls).toBe(true)
    expect(await client.send('y\r\n')).toMatch(/^250/)
    expect((await last())?.envelope.requireTls).toBeUndefined()
    client.destroy()
  })
})

describe('RFC 1985 ETRN', () => {
  it('a client that may relay starts the queue of a domain, once in a while', async () => {
    runs.length = 0
    const client = await pastBanner({ port: receiver.port() })
    expect(await client.answer('EHLO c.test')).toContain('ETRN')
    expect(await client.answer('ETRN Far.Test')).toBe('250 2.0.0 OK, queuing for node far.test started')
    expect(await client.answer('ETRN far.test')).toMatch(/^250/)
    expect(await say(client, 'ETRN bücher.test')).toMatch(/^250 .*xn--bcher-kva\.test/)
    expect(runs).toEqual(['far.test 127.0.0.1', 'xn--bcher-kva.test 127.0.0.1'])
    expect(await client.answer('ETRN @far.test')).toMatch(/^501 5\.5\.4 /)
    expect(await client.answer('ETRN')).toMatch(/^501 5\.5\.4 /)
    await client.answer('MAIL FROM:<>')
    expect(await client.answer('ETRN far.test')).toMatch(/^503 5\.5\.1 /)
    client.destroy()
  })

  it('says so when the API is away, and tries again the next time', async () => {
    const client = await greeted()
    apiIsAway = true
    expect(await client.answer('ETRN away.test')).toMatch(/^458 4\.3\.0 /)
    apiIsAway = false
    expect(await client.answer('ETRN away.test')).toMatch(/^250/)
    client.destroy()
  })

  it('strangers are not offered it and get 459', async () => {
    const other = await startTestReceiver()
    await other.apply({ rows: [{ ...entry('relay', '127.0.0.0/8'), value: null } as Row] })
    const client = await pastBanner({ port: other.port() })
    expect(await client.answer('EHLO c.test')).not.toContain('ETRN')
    expect(await client.answer('ETRN far.test')).toMatch(/^459 4\.7\.1 Node far\.test not allowed/)
    client.destroy()
    await other.close()
  })
})

describe('RFC 6533: ORCPT of an address beyond ASCII', () => {
  it.each([
    ['jane@example.test', false, 'jane@example.test'],
    ['zo\\x{EB}@example.test', false, 'zo\\x{EB}@example.test'],
    ['zoë@example.test', true, 'zo\\x{EB}@example.test'],
    ['😀@example.test', true, '\\x{1F600}@example.test'],
    ['zoë@example.test', false, null],
    ['a\\x{0D}b@example.test', false, null],
    ['a\\x{2028}b@example.test', false, null],
    ['a\\x{D800}@example.test', false, null],
    ['a\\x{110000}@example.test', false, null],
    ['a\\b@example.test', false, null],
    ['a+2Bb@example.test', false, null],
    ['a b@example.test', false, null],
  ])('%s (UTF-8 as it is: %s) is %s', (text, raw, expected) => {
    expect(readUtf8Address(text, raw)).toBe(expected)
  })

  it('stands in the envelope in ASCII', async () => {
    const client = await greeted()
    await say(client, 'MAIL FROM:<sam@remote.test> SMTPUTF8')
    expect(await say(client, 'RCPT TO:<zoë@example.test> ORCPT=utf-8;zoë@example.test')).toMatch(/^250/)
    expect(await say(client, 'RCPT TO:<jane@example.test> ORCPT=ü;zoe@example.test')).toMatch(/^501 5\.5\.4 /)
    await say(client, 'DATA')
    client.write('x\r\n.\r\n')
    expect(await client.text()).toMatch(/^250/)
    expect((await last())?.envelope.recipients[0]?.orcpt).toBe('utf-8;zo\\x{EB}@example.test')
    client.destroy()
  })
})
