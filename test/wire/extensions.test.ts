import type { Rfc } from '@postern/contract/rfcs.ts'
import type { MessageView } from '@postern/contract/views.ts'
import type { WireClient } from '@postern/smtp/test/wire-client.ts'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { selfSigned } from '../peers/certificate.ts'
import { freePort, until } from '../peers/peer.ts'
import { readMaildir } from '../peers/postfix.ts'
import { homeDomain, livePostern, password } from './live.ts'
import { startWireSink, type TakenMessage, type WireSink } from './sink.ts'

/** The service extensions, as clients and remote hosts see them. Postern does what EHLO offers. */

const taken: TakenMessage[] = []
let sink: WireSink
let later: number
beforeAll(async () => {
  sink = await startWireSink({ take: (message) => taken.push(message) })
  later = await freePort()
})
afterAll(() => sink.stop())

const live = livePostern({
  prepare: async (live) => {
    await homeDomain(live)
    const { cert, key } = await selfSigned(['mail.home.test'])
    await live.make('certificates', { name: 'mail', certificate: cert, privateKey: key })
    await live.make('accounts', { address: 'zoë@home.test', login: 'zoe', secret: password })
    const port = { 'next.test': sink.port, 'later.test': later }
    for (const [name, at] of Object.entries(port)) {
      await live.make('domains', { name, route: { type: 'smtp', host: '127.0.0.1', port: at, tls: 'none' } })
      await live.make('accounts', { address: `ann@${name}`, secret: password })
    }
  },
})

async function secure(): Promise<WireClient> {
  const client = await live.greeted()
  await client.startTls()
  await client.ehlo()
  return client
}

async function envelope(client: WireClient, to: string, parameters = ''): Promise<void> {
  await client.say(`MAIL FROM:<x@far.test>${parameters}`).expect(250, '2.1.0')
  await client.say(`RCPT TO:<${to}>`).expect(250, '2.1.5')
}

const login = `AUTH PLAIN ${Buffer.from(`\0ann\0${password}`).toString('base64')}`

async function isDeferred(id: string): Promise<boolean> {
  const { status, body } = await live.api.call('GET', `/v1/messages/${id}`)
  return status === 200 && (body as MessageView).state === 'deferred'
}
const idIn = (text: string) => /[0-9a-f]{8}-[0-9a-f-]{27}/.exec(text)?.[0] ?? text

describe('RFC 3030 CHUNKING', () => {
  it('chunks become one message, in a maildir and at a host that supports only DATA', async () => {
    const client = await live.connect()
    expect((await client.hello()).has('CHUNKING')).toBe(true)
    for (const to of ['ann@home.test', 'ann@next.test']) {
      await envelope(client, to, ' BODY=8BITMIME')
      await client.say('BDAT 22').write('Subject: chunks\r\n\r\n.a\r').expect(250, '2.0.0')
      await client.say('BDAT 8').write('\n.\r\n..\r\n').expect(250)
      await client.say('BDAT 3 LAST').write('\xfcz!').expect(250, '2.0.0')
    }
    const text = 'Subject: chunks\r\n\r\n.a\r\n.\r\n..\r\n'
    const [mail] = await live.arrived('ann@home.test', 1)
    expect(mail).toContain(text)
    await until('the next host has it', () => taken.some(({ content }) => content.includes('chunks')))
    expect(taken.at(-1)?.content.endsWith(`${text}\xfcz!\r\n`)).toBe(true)
  })

  it('pipelined envelope, chunks and the next envelope', async () => {
    const client = await live.greeted()
    const chunk = 'RCPT TO:<bob@home.test>\r\n'
    client.say('MAIL FROM:<x@far.test>', 'RCPT TO:<bob@home.test>', `BDAT ${chunk.length}`).write(chunk)
    client.say('BDAT 0 LAST', 'MAIL FROM:<y@far.test>', 'RCPT TO:<no@home.test>', 'BDAT 6 LAST').write('QUIT\r\n')
    client.say('RSET', 'QUIT')
    for (const code of [250, 250, 250, 250, 250, 550, 554, 250, 221]) await client.expect(code)
    const [mail] = await live.arrived('bob@home.test', 1)
    expect(mail?.endsWith(chunk)).toBe(true)
  })

  it.each([
    ['bare LF', 'a\n.\nb\r\n'],
    ['bare CR', 'a\r.\rb\r\n'],
  ])('smuggling by %s within a chunk: 554 5.6.0, 421 and close, at every cut', async (_name, bytes) => {
    const wire = `BDAT ${bytes.length} LAST\r\n${bytes}MAIL FROM:<boss@home.test>\r\nRCPT TO:<ann@home.test>\r\n`
    for (let at = wire.indexOf('\n'); at < wire.indexOf('MAIL'); at++) {
      const client = await live.greeted()
      await envelope(client, 'ann@home.test')
      await client.writeSplit(wire, [at], 1)
      await client.expect(554, '5.6.0')
      await client.expect(421, '4.7.0')
      await client.closed()
      expect(client.pending).toBe(0)
    }
  })

  it('the size limit counts all chunks', async () => {
    await live.set('general', { maxMessageBytes: 2000 })
    const client = await live.greeted()
    await envelope(client, 'ann@home.test')
    const chunk = `${'x'.repeat(998)}\r\n`
    for (const code of [250, 250, 552, 503]) await client.say('BDAT 1000').write(chunk).expect(code)
    await live.set('general', { maxMessageBytes: 100_000 })
    await envelope(client, 'ann@home.test')
    for (let i = 0; i < 5; i++) await client.say('BDAT 1000').write(chunk).expect(250)
    await client.say('BDAT 0 LAST').expect(250)
  })
})

