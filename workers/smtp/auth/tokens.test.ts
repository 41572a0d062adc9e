import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'
import { beforeAll, describe, expect, it } from 'vitest'
import { readOauthBearer, readXoauth2 } from './bearer.ts'
import { Tokens } from './tokens.ts'

type Pair = Awaited<ReturnType<typeof generateKeyPair>>
const issuer = 'https://id.test/tenant'
const oauth = { issuer, audience: 'smtp' }
const pairs = new Map<string, Pair>()
beforeAll(async () => {
  for (const algorithm of ['RS256', 'ES256', 'EdDSA']) pairs.set(algorithm, await generateKeyPair(algorithm))
  pairs.set('new', await generateKeyPair('ES256'))
})

async function keySet(...names: string[]) {
  const keys = names.map(async (name) => ({ ...(await exportJWK((pairs.get(name) as Pair).publicKey)), kid: name }))
  return { keys: await Promise.all(keys) }
}

const seconds = () => Math.floor(Date.now() / 1000)
function sign(name: string, change: JWTPayload = {}, header: object = {}): Promise<string> {
  const algorithm = name === 'new' ? 'ES256' : name
  const claims = { iss: issuer, aud: 'smtp', exp: seconds() + 300, email: 'jane@example.test', ...change }
  return new SignJWT(claims)
    .setProtectedHeader({ alg: algorithm, kid: name, ...header })
    .sign((pairs.get(name) as Pair).privateKey)
}

/** An issuer that answers what the test says, and counts. */
function issuing(answers: Record<string, unknown>) {
  const asked: string[] = []
  const clock = { now: Date.now() }
  const fetchJson = async (url: string) => {
    asked.push(url)
    const answer = answers[url]
    if (answer === undefined) throw new Error('no answer')
    return answer
  }
  const tokens = new Tokens(fetchJson, () => clock.now)
  tokens.follow(oauth)
  return { tokens, asked, clock, answers }
}

const configuration = `${issuer}/.well-known/openid-configuration`
const discovered = async (...names: string[]) => ({
  [configuration]: { issuer, jwks_uri: 'https://keys.test/' },
  'https://keys.test/': await keySet(...names),
})

