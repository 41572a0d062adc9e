import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { until } from '../peers/peer.ts'
import { type Postfix, startPostfix } from '../peers/postfix.ts'
import { homeDomain, livePostern, password } from './live.ts'

let elsewhere: Postfix
beforeAll(async () => {
  elsewhere = await startPostfix({ deliver: { to: 'maildir' }, host: '127.0.0.2', domains: ['home.test'] })
})
afterAll(() => elsewhere?.stop())

const live = livePostern({
  prepare: async (live) => {
    await homeDomain(live)
    await live.empty('relay')
  },
})

async function rcpt(to: string) {
  const client = await live.greeted()
  await client.say('MAIL FROM:<x@far.test>').expect(250)
  const reply = await client.ask(`RCPT TO:<${to}>`)
  await client.quit()
  return reply
}

let serial = 0
/** Sends a mail and returns its subject, to find it by. */
async function send(to: string | string[]): Promise<string> {
  const subject = `number ${++serial}`
  const client = await live.greeted()
  await client.mail({ from: 'x@far.test', to, content: `Subject: ${subject}\r\n\r\nhello\r\n` })
  await client.quit()
  return subject
}

/** Waits until mail with this subject is in this maildir, and returns how many copies there are. */
async function has(address: string, subject: string): Promise<number> {
  const count = async () => (await live.mail(address)).filter((text) => text.includes(`Subject: ${subject}\r\n`)).length
  await until(`"${subject}" is with ${address}`, async () => (await count()) > 0)
  return count()
}

const yes = { code: 250, enhanced: '2.1.5' }
const unknown = { code: 550, enhanced: '5.1.1' }

