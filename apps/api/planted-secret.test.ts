import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test, vi } from 'vitest'

/** A nested secret that no code knows, in the settings and in a route. Its mark alone makes it encrypted, hidden and kept. */

vi.mock('@postern/contract/settings/general.ts', async (original) => {
  const { z } = await import('zod')
  const { generalSchema, ...rest } = await original<typeof import('@postern/contract/settings/general.ts')>()
  const secret = z
    .string()
    .min(8)
    .meta({ secret: true, sentTo: ['queue'] })
  const relay = z.strictObject({ host: z.string(), auth: z.strictObject({ user: z.string(), secret }) })
  return { ...rest, generalSchema: generalSchema.extend({ relay: z.union([z.literal('off'), relay]).default('off') }) }
})
vi.mock('@postern/contract/directory.ts', async (original) => {
  const { z } = await import('zod')
  const { domainInputSchema, ...rest } = await original<typeof import('@postern/contract/directory.ts')>()
  const secret = z
    .string()
    .min(8)
    .meta({ secret: true, sentTo: ['smtp'] })
  const hooks = z.array(z.strictObject({ url: z.string(), key: secret })).default([])
  return { ...rest, domainInputSchema: domainInputSchema.extend({ hooks }) }
})

const { startFixture } = await import('./test/fixture.ts')
const api = await startFixture()
beforeAll(async () => {
  const relay = { host: 'a.test', auth: { user: 'me', secret: 'swordfish-1' } }
  expect((await api.send('PATCH', '/v1/settings/general', { body: { relay } })).status).toBe(200)
  const domain = { name: 'planted.test', hooks: [{ url: 'a', key: 'swordfish-2' }] }
  expect((await api.send('POST', '/v1/domains', { body: domain })).status).toBe(201)
})

const rowsOf = async (service: 'smtp' | 'queue') =>
  (await api.send('GET', '/v1/worker/snapshot', { token: await api.tokens[service]() })).text

test('is encrypted at rest, in the row and in its history', async () => {
  const files = ['settings.db', 'settings.db-wal'].map((name) => readFileSync(join(api.directory, name), 'latin1'))
  expect(files.join('')).toContain('planted.test')
  expect(files.join('')).not.toContain('swordfish')
})

test('is in no response', async () => {
  const paths = ['settings', 'settings/general', 'domains', 'revisions/2', 'revisions/3', 'document', 'audit']
  for (const path of paths) {
    const { status, text } = await api.send('GET', `/v1/${path}`)
    expect(status, path).toBe(200)
    expect(text, path).not.toContain('swordfish')
  }
})

test('reaches the workers that need it, and no others', async () => {
  const smtp = await rowsOf('smtp')
  const queue = await rowsOf('queue')
  expect([smtp.includes('swordfish-1'), queue.includes('swordfish-1')]).toEqual([false, true])
  expect([smtp.includes('swordfish-2'), queue.includes('swordfish-2')]).toEqual([true, false])
})

test('is kept when a document without it is applied, and when another field changes', async () => {
  const { json: document } = await api.send('GET', '/v1/document', { headers: { accept: 'application/json' } })
  const planned = await api.send('POST', '/v1/plan', { body: { document } })
  expect(planned.json).toMatchObject({ creates: [], updates: [], deletes: [] })
  document.settings.general.relay.host = 'b.test'
  expect((await api.send('POST', '/v1/apply', { body: { document } })).status).toBe(200)
  const { json } = await api.send('GET', '/v1/domains')
  const { id } = json.items.find(({ name }: { name: string }) => name === 'planted.test')
  const patch = { hooks: [{ url: 'a' }], catchAll: 'x@planted.test' }
  const changed = await api.send('PATCH', `/v1/domains/${id}`, { body: patch })
  expect(changed.status, changed.text).toBe(200)
  expect(await rowsOf('queue')).toContain('"host":"b.test","auth":{"user":"me","secret":"swordfish-1"}')
  expect(await rowsOf('smtp')).toContain('"key":"swordfish-2"')
})

test('a new entry in a document needs its secret', async () => {
  const { json: document } = await api.send('GET', '/v1/document', { headers: { accept: 'application/json' } })
  document.domains.push({ name: 'other.test', hooks: [{ url: 'a' }] })
  const { status, text } = await api.send('POST', '/v1/plan', { body: { document } })
  expect(status).toBe(422)
  expect(text).toContain('key is required')
})

test('is described as write-only', async () => {
  const { text } = await api.send('GET', '/v1/settings/schema')
  expect(text).toContain('"secret":true')
})
