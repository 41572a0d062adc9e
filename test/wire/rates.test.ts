import { describe, expect, it } from 'vitest'
import { banner, greeted } from './attackers.ts'
import { homeDomain, livePostern, password } from './live.ts'

/** Connections, messages and recipients of one client, one login, one account. Each worker counts for itself. */

const live = livePostern({
  prepare: async (live) => {
    await homeDomain(live)
    await live.set('advanced', { allowPlainWithoutTls: true })
  },
})
const port = () => live.postern.smtpPort

async function loggedIn(from: string, login = 'ann') {
  const client = await live.greeted({ from })
  await client.say(`AUTH PLAIN ${Buffer.from(`\0${login}\0${password}`).toString('base64')}`).expect(235)
  return client
}

// [security.ratesPerClient, security.ratesPerLogin]
describe('per client', () => {
  it.each(['connectionsPerMinute', 'connectionsPerHour'])('%s: 421 4.7.0 past it', async (key) => {
    await live.set('security', { ratesPerClient: { [key]: 3 } })
    const from = key.endsWith('Hour') ? '127.4.0.1' : '127.4.0.2'
    for (let i = 0; i < 3; i++) expect((await banner(port(), from)).code).toBe(220)
    for (let i = 0; i < 2; i++) expect(await banner(port(), from)).toMatchObject({ code: 421, enhanced: '4.7.0' })
    expect((await banner(port(), '127.4.0.3')).code).toBe(220)
    const event = await live.event('session.refused', ({ client }) => (client as { ip: string }).ip === from)
    expect(event.verdict).toMatchObject({ rule: 'connection-rate', reason: 'rate-exceeded' })
    await live.set('security', { ratesPerClient: { [key]: 0 } })
    expect((await banner(port(), from)).code).toBe(220)
  })

  it.each(['messagesPerMinute', 'messagesPerHour'])('%s: 450 4.7.1 past it, in whatever session', async (key) => {
    await live.set('security', { ratesPerClient: { [key]: 2 } })
    const from = key.endsWith('Hour') ? '127.4.1.1' : '127.4.1.2'
    for (const _ of [1, 2]) {
      const client = await live.greeted({ from })
      await client.mail({ from: 'x@far.test', to: 'ann@home.test', content: 'Subject: x\r\n' })
    }
    const client = await live.greeted({ from })
    await client.say('MAIL FROM:<x@far.test>').expect(450, '4.7.1')
    await client.say('NOOP').expect(250)
    const other = await live.greeted({ from: '127.4.1.3' })
    await other.say('MAIL FROM:<x@far.test>').expect(250)
  })

  it.each(['recipientsPerMinute', 'recipientsPerHour'])(
    '%s: 450 4.7.1 past it; refused ones do not count',
    async (key) => {
      await live.set('security', { ratesPerClient: { [key]: 2 } })
      const client = await greeted(port(), key.endsWith('Hour') ? '127.4.2.1' : '127.4.2.2')
      await client.say('MAIL FROM:<x@far.test>').expect(250)
      await client.say('RCPT TO:<nobody@home.test>').expect(550)
      await client.say('RCPT TO:<ann@home.test>').expect(250)
      await client.say('RCPT TO:<bob@home.test>').expect(250)
      await client.say('RCPT TO:<ann@home.test>').expect(450, '4.7.1')
      client.destroy()
    },
  )
})

describe('per login', () => {
  it('connections: 421 4.7.0 for the login above it', async () => {
    await live.set('security', { ratesPerLogin: { connectionsPerMinute: 2 } })
    await loggedIn('127.4.3.1')
    await loggedIn('127.4.3.2')
    const third = await live.greeted({ from: '127.4.3.3' })
    await third.say(`AUTH PLAIN ${Buffer.from(`\0ann\0${password}`).toString('base64')}`).expect(421, '4.7.0')
    await third.closed()
    await loggedIn('127.4.3.3', 'bob@home.test')
  })

  it('messages and recipients: 450 4.7.1, from any address', async () => {
    await live.set('security', { ratesPerLogin: { messagesPerMinute: 1, recipientsPerMinute: 2 } })
    const first = await loggedIn('127.4.4.1')
    await first.say('MAIL FROM:<ann@home.test>').expect(250)
    await first.say('RCPT TO:<bob@home.test>').expect(250)
    await first.say('RCPT TO:<ann@home.test>').expect(250)
    await first.say('RCPT TO:<x@far.test>').expect(450, '4.7.1')
    const second = await loggedIn('127.4.4.2')
    await second.say('MAIL FROM:<ann@home.test>').expect(450, '4.7.1')
  })
})

describe('the quota of an account', () => {
  it.each(['sendsPerHour', 'sendsPerDay'])('%s: 450 4.7.1 past it, and for nobody else', async (key) => {
    const name = key.toLowerCase()
    const id = await live.make('accounts', { address: `${name}@home.test`, secret: password, quotas: { [key]: 2 } })
    const client = await loggedIn('127.4.5.1', `${name}@home.test`)
    for (const _ of [1, 2]) await client.mail({ from: `${name}@home.test`, to: 'ann@home.test', content: 'x' })
    await client.say(`MAIL FROM:<${name}@home.test>`).expect(450, '4.7.1')
    await live.alter(`/v1/accounts/${id}`, { quotas: { [key]: 3 } })
    await client.say(`MAIL FROM:<${name}@home.test>`).expect(250)
    const other = await loggedIn('127.4.5.1')
    for (let i = 0; i < 4; i++) await other.mail({ from: 'ann@home.test', to: 'bob@home.test', content: 'x' })
  })
})
