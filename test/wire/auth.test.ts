import type { Reply, WireClient } from '@postern/smtp/test/wire-client.ts'
import { describe, expect, it } from 'vitest'
import { selfSigned } from '../peers/certificate.ts'
import { runSwaks } from '../peers/swaks.ts'
import { homeDomain, livePostern, password } from './live.ts'

const live = livePostern({
  prepare: async (live) => {
    await homeDomain(live)
    const { cert, key } = await selfSigned(['mail.home.test'])
    await live.make('certificates', { name: 'mail', certificate: cert, privateKey: key })
  },
})

const base64 = (text: string) => Buffer.from(text).toString('base64')
const plain = (login: string, secret: string) => `AUTH PLAIN ${base64(`\0${login}\0${secret}`)}`

/** Opens a session under TLS, after EHLO. */
async function secure(): Promise<WireClient> {
  const client = await live.greeted()
  await client.startTls()
  await client.ehlo()
  return client
}

/** Returns the reply to this login under TLS, in a new session. */
async function login(name: string, secret: string): Promise<Reply> {
  const client = await secure()
  const reply = await client.ask(plain(name, secret))
  await client.quit()
  return reply
}

const yes = { code: 235, enhanced: '2.7.0' }
const no = { code: 535, enhanced: '5.7.8' }

describe('AUTH (RFC 4954)', () => {
  it('is offered only under TLS, and refused with 538 5.7.11 before it', async () => {
    const client = await live.connect()
    expect((await client.hello()).has('AUTH')).toBe(false)
    await client.say(plain('ann', password)).expect(538, '5.7.11')
    await client.startTls()
    expect((await client.ehlo()).get('AUTH')).toBe('PLAIN LOGIN')
    await client.say(plain('ann', password)).expect(235, '2.7.0')
    await client.say(plain('ann', password)).expect(503, '5.5.1')
  })

  it('PLAIN (RFC 4616) and LOGIN, with and without initial response', async () => {
    const client = await secure()
    await client.say('AUTH PLAIN').expect(334)
    await client.say(base64(`\0ann\0${password}`)).expect(235)
    const second = await secure()
    expect((await second.say('AUTH LOGIN').expect(334)).lines).toEqual([base64('Username:')])
    expect((await second.say(base64('ann')).expect(334)).lines).toEqual([base64('Password:')])
    await second.say(base64(password)).expect(235)
    const third = await secure()
    await third.say(`AUTH LOGIN ${base64('bob@home.test')}`).expect(334)
    await third.say(base64(password)).expect(235)
  })

  it.each(['PLAIN', 'LOGIN'])('swaks logs in with %s over STARTTLS and relays', async (mechanism) => {
    const args = ['--tls', '--auth', mechanism, '--auth-user', 'ann', '--auth-password', password]
    const to = { host: live.postern.host, port: live.postern.submissionPort }
    const { code, output } = await runSwaks(to, [...args, '--from', 'ann@home.test', '--to', 'bob@home.test'])
    expect(code, output).toBe(0)
    expect(output).toMatch(/<~ {2}235 2\.7\.0/)
  })

  it('allowPlainWithoutTls offers it without TLS at once, and withdraws it', async () => {
    await live.set('advanced', { allowPlainWithoutTls: true })
    const client = await live.connect()
    expect((await client.hello()).get('AUTH')).toBe('PLAIN LOGIN')
    await client.say(plain('ann', password)).expect(235, '2.7.0')
    const other = await live.greeted()
    await live.set('advanced', { allowPlainWithoutTls: false })
    await other.say(plain('ann', password)).expect(538, '5.7.11')
  })

  it('disableAuth: not offered, 502 5.5.1; existing logins stay', async () => {
    const before = await secure()
    await before.say(plain('ann', password)).expect(235)
    await live.set('advanced', { disableAuth: true })
    const client = await secure()
    expect((await client.ehlo()).has('AUTH')).toBe(false)
    await client.say(plain('ann', password)).expect(502, '5.5.1')
    await client.say('AUTH LOGIN').expect(502, '5.5.1')
    await before.say('NOOP').expect(250)
  })

  it('authMechanisms: one that is not listed is 504 5.5.4', async () => {
    await live.set('advanced', { authMechanisms: ['LOGIN'] })
    const client = await secure()
    expect((await client.ehlo()).get('AUTH')).toBe('LOGIN')
    await client.say(plain('ann', password)).expect(504, '5.5.4')
    await client.say('AUTH CRAM-MD5').expect(504, '5.5.4')
  })

  it('PLAIN with an authorization identity (RFC 4616): oneself by login or address, else 535 as for a wrong password', async () => {
    const as = (name: string) => `AUTH PLAIN ${base64(`${name}\0ann\0${password}`)}`
    for (const name of ['ann', 'ANN', 'ann@home.test', 'ann@also.test'])
      await (await secure()).say(as(name)).expect(235)
    const client = await secure()
    for (const name of ['bob@home.test', 'nobody', 'also.test']) await client.say(as(name)).expect(535, '5.7.8')
  })

  it('broken exchanges get 501, and the session continues', async () => {
    const client = await secure()
    await client.say('AUTH PLAIN').expect(334)
    await client.say('*').expect(501, '5.7.0')
    await client.say('AUTH PLAIN not!base64').expect(501, '5.5.2')
    await client.say('AUTH LOGIN').expect(334)
    await client.say('%%%').expect(501)
    await client.say(`AUTH PLAIN ${base64('no nul')}`).expect(501)
    await client.say('AUTH').expect(501)
    await client.say(plain('ann', password)).expect(235)
  })

  it('after MAIL it is a bad sequence', async () => {
    const client = await secure()
    await client.say('MAIL FROM:<x@far.test>').expect(250)
    await client.say(plain('ann', password)).expect(503, '5.5.1')
  })
})