describe('recipients of local domains', () => {
  it('an unknown user is 550 5.1.1, until the account is created', async () => {
    expect(await rcpt('carl@home.test')).toMatchObject(unknown)
    const id = await live.make('accounts', { address: 'carl@home.test', secret: password })
    expect(await rcpt('Carl@HOME.test')).toMatchObject(yes)
    expect(await has('carl@home.test', await send('CARL@home.test'))).toBe(1)
    await live.drop(`/v1/accounts/${id}`)
    expect(await rcpt('carl@home.test')).toMatchObject(unknown)
  })

  it('a domain is local as soon as it is created, and remote again when it is removed', async () => {
    expect(await rcpt('a@new.test')).toMatchObject({ code: 550, enhanced: '5.7.1' })
    const id = await live.make('domains', { name: 'new.test', route: { type: 'discard' } })
    expect(await rcpt('a@new.test')).toMatchObject(unknown)
    await live.drop(`/v1/domains/${id}`)
    expect(await rcpt('a@new.test')).toMatchObject({ code: 550, enhanced: '5.7.1' })
  })

  it('an alias of the domain means the domain', async () => {
    expect(await has('ann@home.test', await send('ann@also.test'))).toBe(1)
    expect(await rcpt('nobody@also.test')).toMatchObject(unknown)
  })

  it('an alias leads to its targets, here and elsewhere', async () => {
    const id = await live.make('aliases', { address: 'sales@home.test', to: ['ann@home.test', 'bob@home.test'] })
    const subject = await send('sales@home.test')
    expect(await has('ann@home.test', subject)).toBe(1)
    expect(await has('bob@home.test', subject)).toBe(1)
    await live.alter(`/v1/aliases/${id}`, { to: ['bob@home.test'] })
    const next = await send('sales@home.test')
    expect(await has('bob@home.test', next)).toBe(1)
    expect((await live.mail('ann@home.test')).some((text) => text.includes(`Subject: ${next}\r\n`))).toBe(false)
  })

  it('nested groups and aliases give each member one copy', async () => {
    await live.make('groups', { address: 'inner@home.test', members: ['bob@home.test', 'ann@home.test'] })
    await live.make('aliases', { address: 'middle@home.test', to: ['inner@home.test'] })
    await live.make('groups', { address: 'outer@home.test', members: ['middle@home.test', 'ann@also.test'] })
    const subject = await send(['outer@home.test', 'inner@home.test'])
    expect(await has('ann@home.test', subject)).toBe(1)
    expect(await has('bob@home.test', subject)).toBe(1)
  })

  it('a loop of aliases is 550 5.4.6 at RCPT', async () => {
    await live.make('aliases', { address: 'round@home.test', to: ['about@home.test'] })
    await live.make('aliases', { address: 'about@home.test', to: ['round@home.test'] })
    expect(await rcpt('round@home.test')).toMatchObject({ code: 550, enhanced: '5.4.6' })
    expect(await rcpt('ann@home.test')).toMatchObject(yes)
  })

  it('a catch-all gets mail for unknown users only', async () => {
    const { items } = await live.api.get<{ items: { id: string; name: string }[] }>('/v1/domains')
    const id = items.find(({ name }) => name === 'home.test')?.id
    await live.alter(`/v1/domains/${id}`, { catchAll: 'bob@home.test' })
    const caught = await send('whoever@home.test')
    expect(await has('bob@home.test', caught)).toBe(1)
    expect(await has('ann@home.test', await send('ann@home.test'))).toBe(1)
    await live.alter(`/v1/domains/${id}`, { catchAll: '' })
    expect(await rcpt('whoever@home.test')).toMatchObject(unknown)
  })

  it('the mailbox delimiter: user+box is user; another character, or none, applies at once', async () => {
    expect(await has('ann@home.test', await send('ann+lists@home.test'))).toBe(1)
    await live.set('advanced', { mailboxDelimiter: '-' })
    expect(await rcpt('ann+lists@home.test')).toMatchObject(unknown)
    expect(await has('ann@home.test', await send('Ann-lists@home.test'))).toBe(1)
    await live.set('advanced', { mailboxDelimiter: '' })
    expect(await rcpt('ann-lists@home.test')).toMatchObject(unknown)
  })

  it('a delimiter that occurs in an account is refused, naming the account, and nothing changes', async () => {
    await live.make('accounts', { address: 'jean_luc@home.test', secret: password })
    const refused = await live.api.call('PATCH', '/v1/settings/advanced', { body: { mailboxDelimiter: '_' } })
    expect(refused.status).toBeGreaterThanOrEqual(409)
    expect(refused.status).toBeLessThan(500)
    expect(refused.text).toContain('jean_luc@home.test')
    expect(await rcpt('ann+x@home.test')).toMatchObject(yes)
  })

  it('one mailbox has one owner under all names of its domain', async () => {
    const refused = async (method: 'POST' | 'PATCH', path: string, body: object) => {
      const { status, text } = await live.api.call(method, path, { body })
      expect(status).toBe(422)
      return text
    }
    const theft = { address: 'ann@also.test', to: ['bob@home.test'] }
    expect(await refused('POST', '/v1/aliases', theft)).toContain('the account ann@home.test')
    expect(await has('ann@home.test', await send('ann@also.test'))).toBe(1)
    const both = { mailboxDelimiter: '%', hostDelimiters: '%' }
    expect(await refused('PATCH', '/v1/settings/advanced', both)).toContain('it cannot be both')
  })

  it('host delimiters act like @ in addresses', async () => {
    expect((await rcpt('ann%home.test')).code).toBeGreaterThanOrEqual(500)
    await live.set('advanced', { hostDelimiters: '%' })
    expect(await has('ann@home.test', await send('ann%home.test'))).toBe(1)
    expect(await rcpt('x%far.test')).toMatchObject({ code: 550, enhanced: '5.7.1' })
  })

  it('postmaster is accepted at every local domain, and without a domain', async () => {
    for (const to of ['postmaster@home.test', 'PostMaster@also.test', 'postmaster'])
      expect(await rcpt(to), to).toMatchObject(yes)
  })

  it('defaultMailHost sends mail for unknown users to another server', async () => {
    await live.set('general', { defaultMailHost: `${elsewhere.host}:${elsewhere.port}` })
    const subject = await send('stranger@home.test')
    const arrived = async () => (await elsewhere.mail('stranger@home.test')).some((text) => text.includes(subject))
    await until('the stranger’s mail is at the other server', arrived)
    expect(await has('ann@home.test', await send('ann@home.test'))).toBe(1)
    await live.set('general', { defaultMailHost: '' })
    expect(await rcpt('stranger@home.test')).toMatchObject(unknown)
  })

  it('the books balance after all of it', async () => {
    const { balance } = (await live.postern.quiet()).total
    expect(balance).toBe(0)
  })

  it.each(['RCPT TO:', 'RCPT TO:<>', 'RCPT TO:<ann@home.test', 'RCPT TO:<a b@home.test>'])(
    '%s is refused with 501',
    async (line) => {
      const client = await live.greeted()
      await client.say('MAIL FROM:<x@far.test>').expect(250)
      await client.say(line).expect(501)
      await client.say('DATA').expect([503, 554])
    },
  )
})
