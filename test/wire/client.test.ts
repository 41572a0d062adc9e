import { connect } from '@postern/smtp/test/wire-client.ts'
import { describe, expect, it } from 'vitest'
import { selfSigned } from '../peers/certificate.ts'
import { peersOfEachTest } from '../peers/failure.ts'
import { startPostfix } from '../peers/postfix.ts'
import { runSmtpSource } from '../peers/smtp-source.ts'
import { startWireSink, type TakenMessage } from './sink.ts'

const keep = peersOfEachTest()

describe('the raw client, against a real server', () => {
  it('greets, upgrades to TLS, sends a mail and sees the server close', async () => {
    const certificate = await selfSigned(['mx.a.test'])
    const deliver = { to: 'discard' } as const
    const postfix = await keep(startPostfix({ deliver, certificate, settings: { maximal_queue_lifetime: '1h' } }))
    const client = await connect({ port: postfix.port, from: '127.0.0.7' })
    const offered = await client.hello()
    expect(offered.get('SIZE')).toBe('10240000')
    const secure = await client.startTls({ servername: 'mx.a.test' })
    expect(secure.getPeerCertificate().subject.CN).toBe('mx.a.test')
    expect((await client.ehlo()).has('STARTTLS')).toBe(false)
    await client.mail({ from: 'x@b.test', to: ['u@a.test', 'v@a.test'], content: 'Subject: hi\r\n\r\n.dot\r\n' })
    await client.say('RCPT TO:<x@y.test>').expect(503, '5.5.1')
    await client.quit()
    expect(client.open).toBe(false)
    expect(postfix.logs()).toContain('127.0.0.7')
  })

  it('reads pipelined replies in order and writes bytes in chosen packets', async () => {
    const postfix = await keep(startPostfix({ deliver: { to: 'discard' } }))
    const client = await connect({ port: postfix.port })
    await client.hello()
    client.say('MAIL FROM:<a@b.test>', 'RCPT TO:<c@d.test>', 'DATA')
    await client.expect(250, '2.1.0')
    await client.expect(250, '2.1.5')
    await client.expect(354)
    const content = 'Subject: split\r\n\r\nbody\r\n.\r\nQUIT\r\n'
    await client.writeSplit(content, [content.indexOf('.\r\n') + 1, content.indexOf('.\r\n') + 2])
    expect((await client.expect(250)).afterMs).toBeGreaterThanOrEqual(0)
    await client.expect(221)
    expect(await client.closed()).toBe('closed')
  })

  it('shows the dialogue when another reply arrives, and when none does', async () => {
    const postfix = await keep(startPostfix({ deliver: { to: 'discard' } }))
    const client = await connect({ port: postfix.port, withinMs: 1000 })
    await client.expect(220)
    await expect(client.say('NONSENSE').expect(250)).rejects.toThrow(/expected 250, got 50[02] 5.5.2[\s\S]*C: NONSENSE/)
    await expect(client.reply()).rejects.toThrow('waited 1000 ms in vain')
    client.reset()
  })
})

it('the sink returns each message whole', async () => {
  const taken: TakenMessage[] = []
  const sink = await startWireSink({ take: (message) => taken.push(message) })
  const client = await connect({ port: sink.port })
  await client.hello()
  await client.mail({ from: 'a@b.test', to: ['c@d.test', 'e@d.test'], content: 'Subject: x\r\n\r\n.one\r\n..two\r\n' })
  expect(taken).toMatchObject([
    { sender: 'a@b.test', recipients: ['c@d.test', 'e@d.test'], content: 'Subject: x\r\n\r\n.one\r\n..two\r\n' },
  ])
  await client.quit()
  await runSmtpSource({ ...sink, sessions: 10, messages: 200, bytes: 20_000, reuse: true })
  expect(sink.count).toBe(201)
  expect(taken.at(-1)?.content.length).toBeGreaterThan(20_000)
  await sink.stop()
})