describe('who may log in', () => {
  it('unknown user, wrong password and disabled account get exactly the same reply', async () => {
    const id = await live.make('accounts', { address: 'gone@home.test', secret: password })
    await live.alter(`/v1/accounts/${id}`, { disabled: true })
    const wrong = await login('ann', 'not the password')
    const unknown = await login('nobody', password)
    const disabled = await login('gone@home.test', password)
    expect(wrong).toMatchObject(no)
    expect(unknown.raw).toBe(wrong.raw)
    expect(disabled.raw).toBe(wrong.raw)
    await live.alter(`/v1/accounts/${id}`, { disabled: false })
    expect(await login('gone@home.test', password)).toMatchObject(yes)
  })

  it('a hash is checked even for an unknown login', async () => {
    const took = { wrong: [] as number[], unknown: [] as number[] }
    // The first check of a process is slower than the others.
    await login('ann', 'warm up')
    for (let round = 0; round < 8; round++) {
      took.wrong.push((await login('ann', `wrong ${round}`)).afterMs)
      took.unknown.push((await login(`nobody${round}`, `wrong ${round}`)).afterMs)
    }
    // The minimum of several, because other work only adds time. Without a hash to check, a reply takes a fraction of this.
    const [wrong, unknown] = [Math.min(...took.wrong), Math.min(...took.unknown)]
    expect(unknown).toBeGreaterThan(5)
    console.info(`wrong password ${wrong.toFixed(1)} ms, unknown login ${unknown.toFixed(1)} ms, at least`)
  })

  it('a new password is valid at once, and the old one is not', async () => {
    const id = await live.make('accounts', { address: 'eve@home.test', login: 'eve', secret: password })
    expect(await login('eve', password)).toMatchObject(yes)
    await live.alter(`/v1/accounts/${id}`, { secret: 'another long password' })
    expect(await login('eve', password)).toMatchObject(no)
    expect(await login('eve', 'another long password')).toMatchObject(yes)
    await live.drop(`/v1/accounts/${id}`)
    expect(await login('eve', 'another long password')).toMatchObject(no)
  })

  it('host delimiters act like @ in logins', async () => {
    expect(await login('bob%home.test', password)).toMatchObject(no)
    await live.set('advanced', { hostDelimiters: '%*' })
    expect(await login('bob%home.test', password)).toMatchObject(yes)
    expect(await login('bob*home.test', password)).toMatchObject(yes)
    expect(await login('bob:home.test', password)).toMatchObject(no)
  })

  it('a session loses its login when its account is disabled or removed; a transaction in progress finishes', async () => {
    await live.empty('relay')
    for (const end of ['disabled', 'gone']) {
      const id = await live.make('accounts', { address: `${end}@home.test`, secret: password })
      const client = await secure()
      await client.say(plain(`${end}@home.test`, password)).expect(235)
      await client.say(`MAIL FROM:<${end}@home.test>`).expect(250)
      if (end === 'disabled') await live.alter(`/v1/accounts/${id}`, { disabled: true })
      else await live.drop(`/v1/accounts/${id}`)
      await client.say('RCPT TO:<z@far.test>').expect(250)
      await client.say('RSET').expect(250)
      await client.say(`MAIL FROM:<${end}@home.test>`).expect(250)
      await client.say('RCPT TO:<z@far.test>').expect(550, '5.7.1')
    }
  })

  it('is recorded in events without secrets', async () => {
    await login('eavesdropped', 'the-very-secret')
    await login('ann', password)
    const failed = await live.event('auth.failed', (event) => event.login === 'eavesdropped')
    expect(failed.verdict).toMatchObject({ rule: 'auth-credentials', reason: 'auth-failed' })
    expect(await live.event('auth.succeeded')).toMatchObject({ login: 'ann@home.test', mechanism: 'PLAIN' })
    const all = JSON.stringify(await live.api.get('/v1/events', { limit: 200 }))
    for (const secret of ['the-very-secret', base64('the-very-secret'), password]) {
      expect(all).not.toContain(secret)
      expect(live.postern.logs()).not.toContain(secret)
    }
  })
})
