import { readdir } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { until } from '../peers/peer.ts'
import { homeDomain, livePostern, password } from './live.ts'
import { startWireSink, type TakenMessage, type WireSink } from './sink.ts'

/** Proves [general.postmaster, domain.verifyRecipients, account.forwardTo, account.keepCopy]. */

let sink: WireSink
let taken: TakenMessage[] = []
beforeAll(async () => {
  sink = await startWireSink({ host: '127.0.0.9', take: (message) => taken.push(message) })
})
afterAll(() => sink?.stop())

const live = livePostern({ prepare: homeDomain })

/** Returns the reply to each RCPT, and sends the message to the accepted recipients. */
async function send(recipients: string[], { from = 'eve@far.test', fields = '' } = {}) {
  const client = await live.greeted()
  await client.say(`MAIL FROM:<${from}>`).expect(250)
  const codes: number[] = []
  for (const to of recipients) codes.push((await client.say(`RCPT TO:<${to}>`).reply()).code)
  if (codes.includes(250)) {
    await client.say('DATA').expect(354)
    await client.write(`${fields}Subject: test\r\n\r\nhello\r\n.\r\n`).expect(250)
  }
  await client.quit()
  return codes
}

const route = () => ({ type: 'smtp', host: sink.host, port: sink.port, tls: 'none' })
const sent = (to: string) => taken.filter(({ recipients }) => recipients.includes(to))
const arrives = (to: string) => until(`${to} has it`, () => Promise.resolve(sent(to).length > 0))

describe('verifyRecipients any', () => {
  it('passes every recipient to the route, and can be turned off again', async () => {
    const id = await live.make('domains', { name: 'any.test', route: route(), verifyRecipients: 'any' })
    expect(await send(['Who.Ever+box@any.test', 'postmaster@any.test', 'who@home.test'])).toEqual([250, 250, 550])
    for (const to of ['Who.Ever+box@any.test', 'postmaster@any.test']) await arrives(to)
    await live.alter(`/v1/domains/${id}`, { verifyRecipients: 'directory' })
    expect(await send(['who@any.test'])).toEqual([550])
  })
})

describe('postmaster reaches a mailbox', () => {
  it('of every domain, whatever its route, and without a domain', async () => {
    await live.make('domains', { name: 'routed.test', route: route() })
    await live.make('domains', { name: 'gone.test', route: { type: 'discard' } })
    await live.set('general', { postmaster: 'ann@home.test' })
    const all = [
      'postmaster',
      'Postmaster@home.test',
      'postmaster@also.test',
      'postmaster@routed.test',
      'postmaster@gone.test',
    ]
    for (const to of all) expect(await send([to]), to).toEqual([250])
    await live.arrived('ann@home.test', all.length)
    expect(sent('postmaster@routed.test')).toEqual([])
    await live.make('aliases', { address: 'postmaster@routed.test', to: ['bob@home.test'] })
    expect(await send(['postmaster@routed.test'])).toEqual([250])
    await live.arrived('bob@home.test', 1)
  })

  it('is the first administrator unless it is set', async () => {
    const { settings } = await live.api.get<{ settings: { postmaster: string } }>('/v1/settings/general')
    const { email } = await live.api.get<{ email: string }>('/v1/me')
    expect(settings.postmaster).toBe(email)
  })
})

describe('forwarding', () => {
  it('keeps a copy if configured, and does not loop', async () => {
    await live.make('domains', { name: 'out.test', route: route(), verifyRecipients: 'any' })
    const id = await live.make('accounts', { address: 'kim@home.test', secret: password, forwardTo: ['kim@out.test'] })
    expect(await send(['kim@home.test'])).toEqual([250])
    await live.arrived('kim@home.test', 1)
    await arrives('kim@out.test')
    const [copy] = sent('kim@out.test')
    expect(copy?.content.toLowerCase()).toContain('delivered-to: kim@home.test')
    await live.alter(`/v1/accounts/${id}`, { keepCopy: false })
    taken = []
    expect(await send(['kim@home.test'])).toEqual([250])
    await arrives('kim@out.test')
    // It comes back, is neither kept nor forwarded again, and its sender is notified.
    taken = []
    await send(['kim@home.test'], { from: 'bob@home.test', fields: 'Delivered-To: kim@home.test\r\n' })
    await live.event('delivery.bounced', ({ text }) => text.includes('kim@out.test'))
    expect(taken).toEqual([])
    expect(await live.mail('kim@home.test')).toHaveLength(1)
  })
})

it('only the directory creates mailboxes', async () => {
  await live.make('domains', { name: 'refusing.test', route: { ...route(), port: 1 } })
  await live.make('accounts', { address: 'x@refusing.test', secret: password })
  const { id } = await live.api.post<{ id: string }>('/v1/messages', {
    sender: 'ghost@home.test',
    recipients: ['x@refusing.test'],
    message: 'Subject: test\r\n\r\nhello\r\n',
  })
  await live.event('delivery.deferred', (event) => event.messageId === id)
  await live.api.post(`/v1/messages/${id}/bounce`)
  await live.event('delivery.bounced', ({ text }) => text.includes('ghost@home.test'))
  expect(await readdir(`${live.postern.dataDirectory}/mail/home.test`)).not.toContain('ghost')
  expect((await live.postern.quiet()).total.balance).toBe(0)
})