describe('RFC 9422 LIMITS', () => {
  it('RCPTMAX is advanced.maxRecipients, and above it the reply is 452 4.5.3', async () => {
    await live.set('advanced', { maxRecipients: 2 })
    const client = await live.connect()
    expect((await client.hello()).get('LIMITS')).toBe('RCPTMAX=2')
    await envelope(client, 'ann@home.test')
    await client.say('RCPT TO:<bob@home.test>').expect(250)
    await client.say('RCPT TO:<zoe@home.test>').expect(452, '4.5.3')
    await live.set('advanced', { maxRecipients: 0 })
    expect((await client.ehlo()).has('LIMITS')).toBe(false)
  })
})

describe('RFC 6531 SMTPUTF8', () => {
  it('a mailbox beyond ASCII: 553 5.6.7 without the parameter, mail in its maildir with it (RFC 6532 headers)', async () => {
    const client = await live.connect()
    expect((await client.hello()).has('SMTPUTF8')).toBe(true)
    await client.say('MAIL FROM:<señor@far.test>').expect(553, '5.6.7')
    await client.say('MAIL FROM:<x@far.test>').expect(250)
    await client.say('RCPT TO:<zoë@home.test>').expect(553, '5.6.7')
    await client.say('RSET').expect(250)
    await client.say('MAIL FROM:<señor@bücher.test> SMTPUTF8').expect(250)
    await client.say('RCPT TO:<zoë@home.test>').expect(250)
    await client.say('DATA').expect(354)
    await client.say('Subject: Grüße', '', 'Tschüß', '.').expect(250)
    const directory = `${live.postern.dataDirectory}/mail/home.test/zo%c3%ab`
    await until('it is in the maildir', async () => (await readMaildir(directory)).length === 1)
    const [mail = ''] = await readMaildir(directory)
    expect(mail).toMatch(/ with UTF8SMTP id /)
    expect(mail).toContain('Subject: Grüße\r\n')
    expect((await live.event('message.accepted', ({ subject }) => subject === 'Grüße')).sender).toContain('señor@')
  })
})

describe('RFC 8689 REQUIRETLS', () => {
  it('is offered only under TLS, and mail that requires it never reaches a host without it', async () => {
    const plain = await live.connect()
    expect((await plain.hello()).has('REQUIRETLS')).toBe(false)
    await plain.say('MAIL FROM:<x@far.test> REQUIRETLS').expect(555, '5.5.4')
    const client = await secure()
    expect((await client.ehlo()).has('REQUIRETLS')).toBe(true)
    await envelope(client, 'bob@home.test', ' REQUIRETLS')
    await client.say('DATA').expect(354)
    await client.say('Subject: required', '', 'x', '.').expect(250)
    await until('it is in the maildir', async () =>
      (await live.mail('bob@home.test')).some(
        (mail) => mail.includes('Subject: required') && mail.includes(' with ESMTPS '),
      ),
    )
  })
})

describe('RFC 1985 ETRN', () => {
  it('waiting mail for a domain is tried at once, by an order from the API', async () => {
    const client = await live.connect()
    expect((await client.hello()).has('ETRN')).toBe(true)
    const { raw } = await client.mail({ from: 'x@far.test', to: 'ann@later.test', content: 'Subject: waits\r\n\r\nx' })
    const id = idIn(raw)
    await until('it waits', () => isDeferred(id), { everyMs: 100 })
    const there = await startWireSink({ port: later, take: (mail) => taken.push(mail) })
    try {
      await client.say('ETRN later.test').expect(250, '2.0.0')
      await until('it is delivered', () => taken.some(({ content }) => content.includes('Subject: waits')))
    } finally {
      await there.stop()
    }
    expect(await live.event('order.done', ({ action }) => action === 'run')).toBeDefined()
  })

  it('a repeated request soon after still causes a run, for mail that arrived since', async () => {
    const client = await live.greeted()
    await client.say('ETRN later.test').expect(250, '2.0.0')
    const { raw } = await client.mail({ from: 'x@far.test', to: 'ann@later.test', content: 'Subject: late\r\n\r\nx' })
    await until('it waits', () => isDeferred(idIn(raw)), { everyMs: 100 })
    const there = await startWireSink({ port: later, take: (mail) => taken.push(mail) })
    try {
      await client.say('ETRN later.test').expect(250, '2.0.0')
      const isThere = () => taken.some(({ content }) => content.includes('Subject: late'))
      await until('it is delivered', isThere, { withinMs: 30_000 })
    } finally {
      await there.stop()
    }
  })

  it('a client that may not relay is not offered it, and gets 459', async () => {
    await live.empty('relay')
    const client = await live.connect()
    expect((await client.hello()).has('ETRN')).toBe(false)
    await client.say('ETRN later.test').expect(459, '4.7.1')
  })
})

