import { attemptAtLimit } from '@postern/store/control/login-attempts.ts'
import { beforeEach, describe, expect, it } from 'vitest'
import { type Fixture, owner, startFixture } from '../test/fixture.ts'

let api: Fixture
let address = '192.0.2.1'
beforeEach(async () => {
  address = '192.0.2.1'
  api = await startFixture({ clientAddress: () => address })
})

type Login = { email: string; password: string }
const signIn = ({ email, password }: Login = owner, headers: Record<string, string> = {}) =>
  api.send('POST', '/v1/auth/token', { token: '', body: { email, password }, headers })
const me = async (token: string) => (await api.send('GET', '/v1/me', { token })).status
const wrong = (n: number) => ({ ...owner, password: `guess ${n}` })
const countOf = (statuses: number[], status: number) => statuses.filter((one) => one === status).length

async function makeUser(role: string, email = `${role}-2@example.org`) {
  const password = 'correct horse 2'
  const { json } = await api.send('POST', '/v1/users', { body: { email, role, password } })
  return { id: json.id as string, email, password }
}
const makeToken = async (token: string, body = { name: 'cron', role: 'owner' }) =>
  (await api.send('POST', '/v1/tokens', { token, body })).json.token as string

describe('guessing', () => {
  it('allows ten passwords, even if they arrive at the same time', { timeout: 60_000 }, async () => {
    const statuses = (await Promise.all(Array.from({ length: 400 }, (_, n) => signIn(wrong(n))))).map(
      (one) => one.status,
    )
    expect([countOf(statuses, 401), countOf(statuses, 429)]).toEqual([10, 390])
    const right = await signIn()
    expect(right.status).toBe(429)
    address = '192.0.2.2'
    expect((await signIn()).status).toBe(200)
  })

  it('counts an address over all accounts, and an IPv6 /64 as one address', { timeout: 60_000 }, async () => {
    const many = Array.from({ length: 120 }, (_, n) => {
      address = `2001:db8:0:7::${n.toString(16)}`
      return signIn({ email: `nobody${n}@example.org`, password: 'x' })
    })
    const statuses = (await Promise.all(many)).map((one) => one.status)
    expect([countOf(statuses, 401), countOf(statuses, 429)]).toEqual([50, 70])
    address = '2001:db8:0:8::1'
    expect((await signIn()).status).toBe(200)
  })

  it('counts wrong current passwords in a password change', { timeout: 60_000 }, async () => {
    const token = await api.tokens.viewer()
    const change = (current: string) =>
      api.send('POST', '/v1/me/password', { token, body: { current, new: 'another good one' } })
    const statuses = (await Promise.all(Array.from({ length: 60 }, (_, n) => change(`guess ${n}`)))).map(
      (one) => one.status,
    )
    expect([countOf(statuses, 422), countOf(statuses, 429)]).toEqual([10, 50])
    expect((await signIn({ email: 'viewer@example.org', password: 'correct horse' })).status).toBe(429)
  })

  it('counts refresh tokens that are not valid', { timeout: 60_000 }, async () => {
    const statuses = await Promise.all(
      Array.from({ length: 130 }, (_, n) =>
        api.send('POST', '/v1/auth/refresh', { token: '', body: { refreshToken: `psr_${n}` } }),
      ),
    )
    expect(
      countOf(
        statuses.map((one) => one.status),
        401,
      ),
    ).toBe(100)
  })

  it('does not count successes', { timeout: 60_000 }, async () => {
    for (let n = 0; n < 30; n++) expect((await signIn()).status).toBe(200)
  })

  it('says how long the lock lasts, and keeps to it', { timeout: 60_000 }, async () => {
    for (let n = 0; n < 10; n++) {
      await signIn(wrong(n))
      api.clock.ahead += 30_000
    }
    const locked = await signIn()
    const seconds = Number(locked.headers.get('retry-after'))
    // The first of the ten attempts leaves the 15-minute window five minutes before the last.
    expect(seconds).toBeGreaterThan(570)
    expect(seconds).toBeLessThanOrEqual(600)
    expect(locked.json.detail).toBe('Too many failed attempts. Try again in 10 minutes.')
    api.clock.ahead += (seconds - 5) * 1000
    expect((await signIn()).status).toBe(429)
    api.clock.ahead += 6_000
    expect((await signIn()).status).toBe(200)
  })

  it('forgets attempts counted before the clock was set back', async () => {
    const limits = { limit: 1, since: 0, now: Date.now() }
    api.clock.ahead = 365 * 86_400_000
    await signIn(wrong(1))
    expect(await attemptAtLimit(api.parts.control, 'address:192.0.2.1', limits)).toBeUndefined()
  })
})

