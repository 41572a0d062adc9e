import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { WireClient } from '@postern/smtp/test/wire-client.ts'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { selfSigned } from '../peers/certificate.ts'
import { homeDomain, livePostern, password } from './live.ts'

/** Tokens instead of passwords, from an issuer on this machine. */

let server: Server
let issuer: string
let asked = 0
const pair = generateKeyPair('ES256')
const stranger = generateKeyPair('ES256')

beforeAll(async () => {
  const key = { ...(await exportJWK((await pair).publicKey)), kid: 'one', alg: 'ES256' }
  server = createServer(({ url }, response) => {
    asked++
    const configuration = { issuer, jwks_uri: `${issuer}/keys` }
    response.end(JSON.stringify(url === '/keys' ? { keys: [key] } : configuration))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
})

const live = livePostern({
  postern: () => ({ env: { POSTERN_HOOKS_MAY_REACH: '127.0.0.0/8' } }),
  prepare: async (live) => {
    await homeDomain(live)
    const { cert, key } = await selfSigned(['mail.home.test'])
    // Failed logins of this file are not an attack.
    await live.add('white', '127.0.0.0/8')
    await live.make('certificates', { name: 'mail', certificate: cert, privateKey: key })
  },
})

async function sign(change: object = {}, by = pair): Promise<string> {
  const claims = {
    iss: issuer,
    aud: 'smtp',
    email: 'ann@home.test',
    exp: Math.floor(Date.now() / 1000) + 300,
    ...change,
  }
  return new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid: 'one' }).sign((await by).privateKey)
}

const base64 = (text: string) => Buffer.from(text).toString('base64')
const oauthBearer = (token: string, user = 'ann@home.test') =>
  base64(`n,a=${user},\x01host=mail.home.test\x01port=587\x01auth=Bearer ${token}\x01\x01`)
const xoauth2 = (token: string, user = 'ann@home.test') => base64(`user=${user}\x01auth=Bearer ${token}\x01\x01`)

const on = () =>
  live.set('advanced', {
    authMechanisms: ['PLAIN', 'OAUTHBEARER', 'XOAUTH2'],
    oauth: { issuer, audience: 'smtp' },
  })

async function secure(): Promise<WireClient> {
  const client = await live.greeted()
  await client.startTls()
  await client.ehlo()
  return client
}

