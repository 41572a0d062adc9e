import fc from 'fast-check'
import { beforeAll, expect, it } from 'vitest'
import { TokenKeys } from './identity/keys.ts'
import { endpoints } from './routes.ts'
import { type Fixture, startFixture } from './test/fixture.ts'

/** JSON of every wrong shape, sent to every endpoint that takes a body: never 500, and nothing is saved. */
let api: Fixture
beforeAll(async () => {
  api = await startFixture()
})

const id = '019a0000-0000-7000-8000-000000000000'
const paths = (path: string) =>
  path
    .replace('{group}', 'general')
    .replace('{list}', 'white')
    .replace('{id}', id)
    .replace('{name}/{action}', 'smtp/restart')
    .replace('{action}', 'reroute')
    .replace('{revision}', '1')

const key = fc.constantFrom(
  'value',
  'name',
  'address',
  'route',
  'type',
  'to',
  'members',
  'gateway',
  'host',
  'port',
  'settings',
  'document',
  'postern',
  'lists',
  'kill',
  '__proto__',
  'constructor',
  'email',
  'role',
  'filter',
  'action',
  'events',
  'n',
  'at',
)
const value = fc.letrec((tie) => ({
  any: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom(null, true, '', 'off', 'smtp', -1, 0, 1e308, '@x', '\u0000', 'a@b', '192.0.2.1/99'),
    fc.string(),
    fc.double(),
    fc.array(tie('any'), { maxLength: 4 }),
    tie('object'),
  ),
  object: fc.dictionary(key, tie('any'), { maxKeys: 5 }),
})).any

it('never answers 500 and never saves refused input', { timeout: 120_000 }, async () => {
  const rows = endpoints(api.parts, new TokenKeys(api.parts)).filter(
    ({ method, scope }) => method !== 'get' && scope !== 'worker',
  )
  const takesBody = rows.filter(({ body, text }) => body || text)
  expect(takesBody.length).toBeGreaterThan(20)
  const revision = async () => (await api.send('GET', '/v1/settings')).json.revision as number
  let before = await revision()
  for (const row of takesBody)
    await fc.assert(
      fc.asyncProperty(value, async (body) => {
        const { status, json } = await api.send(row.method.toUpperCase(), paths(row.path), {
          body: JSON.stringify(body),
        })
        expect([row.path, status >= 500]).toEqual([row.path, false])
        const after = await revision()
        if (status >= 400) expect([row.path, after]).toEqual([row.path, before])
        if (status >= 400) expect(json).toMatchObject({ status, title: expect.any(String) })
        before = after
      }),
      { numRuns: 25 },
    )
})

it('refuses malformed bodies from workers', { timeout: 60_000 }, async () => {
  const token = await api.tokens.smtp()
  await fc.assert(
    fc.asyncProperty(value, async (body) => {
      const { status } = await api.send('POST', '/v1/worker/report', { token, body: JSON.stringify(body) })
      expect(status).toBeLessThan(500)
    }),
    { numRuns: 60 },
  )
})

it('handles any bytes', { timeout: 60_000 }, async () => {
  const token = await api.tokens.owner()
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (body) => {
      const response = await api.app.request('/v1/settings/general', {
        method: 'PATCH',
        headers: { authorization: `Bearer ${token}` },
        body: new Uint8Array(body),
      })
      expect(response.status).toBeLessThan(500)
    }),
    { numRuns: 100 },
  )
})