describe('what a deleted user leaves', () => {
  it('is not valid: sessions, refresh tokens, cookies, API tokens and the tokens they created', async () => {
    const user = await makeUser('owner')
    const session = await signIn(user)
    const cookie = session.headers.get('set-cookie')?.split(';')[0] ?? ''
    const token = await makeToken(session.json.accessToken)
    const second = await makeToken(token, { name: 'made by cron', role: 'viewer' })
    expect([await me(session.json.accessToken), await me(token), await me(second)]).toEqual([200, 200, 200])
    const gone = await api.send('DELETE', `/v1/users/${user.id}`)
    expect(gone.json.warnings).toEqual([
      `The API token cron of ${user.email} is revoked too.`,
      `The API token made by cron of ${user.email} is revoked too.`,
    ])
    expect([await me(session.json.accessToken), await me(token), await me(second)]).toEqual([401, 401, 401])
    const { refreshToken } = session.json
    expect((await api.send('POST', '/v1/auth/refresh', { token: '', body: { refreshToken } })).status).toBe(401)
    expect((await api.send('POST', '/v1/auth/refresh', { token: '', body: {}, headers: { cookie } })).status).toBe(401)
    expect((await api.send('GET', '/v1/tokens')).json.items).toEqual([])
  })

  it('does not return with a new user of the same name', async () => {
    const user = await makeUser('owner')
    const { accessToken } = (await signIn(user)).json
    const token = await makeToken(accessToken)
    await api.send('DELETE', `/v1/users/${user.id}`)
    await makeUser('owner')
    expect([await me(accessToken), await me(token)]).toEqual([401, 401])
  })

  it('has no more rights than the current role', async () => {
    const user = await makeUser('owner')
    const { accessToken } = (await signIn(user)).json
    const token = await makeToken(accessToken)
    await api.send('PATCH', `/v1/users/${user.id}`, { body: { role: 'viewer' } })
    for (const one of [accessToken, token]) {
      expect((await api.send('GET', '/v1/me', { token: one })).json.role).toBe('viewer')
      expect((await api.send('GET', '/v1/users', { token: one })).status).toBe(403)
    }
  })

  it('ends with a new password: every session, but no API token', async () => {
    const user = await makeUser('owner')
    const { accessToken } = (await signIn(user)).json
    const token = await makeToken(accessToken)
    await api.send('PATCH', `/v1/users/${user.id}`, { body: { password: 'another good one' } })
    expect([await me(accessToken), await me(token)]).toEqual([401, 200])
  })

  it('is not restored by a sign-in in progress', async () => {
    const user = await makeUser('viewer')
    const { passwords } = api.parts
    const { verify } = passwords
    passwords.verify = async (phc, password) => {
      const matches = await verify(phc, password)
      passwords.verify = verify
      await api.send('DELETE', `/v1/users/${user.id}`)
      return matches
    }
    await api.tokens.owner()
    try {
      expect((await signIn(user)).status).toBe(401)
    } finally {
      passwords.verify = verify
    }
    expect((await api.send('GET', `/v1/users/${user.id}`)).status).toBe(404)
  })

  it('ends a stream that is open', async () => {
    const user = await makeUser('viewer')
    const { accessToken } = (await signIn(user)).json
    const response = await api.app.request('/v1/events/stream', { headers: { authorization: `Bearer ${accessToken}` } })
    const ended = response.text()
    await api.send('DELETE', `/v1/users/${user.id}`)
    api.clock.ahead += 2_000
    expect(await ended).toContain('retry: 1000')
  })
})

describe('your own account', () => {
  it('has a password that you can change, which ends your other sessions', async () => {
    const user = await makeUser('viewer')
    const [mine, other] = [(await signIn(user)).json, (await signIn(user)).json]
    const change = (body: object, token = mine.accessToken) => api.send('POST', '/v1/me/password', { token, body })
    const wrongOne = await change({ current: 'no', new: 'another good one' })
    expect([wrongOne.status, wrongOne.json.errors]).toEqual([
      422,
      [{ path: 'current', message: 'the current password is wrong' }],
    ])
    expect((await change({ current: user.password, new: 'short' })).json.errors[0].path).toBe('new')
    expect((await change({ current: user.password, new: user.password })).json.errors[0].path).toBe('new')
    const changed = await change({ current: user.password, new: 'another good one' })
    expect(changed.json).toMatchObject({ revision: expect.any(Number) })
    expect([await me(mine.accessToken), await me(other.accessToken)]).toEqual([200, 401])
    expect((await signIn(user)).status).toBe(401)
    expect((await signIn({ ...user, password: 'another good one' })).status).toBe(200)
  })

  it('shows its sessions, and ends one', async () => {
    const user = await makeUser('viewer')
    const [mine, other] = [(await signIn(user, { 'user-agent': 'Firefox' })).json, (await signIn(user)).json]
    const sessions = () => api.send('GET', '/v1/me/sessions', { token: mine.accessToken })
    const { items } = (await sessions()).json
    expect(items).toHaveLength(2)
    expect(items[1]).toMatchObject({ agent: 'Firefox', address: '192.0.2.1', current: true })
    const end = (id: string) => api.send('DELETE', `/v1/me/sessions/${id}`, { token: mine.accessToken })
    expect((await end(items[0].id)).status).toBe(204)
    expect([await me(mine.accessToken), await me(other.accessToken)]).toEqual([200, 401])
    expect((await sessions()).json.items).toHaveLength(1)
    expect((await end(items[0].id)).status).toBe(404)
    const { json } = await api.send('GET', '/v1/me/sessions')
    expect((await end(json.items[0].id)).status).toBe(404)
  })

  it('is not for API tokens', async () => {
    const token = await makeToken(await api.tokens.owner())
    const asked = [
      api.send('GET', '/v1/me/sessions', { token }),
      api.send('POST', '/v1/me/password', { token, body: { current: 'x', new: 'another good one' } }),
    ]
    expect((await Promise.all(asked)).map((one) => one.status)).toEqual([403, 403])
  })
})
