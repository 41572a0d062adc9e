import { expect, it } from 'vitest'
import { selfSigned } from './certificate.ts'
import { peersOfEachTest } from './failure.ts'
import { answers, until } from './peer.ts'
import { type Postfix, startPostfix } from './postfix.ts'
import { type SmtpSink, startSmtpSink } from './smtp-sink.ts'
import { runSmtpSource } from './smtp-source.ts'
import { runSwaks } from './swaks.ts'

const keep = peersOfEachTest()

it('receives for a domain, stores the mail, and refuses the configured recipients', async () => {
  const certificate = await selfSigned(['mx.a.test'])
  const postfix: Postfix = await keep(
    startPostfix({
      deliver: { to: 'maildir' },
      domains: ['a.test'],
      certificate,
      reject: { 'nobody@a.test': '550 5.1.1 no such user' },
    }),
  )
  const taken = await runSwaks(postfix, ['--to', 'bob@a.test', '--from', 'x@b.test', '--tls', '--body', 'hello bob'])
  expect(taken.output).toContain('~> QUIT')
  expect(taken.code).toBe(0)
  await until('the mail is kept', async () => (await postfix.mail('bob@a.test')).length === 1)
  expect((await postfix.mail('bob@a.test'))[0]).toContain('hello bob')
  const refused = await runSwaks(postfix, ['--to', 'nobody@a.test', '--from', 'x@b.test'])
  expect(refused.output).toContain('550 5.1.1')
  await postfix.stop()
  await until('its port is closed', async () => !(await answers(postfix.host, postfix.port)))
})

it('relays mail from smtp-source to smtp-sink', async () => {
  const sink: SmtpSink = await keep(startSmtpSink())
  const postfix = await keep(startPostfix({ deliver: { to: 'relay', host: sink.host, port: sink.port } }))
  const run = await runSmtpSource({ ...postfix, sessions: 5, messages: 40, bytes: 1024, reuse: true })
  expect(run.perSecond).toBeGreaterThan(0)
  await until('all is at the sink', () => sink.received().messages === 40)
  await until('the queue is empty', async () => (await postfix.queued()) === 0)
})

it.each(['discard', 'hold'] as const)('takes mail to %s', async (to) => {
  const postfix = await keep(startPostfix({ deliver: { to } }))
  await runSmtpSource({ ...postfix, sessions: 2, messages: 10, bytes: 100, reuse: false })
  const left = to === 'hold' ? 10 : 0
  await until(`${left} messages are left in the queue`, async () => (await postfix.queued()) === left)
})
