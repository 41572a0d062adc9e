import { zstdCompressSync } from 'node:zlib'
import { envelopeFor } from '@postern/queue/test/testbed.ts'
import { openLocalWriter } from '@postern/spool/local/writer.ts'
import { expect, it } from 'vitest'
import { freePort, until } from '../peers/peer.ts'
import { homeDomain, livePostern } from './live.ts'

/** What depends on time, tested without a fake clock: mail that is hours old, and the report about the previous day. */

const hour = 3_600_000
const day = 24 * hour

const live = livePostern({
  prepare: async (it) => {
    await homeDomain(it)
    const route = { type: 'smtp', host: '127.0.0.1', port: await freePort(), tls: 'none' }
    await it.make('domains', { name: 'away.test', route })
  },
})

/** Puts a message of this age into the spool, as a receiver with its own writer would have. */
async function received(ageMs: number, to: string): Promise<string> {
  const directory = `${live.postern.dataDirectory}/spool`
  const writer = await openLocalWriter({ directory, name: `smtp-old${++writers}` })
  const receivedAt = Date.now() - ageMs
  const envelope = envelopeFor([to], { sender: 'ann@home.test', receivedAt, worker: writer.name })
  await writer.write({ envelope, body: Buffer.from(`Subject: to ${to}\r\n\r\nHello.\r\n`) })
  await writer.close()
  return envelope.id
}
let writers = 0

const told = async () => (await live.mail('ann@home.test')).filter((mail) => mail.includes('Action: delayed'))
const deferred = (id: string) => live.event('delivery.deferred', ({ messageId }) => messageId === id)

// [queue.delayWarningHours]
it('delayWarningHours: one notification at that age, none before, and none with 0', async () => {
  await live.set('queue', { delayWarningHours: 0 })
  await deferred(await received(5 * hour, 'none@away.test'))
  await live.set('queue', { delayWarningHours: 6 })
  await deferred(await received(5 * hour, 'early@away.test'))
  await live.set('queue', { delayWarningHours: 4 })
  const id = await received(5 * hour, 'late@away.test')
  await deferred(id)
  await until('the sender is told', async () => (await told()).length > 0)
  const [warning, ...more] = await told()
  expect(more).toEqual([])
  expect(warning).toMatch(/^Return-Path: <>\r\n/)
  expect(warning).toContain('Subject: Delayed mail: still being tried\r\n')
  expect(warning).toContain('Final-Recipient: rfc822; late@away.test\r\nAction: delayed\r\nStatus: 4.4.1\r\n')
  expect(warning).toContain('Subject: to late@away.test')
  // After another attempt there is no second notification.
  await live.change(() => live.api.post(`/v1/messages/${id}/retry`))
  await live.event('delivery.deferred', ({ messageId, attempt }) => messageId === id && attempt === 2)
  expect(await told()).toHaveLength(1)
})

// [queue.dailyReport]
it('dailyReport: one message with the numbers of the previous day', async (context) => {
  const intoDay = Date.now() % day
  if (intoDay < 10 * 60_000 || intoDay > day - 60_000)
    context.skip('around midnight the day before is not over or changes')
  const yesterday = new Date(Date.now() - day)
  await tellOf(yesterday)
  await live.set('queue', { dailyReport: 'ann@home.test' })
  const name = yesterday.toISOString().slice(0, 10)
  const reports = async () =>
    (await live.mail('ann@home.test')).filter((mail) => mail.includes(`Subject: Daily report for ${name}`))
  await until('the report is there', async () => (await reports()).length > 0, { withinMs: 30_000 })
  const [report = ''] = await reports()
  expect(report).toMatch(/Received +3\r\n/)
  expect(report).toMatch(/Refused \(replies\) +2\r\n +relay-denied +2/)
  // A second request does not create it again.
  await live.set('queue', { dailyReport: '' })
  await live.set('queue', { dailyReport: 'ann@home.test' })
  await new Promise((resolve) => setTimeout(resolve, 3_000))
  expect(await reports()).toHaveLength(1)
})

/** Three recipients and two refusals, from workers that reach the API only now. */
async function tellOf(at: Date): Promise<void> {
  const ask = async <T>(path: string, body: unknown, bearer = '') => {
    const authorization = bearer && `Bearer ${bearer}`
    const headers = { 'content-type': 'application/json', ...(authorization ? { authorization } : {}) }
    const answer = await fetch(live.api.url + path, {
      method: 'POST',
      headers,
      body: body instanceof Buffer ? new Uint8Array(body) : JSON.stringify(body),
    })
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`)
    return (await answer.json()) as T
  }
  const enrol = async (service: 'smtp' | 'queue') => {
    const name = `${service}-late`
    const { token } = await live.api.post<{ token: string }>('/v1/enrol-tokens', { service, name })
    const body = { token, service, name, version: '1' }
    return (await ask<{ accessToken: string }>('/v1/worker/enrol', body)).accessToken
  }
  const verdict = {
    stage: 'rcpt',
    rule: 'relay',
    reason: 'relay-denied',
    revision: 1,
    reply: '550 5.7.1 no relaying',
    explanation: [],
    trail: [],
  }
  const refused = { type: 'command.refused', client: { ip: '192.0.2.7' }, verdict }
  const events = [1, 2].map((n) => ({ n, at: at.toISOString(), ...refused }))
  const text = events.map((event) => `${JSON.stringify(event)}\n`).join('')
  const log = '/v1/worker/events?log=0a1b2c3d4e5f&after=0&first=1&last=2'
  await ask(log, zstdCompressSync(text), await enrol('smtp'))
  const counts = {
    id: 1,
    since: at.getTime(),
    messages: 1,
    received: 3,
    delivered: 3,
    bounced: 0,
    discarded: 0,
    waiting: 0,
  }
  const page = { incarnation: 1, from: 0, to: 1, all: { run: 1, page: 0, last: true }, waiting: [], gone: [], counts }
  await ask('/v1/worker/queue', page, await enrol('queue'))
}
