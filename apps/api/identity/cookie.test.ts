import { beforeAll, describe, expect, it } from 'vitest'
import { type Fixture, owner, startFixture } from '../test/fixture.ts'

let api: Fixture
beforeAll(async () => {
  api = await startFixture()
})

type Headers = Record<string, string>
const signIn = (headers: Headers = {}) => api.send('POST', '/v1/auth/token', { token: '', body: owner, headers })
const renew = (cookie: string, headers: Headers = {}, body: unknown = {}) =>
  api.send('POST', '/v1/auth/refresh', { token: '', body, headers: { cookie, ...headers } })
const set = (answer: { headers: globalThis.Headers }) => answer.headers.get('set-cookie') ?? ''
const pair = (answer: { headers: globalThis.Headers }) => set(answer).split(';')[0] ?? ''

const foreign: Headers[] = [
  { 'sec-fetch-site': 'cross-site' },
  { 'sec-fetch-site': 'same-site' },
  { 'sec-fetch-site': 'none' },
  { origin: 'https://evil.example', 'content-type': 'text/plain' },
  { origin: 'null', 'content-type': 'text/plain;charset=application/json' },
  { origin: 'https://evil.example', 'content-type': 'application/x-www-form-urlencoded' },
]

describe('the refresh cookie', () => {
  it('is set at sign-in, and neither scripts nor other sites can read it', async () => {
    expect(set(await signIn())).toMatch(
      /^postern_refresh=psc_[\w-]{43}; Max-Age=2592000; Path=\/v1\/auth; HttpOnly; SameSite=Strict$/,
    )
    const overTls: Headers[] = [{ origin: 'https://postern.example' }, { 'x-forwarded-proto': 'https' }]
    for (const headers of overTls) expect(set(await signIn(headers))).toMatch(/; Secure$/)
  })

  it('gives every tab access tokens, at the same time and repeatedly, but no refresh token', async () => {
    const cookie = pair(await signIn())
    const all = await Promise.all([renew(cookie), renew(cookie), renew(cookie)])
    expect(all.map(({ status }) => status)).toEqual([200, 200, 200])
    expect(all[0]?.json).toEqual({ accessToken: expect.any(String), expiresIn: 900 })
    const again = await renew(cookie, { 'sec-fetch-site': 'same-origin' })
    expect((await api.send('GET', '/v1/me', { token: again.json.accessToken })).json.email).toBe(owner.email)
  })

  it.each(foreign)('is neither used by nor given to another site: %o', async (headers) => {
    const cookie = pair(await signIn())
    expect((await renew(cookie, headers)).status).toBe(422)
    const slipped = await signIn(headers)
    expect([slipped.status, set(slipped)]).toEqual([200, ''])
    const out = await api.send('POST', '/v1/auth/logout', { token: '', body: {}, headers: { cookie, ...headers } })
    expect(out.status).toBe(401)
    expect((await renew(cookie)).status).toBe(200)
  })

  it('is not accepted in the body, and a refresh token from the body is not accepted as a cookie', async () => {
    const session = await signIn()
    const token = pair(session).split('=')[1]
    expect((await renew('', {}, { refreshToken: token })).status).toBe(401)
    expect((await renew(`postern_refresh=${session.json.refreshToken}`)).status).toBe(422)
    expect((await renew(pair(session))).status).toBe(200)
  })

  it('is removed at logout, which ends the session for all tabs and for the refresh token', async () => {
    const session = await signIn()
    const cookie = pair(session)
    const out = await api.send('POST', '/v1/auth/logout', { token: '', body: {}, headers: { cookie } })
    expect([out.status, set(out)]).toEqual([
      204,
      expect.stringMatching(/^postern_refresh=; Max-Age=0; Path=\/v1\/auth/),
    ])
    const late = await renew(cookie)
    expect([late.status, set(late)]).toEqual([401, expect.stringContaining('Max-Age=0')])
    expect((await renew('', {}, { refreshToken: session.json.refreshToken })).status).toBe(401)
    expect((await api.send('GET', '/v1/me', { token: session.json.accessToken })).status).toBe(401)
  })

  it('has its own name on each port of a host', async () => {
    const body = JSON.stringify(owner)
    const headers = { 'content-type': 'application/json' }
    const answer = await api.app.request('http://127.0.0.1:8081/v1/auth/token', { method: 'POST', body, headers })
    expect(set(answer)).toMatch(/^postern_refresh_8081=/)
  })
})
