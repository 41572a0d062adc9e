import { describe, expect, it } from 'vitest'
import { homeDomain, livePostern, password } from './live.ts'

const live = livePostern({
  prepare: async (live) => {
    await homeDomain(live)
    await live.make('groups', { address: 'all@home.test', members: ['ann@home.test', 'bob@home.test'] })
    await live.set('advanced', { allowPlainWithoutTls: true, hostDelimiters: '%' })
    await live.empty('relay')
  },
})

type Asked = {
  from?: string
  sender?: string
  to?: string
  login?: string
}

/** Returns the reply to RCPT for a recipient that is not local. */
async function relayed({ from = '127.0.0.30', sender = 'x@far.test', to = 'y@away.test', login }: Asked = {}) {
  const client = await live.greeted({ from })
  const plain = Buffer.from(`\0${login}\0${password}`).toString('base64')
  if (login) await client.say(`AUTH PLAIN ${plain}`).expect(235)
  await client.say(`MAIL FROM:<${sender}>`).expect(250)
  const reply = await client.ask(`RCPT TO:<${to}>`)
  await client.quit()
  return reply
}

const yes = { code: 250, enhanced: '2.1.5' }
const no = { code: 550, enhanced: '5.7.1' }

async function eachMayReachUs(asked: Asked = {}) {
  expect(await relayed({ ...asked, to: 'ann@home.test' })).toMatchObject(yes)
}

describe('relay modes', () => {
  it('addresses: only clients in the relay list, by address and by block', async () => {
    const refusal = await relayed()
    expect(refusal).toMatchObject(no)
    expect(refusal.raw).toMatch(/relay/i)
    const entry = await live.add('relay', '127.0.0.30')
    expect(await relayed()).toMatchObject(yes)
    expect(await relayed({ from: '127.0.0.31' })).toMatchObject(no)
    await live.add('relay', '127.0.0.0/27')
    expect(await relayed({ from: '127.0.0.31' })).toMatchObject(yes)
    expect(await relayed({ from: '127.0.0.32' })).toMatchObject(no)
    await live.remove('relay', entry)
    expect(await relayed()).toMatchObject(yes)
    await eachMayReachUs({ from: '127.0.0.32' })
  })

  it('the default list contains loopback', async () => {
    // The default before any change: revision 1 is a new Postern.
    await live.change(() => live.api.post('/v1/revisions/1/rollback'))
    expect(await relayed({ from: '127.8.9.10' })).toMatchObject(yes)
  })

  it('none: no client without a login', async () => {
    await live.add('relay', '127.0.0.30')
    expect(await relayed()).toMatchObject(yes)
    await live.set('general', { relayMode: 'none' })
    expect(await relayed()).toMatchObject(no)
    expect(await relayed({ login: 'ann' })).toMatchObject(yes)
    await eachMayReachUs()
  })

  it('localUsers: the sender is an existing local user', async () => {
    await live.add('relay', '127.0.0.30')
    await live.set('general', { relayMode: 'localUsers' })
    expect(await relayed({ sender: 'ann@home.test' })).toMatchObject(yes)
    expect(await relayed({ sender: 'ANN@Also.Test' })).toMatchObject(yes)
    for (const sender of ['nobody@home.test', 'x@far.test', '']) expect(await relayed({ sender })).toMatchObject(no)
    await live.make('accounts', { address: 'nobody@home.test', secret: password })
    expect(await relayed({ sender: 'nobody@home.test' })).toMatchObject(yes)
    await eachMayReachUs()
  })

  it('localHosts: the domain of the sender is local', async () => {
    await live.set('general', { relayMode: 'localHosts' })
    expect(await relayed({ sender: 'nobody@home.test' })).toMatchObject(yes)
    expect(await relayed({ sender: 'nobody@also.test' })).toMatchObject(yes)
    expect(await relayed({ sender: 'a@sub.home.test' })).toMatchObject(no)
    expect(await relayed()).toMatchObject(no)
    await eachMayReachUs()
  })

  it.each(['localUsers', 'localHosts'])('%s: the Accept List counts as local, exactly', async (relayMode) => {
    await live.set('general', { relayMode })
    for (const value of ['partner.test', 'one@single.test', '127.0.0.40']) await live.add('accept', value)
    expect(await relayed({ sender: 'any@Partner.test' })).toMatchObject(yes)
    expect(await relayed({ sender: 'any@sub.partner.test' })).toMatchObject(no)
    expect(await relayed({ sender: 'One@single.test' })).toMatchObject(yes)
    expect(await relayed({ sender: 'two@single.test' })).toMatchObject(no)
    expect(await relayed({ from: '127.0.0.40' })).toMatchObject(yes)
    expect(await relayed({ from: '127.0.0.41' })).toMatchObject(no)
    await live.set('general', { relayMode: 'addresses' })
    expect(await relayed({ sender: 'any@partner.test' })).toMatchObject(no)
  })

  it('anyone: every client, with a warning when it is set', async () => {
    const { warnings } = await live.set('general', { relayMode: 'anyone' })
    expect(warnings.join(' ')).toMatch(/open relay/i)
    expect(await relayed()).toMatchObject(yes)
  })

  it('an authenticated client may always relay', async () => {
    for (const relayMode of ['none', 'addresses', 'localUsers', 'localHosts']) {
      await live.set('general', { relayMode })
      expect(await relayed({ login: 'ann' }), relayMode).toMatchObject(yes)
    }
  })

  it.each(['y%away.test@home.test', '@home.test:y@away.test', '"y@away.test"@home.test', 'y@away.test@home.test'])(
    'a recipient dressed up as local does not get through: %s',
    async (to) => {
      const { code } = await relayed({ to })
      expect(code).toBeGreaterThanOrEqual(500)
    },
  )
})

describe('groups and remote senders', () => {
  it('allowRemoteMailToGroups off: 550 5.7.2, except for local and logged-in users', async () => {
    expect(await relayed({ to: 'all@home.test' })).toMatchObject(yes)
    await live.set('security', { allowRemoteMailToGroups: false })
    expect(await relayed({ to: 'all@home.test' })).toMatchObject({ code: 550, enhanced: '5.7.2' })
    expect(await relayed({ to: 'All@also.test' })).toMatchObject({ code: 550, enhanced: '5.7.2' })
    expect(await relayed({ to: 'all@home.test', login: 'ann' })).toMatchObject(yes)
    await live.add('relay', '127.0.0.30')
    expect(await relayed({ to: 'all@home.test' })).toMatchObject(yes)
    await eachMayReachUs({ from: '127.0.0.31' })
  })
})
