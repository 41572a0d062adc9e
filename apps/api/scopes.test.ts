import { type Role, roleNames } from '@postern/contract/roles.ts'
import { beforeAll, expect, it } from 'vitest'
import type { Scope } from './endpoint.ts'
import { TokenKeys } from './identity/keys.ts'
import { endpoints } from './routes.ts'
import { type Document, type Fixture, startFixture, undeclared } from './test/fixture.ts'

/** Every row of the table: 401 without a token, 403 without permission, another status with it. */
let api: Fixture
beforeAll(async () => {
  api = await startFixture()
})

const sample = (path: string) =>
  path
    .replace('{group}', 'general')
    .replace('{list}', 'kill')
    .replace('/services/{name}/{action}', '/services/smtp/start')
    .replace('{name}', 'smtp')
    .replace('{action}', 'hold')
    .replace('{revision}', '1')
    .replace('{n}', '1')
    .replace('{id}', '019a0000-0000-7000-8000-000000000000')

const scopeRole = (scope: Scope): Role =>
  (roleNames as readonly string[]).includes(scope) ? (scope as Role) : 'viewer'

async function tokenOf(role: Role, token?: string): Promise<string> {
  const { json } = await api.send('POST', '/v1/tokens', { body: { name: role, role }, ...(token ? { token } : {}) })
  return json.token
}

/** The session and the API token of an owner who was deleted. */
async function leftBehind(): Promise<string[]> {
  const login = { email: 'former@example.org', password: 'correct horse' }
  const { json } = await api.send('POST', '/v1/users', { body: { ...login, role: 'owner' } })
  const session = await api.signIn(login)
  const token = await tokenOf('owner', session)
  await api.send('DELETE', `/v1/users/${json.id}`)
  return [session, token]
}

it('checks the role on each endpoint', { timeout: 300_000 }, async () => {
  const rows = endpoints(api.parts, new TokenKeys(api.parts))
  expect(rows.length).toBeGreaterThan(70)
  const wrong: string[] = []
  const programs = await Promise.all(roleNames.map(async (role) => [role, await tokenOf(role)] as const))
  const gone = await leftBehind()
  const document = (await (await api.app.request('/openapi.json')).json()) as Document
  for (const { method, path, scope } of rows) {
    if (path === '/v1/me/session') continue
    const ask = async (token: string) => {
      const abort = new AbortController()
      const response = await api.app.request(sample(path), {
        method: method.toUpperCase(),
        headers: token ? { authorization: `Bearer ${token}` } : {},
        signal: abort.signal,
        ...(method === 'get' ? {} : { body: '{"nothing":1}' }),
      })
      const { status } = response
      const undone = undeclared(document, {
        method: method.toUpperCase(),
        path: sample(path),
        status,
        type: response.headers.get('content-type'),
      })
      if (undone) wrong.push(undone)
      await response.body?.cancel()
      abort.abort()
      return status
    }
    const expectStatus = async (who: string, token: string, allowed: boolean) => {
      const status = await ask(token)
      const denied = who === 'nobody' ? 401 : 403
      if (allowed ? status === 401 || status === 403 || status >= 500 : status !== denied)
        wrong.push(`${method} ${path} as ${who}: ${status}`)
    }
    if (scope === 'public') {
      if ((await ask('')) === 403) wrong.push(`${method} ${path}: public but 403`)
      continue
    }
    await expectStatus('nobody', '', false)
    const isForPeople = scope !== 'worker'
    for (const role of roleNames) {
      const needed = scopeRole(scope)
      await expectStatus(
        role,
        await api.tokens[role](),
        isForPeople && roleNames.indexOf(role) >= roleNames.indexOf(needed),
      )
    }
    await expectStatus('worker', await api.tokens.smtp(), !isForPeople)
    // An API token may do what its role allows, but has no password and no sessions. Nothing is left of a deleted user.
    for (const [role, token] of programs)
      await expectStatus(
        `program ${role}`,
        token,
        isForPeople && scope !== 'person' && roleNames.indexOf(role) >= roleNames.indexOf(scopeRole(scope)),
      )
    for (const token of gone) if ((await ask(token)) !== 401) wrong.push(`${method} ${path} as a deleted user`)
  }
  expect(wrong).toEqual([])
})

it('refuses a forged, an expired and a malformed token', async () => {
  const [head, body, signature] = (await api.tokens.viewer()).split('.')
  const forged = btoa(JSON.stringify({ ...JSON.parse(atob(body ?? '')), role: 'owner' })).replaceAll('=', '')
  const none = `${btoa('{"alg":"none"}').replaceAll('=', '')}.${body}.`
  for (const token of [`${head}.${forged}.${signature}`, none, 'pst_nothing', 'nonsense'])
    expect((await api.send('GET', '/v1/me', { token })).status).toBe(401)
  const token = await api.tokens.viewer()
  api.clock.ahead = 16 * 60_000
  const late = await api.send('GET', '/v1/me', { token })
  api.clock.ahead = 0
  expect(late.status).toBe(401)
  expect(late.json.detail).toContain('expired')
})
