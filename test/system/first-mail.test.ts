import { afterEach, expect, it } from 'vitest'
import { startDns } from '../peers/dns.ts'
import { peersOfEachTest, showLogsOnFailure } from '../peers/failure.ts'
import { until } from '../peers/peer.ts'
import { startPostfix } from '../peers/postfix.ts'
import { runSwaks } from '../peers/swaks.ts'
import { type Postern, startPostern } from './postern.ts'

/** The README's first steps: start Postern, send a message, see it arrive, change a setting, see its effect. */

const keep = peersOfEachTest()
let postern: Postern | undefined
showLogsOnFailure(() => [postern])
afterEach(async () => {
  await postern?.stop()
  postern = undefined
})

it('mail sent with swaks arrives at a real server, and a changed setting applies to the next message', async () => {
  const server = await keep(startPostfix({ deliver: { to: 'maildir' }, host: '127.0.0.2', domains: ['friend.test'] }))
  const names = {
    'friend.test': { mx: [[10, 'mx.friend.test']] as [number, string][] },
    'mx.friend.test': { a: ['127.0.0.2'] },
  }
  const dns = await keep(startDns({ names }))
  postern = await startPostern({ dns: dns.server, outboundPort: server.port })
  const { api, logs } = postern
  expect(logs()).toMatch(/^postern ready .*$/m)
  const worker = postern.pids('smtp')

  const mail = ['--from', 'me@my.test', '--to', 'you@friend.test', '--header', 'Subject: the first mail']
  const first = await runSwaks({ host: postern.host, port: postern.smtpPort }, [...mail, '--body', 'hello, friend'])
  expect(first, first.output).toMatchObject({ code: 0 })
  const accepted = /250 2\.0\.0 .*?([0-9a-f-]{36})/.exec(first.output)?.[1]
  await until('it is at the other server', async () => (await server.mail('you@friend.test')).length === 1)
  const [text] = await server.mail('you@friend.test')
  expect(text).toContain('Subject: the first mail')
  expect(text).toContain('hello, friend')
  expect(text).toMatch(new RegExp(`by \\S+ \\(Postern\\) with ESMTP id ${accepted}`))

  const { revision } = await api.post('/v1/lists/kill', { value: '@my.test', comment: 'enough of me' })
  await postern.settle(revision)
  const second = await runSwaks({ host: postern.host, port: postern.smtpPort }, mail)
  expect(second.code).not.toBe(0)
  expect(second.output).toContain('501 5.7.1 unacceptable mail address')
  expect(postern.pids('smtp')).toEqual(worker)

  const trace = await api.get<{ state: string; trace: { type: string }[] }>(`/v1/messages/${accepted}`)
  expect(trace.state).toBe('finished')
  expect(trace.trace.map(({ type }) => type)).toContain('delivery.delivered')
  expect((await postern.quiet()).total).toMatchObject({ received: 1, delivered: 1, balance: 0 })
  await postern.stop()
})
