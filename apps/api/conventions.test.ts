import { beforeAll, describe, expect, it } from 'vitest'
import { TokenKeys } from './identity/keys.ts'
import { endpoints } from './routes.ts'
import { type Fixture, owner, startFixture } from './test/fixture.ts'

/** The conventions in api.md, checked on every endpoint as an outside client would. */
let api: Fixture
beforeAll(async () => {
  api = await startFixture()
})

const call = async (method: string, path: string, body?: string, headers: Record<string, string> = {}) =>
  api.app.request(path, {
    method,
    headers: { authorization: `Bearer ${await api.tokens.owner()}`, 'content-type': 'application/json', ...headers },
    ...(body === undefined ? {} : { body }),
  })
const head = async () => ((await (await call('GET', '/v1/settings/queue')).json()) as { revision: number }).revision
const nested = (levels: number) => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`

describe('a JSON body that is not allowed', () => {
  it.each([
    ['nested without end', nested(50_000)],
    ['a list nested without end', `{"hostname":${'['.repeat(50_000)}${']'.repeat(50_000)}}`],
    ['__proto__', '{"__proto__":{"maxMessageBytes":1}}'],
    ['__proto__ within', '{"gateway":{"__proto__":{"host":"h.test"}}}'],
    ['half of a character', '{"hostname":"\\ud800"}'],
    ['nothing', ''],
  ])('%s is 400, and nothing is saved', async (_, body) => {
    const before = await head()
    const answer = await call('PATCH', '/v1/settings/general', body)
    expect(answer.status).toBe(400)
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
    expect(await head()).toBe(before)
  })
})

describe('a comment', () => {
  const commentOf = async () => {
    const { items } = (await (await call('GET', '/v1/revisions?limit=1')).json()) as { items: { comment?: string }[] }
    return items[0]?.comment
  }

  it('may be in the query, in a header or in the body, and is stored with the revision', async () => {
    await call('PATCH', '/v1/settings/queue?comment=in%20the%20query', '{"retryTimerMinutes":31}')
    expect(await commentOf()).toBe('in the query')
    await call('PATCH', '/v1/settings/queue', '{"retryTimerMinutes":32}', { 'postern-comment': 'in a header' })
    expect(await commentOf()).toBe('in a header')
    await call('PATCH', '/v1/settings/queue', '{"retryTimerMinutes":33,"comment":"in the body"}')
    expect(await commentOf()).toBe('in the body')
    await call('POST', `/v1/revisions/${(await head()) - 1}/rollback`, '{"comment":"not so"}')
    expect(await commentOf()).toBe('not so')
    await call('POST', '/v1/services/queue/stop', '{"comment":"a pause"}')
    expect(await commentOf()).toBe('a pause')
  })

  it('in a list entry belongs to the entry', async () => {
    const answer = await call('POST', '/v1/lists/kill', '{"value":"c@b.test","comment":"of the entry"}')
    expect(await answer.json()).toMatchObject({ item: { comment: 'of the entry' } })
    expect(await commentOf()).toBeUndefined()
  })

  it('that is not text, or is too long, is refused', async () => {
    const before = await head()
    for (const comment of [1, {}, 'x'.repeat(501)])
      expect(
        (await call('PATCH', '/v1/settings/queue', JSON.stringify({ retryTimerMinutes: 44, comment }))).status,
      ).toBe(422)
    expect(await head()).toBe(before)
  })
})

describe('errors for bad input', () => {
  it.each([
    ['GET', '/v1/me?nope=1', undefined, 422, 'nope is not a known query parameter'],
    ['POST', '/v1/lists/kill?dryRun=1', '{"value":"d@b.test"}', 422, 'dryRun must be true or false'],
    ['GET', '/v1/services/nope', undefined, 404, 'name is "nope" but must be'],
    ['POST', '/v1/queue/run', '{"nope":1}', 422, '"nope" is not allowed'],
    ['GET', '/v1/settings/', undefined, 404, 'no page'],
  ])('%s %s: names what is wrong', async (method, path, body, status, words) => {
    const answer = await call(method, path, body)
    expect(answer.status).toBe(status)
    expect(((await answer.json()) as { detail: string }).detail).toContain(words)
  })
})

it('logs out with only the access token', async () => {
  const signIn = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(owner) }
  const { accessToken } = (await (await api.app.request('/v1/auth/token', signIn)).json()) as { accessToken: string }
  const headers = { authorization: `Bearer ${accessToken}` }
  const post = () => api.app.request('/v1/auth/logout', { method: 'POST', headers })
  expect((await post()).status).toBe(204)
  expect((await api.app.request('/v1/me', { headers })).status).toBe(401)
  expect((await post()).status).toBe(401)
  expect((await api.app.request('/v1/auth/logout', { method: 'POST' })).status).toBe(401)
})

it('an import shows what it would add, and the export is CSV if the client accepts it', async () => {
  const text = { 'content-type': 'text/plain' }
  const dry = await call('POST', '/v1/lists/accept/import?dryRun=true', 'one.test\ntwo.test\n', text)
  expect(await dry.json()).toMatchObject({
    dryRun: true,
    added: 2,
    diff: [{ kind: 'accept', label: 'one.test', before: null, after: { value: 'one.test' } }, { label: 'two.test' }],
  })
  await call('POST', '/v1/lists/accept/import', 'one.test\n', text)
  expect(await (await call('GET', '/v1/lists/accept/export')).text()).toBe('one.test\n')
  const csv = await call('GET', '/v1/lists/accept/export', undefined, { accept: 'text/csv' })
  expect(csv.headers.get('content-type')).toContain('text/csv')
  expect(await csv.text()).toMatch(/^value,[^\n]*\none\.test,/)
})

it('metrics are Prometheus text: every sample follows its help and type, and no name is repeated', async () => {
  const answer = await api.app.request('/metrics')
  expect(answer.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/)
  const typed = new Map<string, string>()
  const samples = new Set<string>()
  for (const line of (await answer.text()).split('\n')) {
    const type = /^# TYPE ([a-zA-Z_:][\w:]*) (counter|gauge|histogram|summary|untyped)$/.exec(line)
    if (type) {
      expect(typed.has(type[1] as string), line).toBe(false)
      typed.set(type[1] as string, type[2] as string)
    }
    if (line === '' || line.startsWith('#')) continue
    const sample = /^([a-zA-Z_:][\w:]*)(\{(?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\.)*",?)*\})? (-?[\d.e+-]+|NaN|[+-]Inf)$/.exec(
      line,
    )
    expect(sample, line).not.toBeNull()
    const name = sample?.[1] as string
    expect(typed.has(name) || typed.has(name.replace(/_(bucket|sum|count)$/, '')), line).toBe(true)
    const identity = `${name}${sample?.[2] ?? ''}`
    expect(samples.has(identity), line).toBe(false)
    samples.add(identity)
  }
  expect(samples.size).toBeGreaterThan(50)
})

it('every array of openapi.json describes its items', async () => {
  const document: unknown = await (await api.app.request('/openapi.json')).json()
  const without: string[] = []
  const look = (value: unknown, path: string): void => {
    if (typeof value !== 'object' || value === null) return
    if ('type' in value && value.type === 'array' && !('items' in value)) without.push(path)
    for (const [key, inner] of Object.entries(value)) look(inner, `${path}/${key}`)
  }
  look(document, '')
  expect(without).toEqual([])
})

it('openapi.json has every route and each operation once, with its path parameters', async () => {
  const { openapi, paths } = (await (await api.app.request('/openapi.json')).json()) as {
    openapi: string
    paths: Record<string, Record<string, { operationId: string; parameters?: object[]; responses: object }>>
  }
  expect(openapi).toMatch(/^3\.1\./)
  const described = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  )
  const rows = endpoints(api.parts, new TokenKeys(api.parts))
  const names = described.map(({ method, path }) => `${method} ${path}`).sort()
  const own = ['get /docs', 'get /openapi.json']
  expect(names).toEqual([...rows.map(({ method, path }) => `${method} ${path}`), ...own].sort())
  expect(new Set(described.map(({ operation }) => operation.operationId)).size).toBe(described.length)
  for (const { path, operation } of described) {
    const inPath = (operation.parameters ?? []).filter((one) => 'in' in one && one.in === 'path')
    const wanted = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({ name, in: 'path', required: true }))
    expect(inPath, path).toHaveLength(wanted.length)
    expect(inPath, path).toMatchObject(wanted)
    expect(Object.keys(operation.responses).length).toBeGreaterThan(0)
  }
})