describe('RFC 3461 DSN', () => {
  it('a success is reported with the ORCPT of RFC 6533 if the sender requested it', async () => {
    const client = await live.connect()
    expect((await client.hello()).has('DSN')).toBe(true)
    await client.say('MAIL FROM:<bob@home.test> RET=HDRS ENVID=QQ+2B1 SMTPUTF8').expect(250)
    await client.say('RCPT TO:<ann@home.test> NOTIFY=SUCCESS ORCPT=utf-8;zoë@old.test').expect(250)
    await client.say('DATA').expect(354)
    await client.say('Subject: tell me', '', 'x', '.').expect(250)
    const told = async () =>
      (await live.mail('bob@home.test')).find((mail) => mail.includes('Original-Envelope-Id: QQ+1'))
    await until('the sender is told', async () => (await told()) !== undefined)
    const dsn = (await told()) ?? ''
    expect(dsn).toMatch(/Original-Recipient: utf-8; ?(?:zoë|zo\xc3\xab)@old\.test/i)
    expect(dsn).toMatch(/Action: delivered/)
  })
})

describe('trace and submission', () => {
  it('Received has the transmission type of RFC 3848, and the stored message conforms to RFC 5322', async () => {
    const content = 'Subject: traced\r\n\r\nx'
    const plain = await live.connect()
    await plain.expect(220)
    await plain.say('HELO old.test').expect(250)
    await plain.mail({ from: 'x@far.test', to: 'ann@home.test', content })
    await (await live.greeted()).mail({ from: 'x@far.test', to: 'ann@home.test', content })
    await (await secure()).mail({ from: 'x@far.test', to: 'ann@home.test', content })
    const client = await secure()
    await client.say(login).expect(235)
    await client.mail({ from: 'x@far.test', to: 'ann@home.test', content })
    const types = async () =>
      (await live.mail('ann@home.test'))
        .filter((mail) => mail.includes('Subject: traced'))
        .map((mail) => /\) with (\w+) id /.exec(mail)?.[1])
        .sort()
    await until('four are there', async () => (await types()).length === 4)
    expect(await types()).toEqual(['ESMTP', 'ESMTPS', 'ESMTPSA', 'SMTP'])
  })

  it('RFC 6409: the submission port requires TLS and a login, and adds Date and Message-ID (RFC 5322)', async () => {
    await live.empty('relay')
    const client = await live.greeted({ port: live.postern.submissionPort })
    await client.say('MAIL FROM:<ann@home.test>').expect(530, '5.7.0')
    await client.startTls()
    await client.ehlo()
    await client.say('MAIL FROM:<ann@home.test>').expect(530, '5.7.0')
    await client.say(login).expect(235)
    await client.mail({ from: 'ann@home.test', to: 'bob@home.test', content: 'Subject: submitted\r\n\r\nx' })
    const mail = async () => (await live.mail('bob@home.test')).find((text) => text.includes('Subject: submitted'))
    await until('it is there', async () => (await mail()) !== undefined)
    expect(await mail()).toMatch(/\r\nDate: \w{3}, \d+ \w{3} \d{4} [\d:]{8} \+0000\r\n/)
    expect(await mail()).toMatch(/\r\nMessage-ID: <[0-9a-f-]{36}@/)
  })

  it('RFC 6152: bytes above 127 are unchanged', async () => {
    const client = await live.connect()
    expect((await client.hello()).has('8BITMIME')).toBe(true)
    await envelope(client, 'ann@next.test', ' BODY=8BITMIME')
    await client.say('DATA').expect(354)
    await client.write('Subject: eight\r\n\r\n\x80\xff\xe9\r\n.\r\n').expect(250)
    await until('the next host has it', () => taken.some(({ content }) => content.endsWith('\r\n\r\n\x80\xff\xe9\r\n')))
  })
})

describe('GET /v1/rfcs', () => {
  it('has a row with tests for everything that EHLO offers, before TLS and under it', async () => {
    const { items } = await live.api.get<{ items: Rfc[] }>('/v1/rfcs')
    expect(items.find(({ number }) => number === 3030)).toMatchObject({ keywords: ['CHUNKING'] })
    const plain = await live.connect()
    const offered = new Set([...(await plain.hello()).keys(), ...(await (await secure()).ehlo()).keys()])
    const known = new Set(items.flatMap(({ keywords }) => keywords))
    expect([...offered].filter((keyword) => !known.has(keyword))).toEqual([])
  })
})
