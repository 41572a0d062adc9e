import { describe, expect, it } from 'vitest'
import { homeDomain, livePostern, password } from './live.ts'

const live = livePostern({
  prepare: async (live) => {
    await homeDomain(live)
    await live.make('aliases', { address: 'sales@home.test', to: ['ann@home.test'] })
    await live.set('advanced', { allowPlainWithoutTls: true })
  },
})

/** Returns the reply to MAIL FROM, in a new transaction. */
async function sender(address: string, as?: string) {
  const client = await live.greeted()
  if (as) await client.say(`AUTH PLAIN ${plain(as)}`).expect(235, '2.7.0')
  const reply = await client.ask(`MAIL FROM:<${address}>`)
  await client.quit()
  return reply
}

function plain(login: string): string {
  return Buffer.from(`\0${login}\0${password}`).toString('base64')
}

describe('Kill File', () => {
  it.each([
    ['user@host', 'junk@bad.test', ['junk@bad.test', 'JUNK@BAD.test'], ['good@bad.test', 'junk@sub.bad.test']],
    ['@host', '@bad.test', ['any@bad.test', 'Any@Bad.Test'], ['any@sub.bad.test', 'any@notbad.test']],
    ['@*suffix', '@*bad.test', ['a@bad.test', 'a@sub.bad.test', 'a@notbad.test', 'a@SUB.BAD.TEST'], ['a@bad.test.org']],
    ['upper case in the entry', '@EVIL.Test', ['x@evil.test'], ['x@evil2.test']],
  ])('%s: 501 5.7.1, whatever the case', async (_form, entry, refused, taken) => {
    for (const address of refused) expect(await sender(address)).toMatchObject({ code: 250 })
    const id = await live.add('kill', entry)
    for (const address of refused) {
      const reply = await sender(address)
      expect(reply).toMatchObject({ code: 501, enhanced: '5.7.1' })
      expect(reply.raw).toContain('unacceptable mail address')
    }
    for (const address of [...taken, '']) expect(await sender(address)).toMatchObject({ code: 250 })
    await live.remove('kill', id)
    expect(await sender(refused[0] as string)).toMatchObject({ code: 250 })
  })

  it('the session continues after the refusal, and the White List does not help', async () => {
    await live.add('kill', '@bad.test')
    await live.add('white', '127.0.0.1')
    const client = await live.greeted()
    await client.say('MAIL FROM:<a@bad.test>').expect(501, '5.7.1')
    await client.say('RCPT TO:<ann@home.test>').expect(503, '5.5.1')
    await client.mail({ from: 'a@good.test', to: 'ann@home.test', content: 'Subject: good\r\n' })
  })

  it('a transaction keeps the revision it had at MAIL; the next one uses the new one', async () => {
    const client = await live.greeted()
    await client.say('MAIL FROM:<a@bad.test>').expect(250)
    await live.add('kill', '@bad.test')
    await client.say('RCPT TO:<ann@home.test>').expect(250)
    await client.say('DATA').expect(354)
    await client.write('Subject: begun before\r\n\r\n.\r\n').expect(250)
    await client.say('MAIL FROM:<a@bad.test>').expect(501, '5.7.1')
  })

  it('imports five thousand entries while sessions continue', async () => {
    const lines = Array.from({ length: 5_000 }, (_, i) => `@k${i}.junk.test`).join('\n')
    const body = { body: lines, headers: { 'content-type': 'text/plain' } }
    await live.change(async () => {
      const answer = await live.api.call('POST', '/v1/lists/kill/import', body)
      expect(answer.status, answer.text.slice(0, 500)).toBe(200)
      return answer.body as { revision: number; diff: []; warnings: [] }
    })
    expect(await sender('x@k4999.junk.test')).toMatchObject({ code: 501, enhanced: '5.7.1' })
    expect(await sender('x@k5000.junk.test')).toMatchObject({ code: 250 })
  })
})

describe('local senders', () => {
  it('requireAuthForLocalSenders: 530 5.7.0 without a login, for every name of a local domain', async () => {
    expect(await sender('ann@home.test')).toMatchObject({ code: 250 })
    await live.set('security', { requireAuthForLocalSenders: true })
    expect(await sender('ann@home.test')).toMatchObject({ code: 530, enhanced: '5.7.0' })
    expect(await sender('nobody@also.test')).toMatchObject({ code: 530, enhanced: '5.7.0' })
    expect(await sender('ann@other.test')).toMatchObject({ code: 250 })
    expect(await sender('')).toMatchObject({ code: 250 })
    expect(await sender('ann@home.test', 'ann')).toMatchObject({ code: 250 })
  })

  it('senderMustMatchLogin: 553 5.7.1 for an address that is not the login’s', async () => {
    expect(await sender('boss@other.test', 'ann')).toMatchObject({ code: 250 })
    await live.set('security', { senderMustMatchLogin: true })
    expect(await sender('boss@other.test', 'ann')).toMatchObject({ code: 553, enhanced: '5.7.1' })
    expect(await sender('bob@home.test', 'ann')).toMatchObject({ code: 553, enhanced: '5.7.1' })
    for (const own of ['ann@home.test', 'ANN@also.test', 'ann+box@home.test', 'sales@home.test', ''])
      expect(await sender(own, 'ann'), own).toMatchObject({ code: 250 })
    expect(await sender('boss@other.test')).toMatchObject({ code: 250 })
  })
})

describe('sender syntax', () => {
  it.each(['MAIL FROM:', 'MAIL FROM:<a@b.test', 'MAIL FROM:<a b@c.test>', 'MAIL FROM:<a@>'])(
    '%s is refused with 501 and nothing of it is kept',
    async (line) => {
      const client = await live.greeted()
      await client.say(line).expect(501)
      await client.say('RCPT TO:<ann@home.test>').expect(503, '5.5.1')
    },
  )
})
