import type { Page, RecordedEvent } from '@postern/contract/views.ts'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { until } from '../peers/peer.ts'
import { type Rsyslog, startRsyslog } from '../peers/rsyslog.ts'
import { homeDomain, livePostern } from './live.ts'

/** POSTERN_SYSLOG=host:port: syslog over UDP (RFC 5426) to a real daemon, as a worker in a container must use. */

let daemon: Rsyslog
beforeAll(async () => {
  daemon = await startRsyslog()
})
const live = livePostern({
  prepare: homeDomain,
  postern: () => ({ env: { POSTERN_SYSLOG: `127.0.0.1:${daemon.port}` } }),
})
afterAll(() => daemon?.stop())

async function send(word: string): Promise<void> {
  const client = await live.greeted()
  await client.mail({ from: `${word}@far.test`, to: 'ann@home.test', content: `Subject: ${word}\r\n\r\nx` })
  await client.quit()
}
const found = (word: string) => daemon.lines().filter((line) => line.includes(word))

it('both workers log to it, one datagram per event, and storage has none', async () => {
  await live.set('logging', { destination: 'syslog' })
  await send('first')
  await until('the daemon has it', () => found('first@far.test').length > 0)
  const accepted = found('first@far.test').find((line) => line.includes('message.accepted'))
  expect(accepted).toMatch(/^mail info postern-smtp-1 message\.accepted \{/)
  expect(JSON.parse(accepted?.slice(accepted.indexOf('{')) ?? '')).toMatchObject({ sender: 'first@far.test' })
  await until('the queue logs there as well', () =>
    daemon.lines().some((line) => line.startsWith('mail info postern-queue-1 delivery.delivered')),
  )
  const { items } = await live.api.get<Page<RecordedEvent>>('/v1/events', { q: 'first@far.test', limit: 10 })
  expect(items).toEqual([])
})

it('classic, and back to storage', async () => {
  await live.set('logging', { destination: 'syslog', format: 'classic' })
  await send('second')
  await until('the daemon has it', () => found('second@far.test').length > 0)
  expect(found('second@far.test')[0]).toMatch(/ SMTPD\(\w+\) \[127\.0\.0\.1\] \w+: client=/)
  await live.set('logging', { destination: 'storage', format: 'json' })
  await send('third')
  await live.event('message.accepted', ({ text }) => text.includes('third@far.test'))
  expect(found('third@far.test')).toEqual([])
})

it('an unavailable daemon costs no mail, and gets new events when it is back', async () => {
  await live.set('logging', { destination: 'syslog' })
  const { port } = daemon
  await daemon.stop()
  const before = (await live.mail('ann@home.test')).length
  await send('lost')
  await live.arrived('ann@home.test', before + 1)
  daemon = await startRsyslog({ port })
  await send('back')
  await until('the daemon has it', () => found('back@far.test').length > 0)
})