describe('tokens (RFC 7628)', () => {
  it.each(['RS256', 'ES256', 'EdDSA'])('signed with %s by a key of the issuer are good', async (algorithm) => {
    const { tokens, asked } = issuing(await discovered('RS256', 'ES256', 'EdDSA'))
    expect(await tokens.verify(await sign(algorithm))).toEqual({ result: 'valid', email: 'jane@example.test' })
    expect(await tokens.verify(await sign(algorithm, { email_verified: true }))).toMatchObject({ result: 'valid' })
    expect(asked).toEqual([configuration, 'https://keys.test/'])
  })

  it.each([
    ['another issuer', { iss: 'https://id.test' }],
    ['another audience', { aud: 'imap' }],
    ['no audience', { aud: undefined }],
    ['yesterday', { exp: seconds() - 86_400 }],
    ['no end', { exp: undefined }],
    ['tomorrow', { nbf: seconds() + 86_400 }],
    ['no e-mail', { email: undefined }],
    ['e-mail that is no text', { email: ['a@b'] }],
    ['e-mail that nobody verified', { email_verified: false }],
  ])('of %s are not', async (_name, change) => {
    const { tokens } = issuing(await discovered('ES256'))
    expect(await tokens.verify(await sign('ES256', change as JWTPayload))).toMatchObject({ result: 'invalid' })
  })

  it('without signature, with a shared secret, or changed afterwards are not', async () => {
    const { tokens } = issuing(await discovered('ES256', 'RS256'))
    const good = await sign('ES256')
    const [, claims] = good.split('.')
    const none = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${claims}.`
    const hmac = await new SignJWT({ iss: issuer, aud: 'smtp', exp: seconds() + 60, email: 'jane@example.test' })
      .setProtectedHeader({ alg: 'HS256', kid: 'RS256' })
      .sign(Buffer.from(JSON.stringify((await keySet('RS256')).keys[0])))
    const changed = `${good.slice(0, -6)}AAAAAA`
    for (const token of [none, hmac, changed, '', 'a.b.c', 'x'.repeat(9000)])
      expect(await tokens.verify(token), token.slice(0, 40)).toMatchObject({ result: 'invalid' })
  })

  it('a new key of the issuer is found, but nobody can make us ask again and again', async () => {
    const { tokens, asked, clock, answers } = issuing(await discovered('ES256'))
    expect(await tokens.verify(await sign('ES256'))).toMatchObject({ result: 'valid' })
    answers['https://keys.test/'] = await keySet('ES256', 'new')
    const before = asked.length
    for (let i = 0; i < 20; i++) await tokens.verify(await sign('new'))
    expect(asked.length).toBe(before)
    clock.now += 31_000
    expect(await tokens.verify(await sign('new'))).toMatchObject({ result: 'valid' })
    expect(asked.length).toBe(before + 2)
  })

  it('an issuer that is away makes nothing good and nothing wrong; keys that were read go on', async () => {
    const away = issuing({})
    expect(await away.tokens.verify(await sign('ES256'))).toMatchObject({ result: 'not-known' })
    const { tokens, answers, clock } = issuing(await discovered('ES256'))
    expect(await tokens.verify(await sign('ES256'))).toMatchObject({ result: 'valid' })
    delete answers[configuration]
    clock.now += 200_000
    expect(await tokens.verify(await sign('ES256'))).toMatchObject({ result: 'valid' })
  })

  it.each([
    [
      'another issuer’s configuration',
      { [configuration]: { issuer: 'https://evil.test', jwks_uri: 'https://keys.test/' } },
    ],
    ['no address of keys', { [configuration]: { issuer, jwks_uri: 7 } }],
    ['no keys', { [configuration]: { issuer, jwks_uri: 'https://keys.test/' }, 'https://keys.test/': [] }],
  ])('%s is not known', async (_name, answers) => {
    const { tokens } = issuing(answers)
    expect(await tokens.verify(await sign('ES256'))).toMatchObject({ result: 'not-known' })
  })

  it('other settings, other keys; off, none', async () => {
    const { tokens, asked } = issuing({ ...(await discovered('ES256')), 'https://new.test/': await keySet('new') })
    await tokens.verify(await sign('ES256'))
    tokens.follow({ ...oauth, jwksUri: 'https://new.test/' })
    expect(await tokens.verify(await sign('new'))).toMatchObject({ result: 'valid' })
    expect(await tokens.verify(await sign('ES256'))).toMatchObject({ result: 'invalid' })
    expect(asked.at(-1)).toBe('https://new.test/')
    tokens.follow('off')
    expect(await tokens.verify(await sign('new'))).toMatchObject({ result: 'invalid' })
  })
})

describe('what clients say (RFC 7628)', () => {
  it.each([
    [
      'n,a=jane@example.test,\x01host=h\x01port=587\x01auth=Bearer abc.def\x01\x01',
      { login: 'jane@example.test', token: 'abc.def' },
    ],
    ['n,,\x01auth=bearer abc==\x01\x01', { token: 'abc==' }],
    ['n,a=a=2Cb=3Dc,\x01auth=Bearer x\x01\x01', { login: 'a,b=c', token: 'x' }],
    ['n,a=x,\x01auth=Basic abc\x01\x01', null],
    ['n,a=x,\x01auth=Bearer a\x01auth=Bearer b\x01\x01', null],
    ['y,a=x,\x01auth=Bearer a\x01\x01', null],
    ['n,a=x,\x01auth=Bearer a\x01', null],
    ['n,a=x,\x01auth=Bearer a b\x01\x01', null],
    ['', null],
  ])('OAUTHBEARER %j', (text, expected) => expect(readOauthBearer(text)).toEqual(expected))

  it.each([
    ['user=jane@example.test\x01auth=Bearer abc\x01\x01', { login: 'jane@example.test', token: 'abc' }],
    ['user=\x01auth=Bearer abc\x01\x01', null],
    ['auth=Bearer abc\x01\x01', null],
  ])('XOAUTH2 %j', (text, expected) => expect(readXoauth2(text)).toEqual(expected))
})

it.each([
  ['an hour', 3_600_000],
  ['a year', 365 * 86_400_000],
])('the clock is set back by %s: new keys of the issuer are asked for all the same', async (_, by) => {
  const { tokens, clock, answers } = issuing(await discovered('RS256'))
  clock.now += by
  expect(await tokens.verify(await sign('ES256'))).toMatchObject({ result: 'invalid' })
  clock.now -= by
  answers['https://keys.test/'] = await keySet('RS256', 'ES256')
  expect(await tokens.verify(await sign('ES256'))).toMatchObject({ result: 'valid' })
})