// [advanced.oauth]
describe('AUTH OAUTHBEARER and XOAUTH2 (RFC 7628)', () => {
  it('are offered if an issuer is set, and only under TLS', async () => {
    await live.set('advanced', { authMechanisms: ['PLAIN', 'OAUTHBEARER', 'XOAUTH2'], allowPlainWithoutTls: true })
    const client = await secure()
    expect((await client.ehlo()).get('AUTH')).toBe('PLAIN')
    await client.say(`AUTH OAUTHBEARER ${oauthBearer(await sign())}`).expect(504, '5.5.4')
    await on()
    expect((await client.ehlo()).get('AUTH')).toBe('PLAIN OAUTHBEARER XOAUTH2')
    const plain = await live.connect()
    expect((await plain.hello()).get('AUTH')).toBe('PLAIN')
    await plain.say(`AUTH XOAUTH2 ${xoauth2(await sign())}`).expect(538, '5.7.11')
  })

  it('a good token logs in, with and without initial response, and the login may relay', async () => {
    await on()
    await live.empty('relay')
    const client = await secure()
    await client.say(`AUTH OAUTHBEARER ${oauthBearer(await sign())}`).expect(235, '2.7.0')
    await client.say('MAIL FROM:<ann@home.test>').expect(250)
    await client.say('RCPT TO:<x@far.test>').expect(250)
    const second = await secure()
    await second.say('AUTH XOAUTH2').expect(334)
    await second.say(xoauth2(await sign(), 'ann')).expect(235, '2.7.0')
    const third = await secure()
    await third.say(`AUTH OAUTHBEARER ${base64(`n,,\x01auth=Bearer ${await sign()}\x01\x01`)}`).expect(235)
    expect(await live.event('auth.succeeded', ({ mechanism }) => mechanism === 'XOAUTH2')).toMatchObject({
      login: 'ann@home.test',
    })
  })

  it('any invalid token gets exactly the same challenge and 535; the event has the reason', async () => {
    await on()
    const wrong = {
      issuer: oauthBearer(await sign({ iss: 'https://evil.test' })),
      audience: oauthBearer(await sign({ aud: 'imap' })),
      expired: oauthBearer(await sign({ exp: 1_000_000 })),
      key: oauthBearer(await sign({}, stranger)),
      nobody: oauthBearer(await sign({ email: 'nobody@home.test' }), 'nobody@home.test'),
      other: oauthBearer(await sign(), 'bob@home.test'),
      garbage: oauthBearer('abc'),
    }
    const answers = new Set<string>()
    for (const response of Object.values(wrong)) {
      const client = await secure()
      const challenge = await client.say(`AUTH OAUTHBEARER ${response}`).expect(334)
      const refusal = await client.say('AQ==').expect(535, '5.7.8')
      answers.add(`${challenge.raw} ${refusal.raw}`)
      await client.say('NOOP').expect(250)
    }
    expect(answers.size).toBe(1)
    expect(Buffer.from([...answers][0]?.split(' ')[1] ?? '', 'base64').toString()).toBe('{"status":"invalid_token"}')
    const failed = await live.event('auth.failed', ({ login }) => login === 'bob@home.test')
    expect(JSON.stringify(failed.verdict)).toContain('not of bob@home.test')
  })

  it('broken exchanges get 501, no token is in an event or log, and passwords still work', async () => {
    await on()
    const client = await secure()
    await client.say('AUTH XOAUTH2 user=ann').expect(501)
    await client.say(`AUTH XOAUTH2 ${base64('user=ann')}`).expect(501, '5.5.2')
    await client.say('AUTH OAUTHBEARER').expect(334)
    await client.say('*').expect(501, '5.7.0')
    const token = await sign({ email: 'nobody@home.test' })
    await client.say(`AUTH XOAUTH2 ${xoauth2(token)}`).expect(334)
    await client.say('').expect(535)
    await client.say(`AUTH PLAIN ${base64(`\0ann\0${password}`)}`).expect(235)
    await live.event('auth.succeeded', ({ mechanism }) => mechanism === 'PLAIN')
    const all = JSON.stringify(await live.api.get('/v1/events', { limit: 200 }))
    for (const secret of [token, token.slice(-40)]) {
      expect(all).not.toContain(secret)
      expect(live.postern.logs()).not.toContain(secret)
    }
  })

  it('keys are read once, not for each login; an unavailable issuer gives 454, and other settings apply at once', async () => {
    await on()
    const before = asked
    for (let i = 0; i < 5; i++) await (await secure()).say(`AUTH XOAUTH2 ${xoauth2(await sign())}`).expect(235)
    expect(asked).toBeLessThanOrEqual(before + 2)
    await live.set('advanced', { oauth: { issuer, audience: 'smtp', jwksUri: 'http://127.0.0.1:1/keys' } })
    await (await secure()).say(`AUTH XOAUTH2 ${xoauth2(await sign())}`).expect(454, '4.7.0')
    await live.set('advanced', { oauth: { issuer, audience: 'other', jwksUri: `${issuer}/keys` } })
    const client = await secure()
    await client.say(`AUTH XOAUTH2 ${xoauth2(await sign({ aud: 'other' }))}`).expect(235)
    await live.set('advanced', { oauth: 'off' })
    await (await secure()).say(`AUTH XOAUTH2 ${xoauth2(await sign({ aud: 'other' }))}`).expect(504, '5.5.4')
  })

  it('an issuer without https is refused', async () => {
    const oauth = { issuer: 'http://id.example.org', audience: 'smtp' }
    const { status, body } = await live.api.call('PATCH', '/v1/settings/advanced', { body: { oauth } })
    expect(status).toBe(422)
    expect(JSON.stringify(body)).toContain('https')
  })
})
