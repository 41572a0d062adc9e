import { settingGroupNames, settingGroups } from '@postern/contract/settings.ts'
import { beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { type Fixture, startFixture } from './test/fixture.ts'
import { workerReport } from './test/worker-report.ts'
import { settingsSchema } from './verbs/settings.ts'

/**
 * Every key of every group, from the published JSON Schema: below range, above range, wrong type, null, an unknown key
 * beside it. Each gets a 422 that names key, value and range. Nothing is saved, and no worker is notified.
 */
let api: Fixture
let head: number
const groups = settingsSchema().properties as Record<string, JsonSchema>

beforeAll(async () => {
  api = await startFixture()
  await report()
  await api.send('PATCH', '/v1/settings/general', { body: { hostname: 'mx.example.org' } })
  await api.send('POST', '/v1/domains', { body: { name: 'example.org' } })
  const account = { address: 'a=b_c@example.org', login: 'user%one', secret: 'a long password' }
  head = (await api.send('POST', '/v1/accounts', { body: account })).json.revision
  await api.settled()
})

type JsonSchema = {
  type?: string
  minimum?: number
  maximum?: number
  exclusiveMinimum?: number
  maxLength?: number
  enum?: unknown[]
  const?: unknown
  pattern?: string
  default?: unknown
  anyOf?: JsonSchema[]
  items?: JsonSchema
  properties?: Record<string, JsonSchema>
  required?: string[]
  secret?: boolean
}
/** `value`: the value sent for the key. `at`: the path in the answer. `says`: what its message contains. */
type Probe = { what: string; value: unknown; at: string; says: (string | number)[] }

/** Values for the required keys of an object, so that only the tested one is wrong. */
const samples: Record<string, unknown> = {
  host: 'h.example',
  url: 'https://f.example/',
  zone: 'bl.example',
  domain: 'd.example',
}

function probesOf(schema: JsonSchema, at: string): Probe[] {
  const wrong = (what: string, value: unknown, ...says: (string | number)[]): Probe => ({ what, value, at, says })
  if (schema.anyOf) return probesOfUnion(schema.anyOf, at)
  if (schema.enum)
    return [wrong('not among the words', 'nonsense', '"nonsense"', ...schema.enum.map(String)), wrong('a number', 7, 7)]
  switch (schema.type) {
    case 'integer': {
      const { minimum = 0, maximum = 0 } = schema
      const range = [minimum, maximum]
      return [
        wrong('below range', minimum - 1, minimum - 1, ...range),
        wrong('above range', maximum + 1, maximum + 1, ...range),
        wrong('a fraction', minimum + 0.5, minimum + 0.5, ...range),
        wrong('text', 'many', '"many"', ...range),
        wrong('a list', [minimum]),
      ]
    }
    case 'boolean':
      return [wrong('text', 'on', '"on"'), wrong('a number', 1, 1)]
    case 'array':
      return [wrong('text', 'nonsense', '"nonsense"'), ...probesOfItem(schema.items ?? {}, at)]
    case 'object':
      return probesOfObject(schema, at)
    default:
      return [
        wrong('a number', 12_345, schema.secret ? 'not valid' : 12_345),
        wrong('a list', ['x']),
        wrong('too long', 'x'.repeat(5000)),
        ...(schema.pattern || !schema.maxLength ? [wrong('nonsense', '<not\r\nit>')] : []),
      ]
  }
}

function probesOfUnion(options: JsonSchema[], at: string): Probe[] {
  const object = options.find(({ type }) => type === 'object')
  const words = options.flatMap(({ const: word }) => (typeof word === 'string' ? [word] : []))
  return [
    { what: 'another word', value: '<nonsense>', at, says: ['nonsense', ...words] },
    { what: 'a number', value: 7, at, says: [7] },
    ...(object ? probesOfObject(object, at) : []),
  ]
}

function probesOfObject({ properties = {}, required = [] }: JsonSchema, at: string): Probe[] {
  const whole = Object.fromEntries(required.flatMap((key) => (key in samples ? [[key, samples[key]]] : [])))
  const inner = Object.entries(properties).flatMap(([key, schema]) =>
    probesOf(schema, `${at}.${key}`).map((probe) => ({ ...probe, value: { ...whole, [key]: probe.value } })),
  )
  const unknown = { what: 'an unknown key', value: { ...whole, nonsense: 1 }, at: `${at}.nonsense`, says: ['nonsense'] }
  return [unknown, ...inner]
}

function probesOfItem(items: JsonSchema, at: string): Probe[] {
  return probesOf(items, `${at}.0`).map((probe) => ({ ...probe, value: [probe.value] }))
}

async function report(): Promise<void> {
  const body = workerReport('smtp', { queueUrl: 'https://sqs.example/smtp-1' })
  expect((await api.send('POST', '/v1/worker/report', { token: await api.tokens.smtp(), body })).status).toBe(200)
}

/** Expects a helpful refusal, with nothing saved and no worker notified. */
async function refuses(group: string, patch: object, { at, says }: Pick<Probe, 'at' | 'says'>): Promise<void> {
  const notified = api.notifications.length
  const before = (await api.send('GET', `/v1/settings/${group}`)).text
  const { status, json } = await api.send('PATCH', `/v1/settings/${group}`, { body: patch })
  const told = JSON.stringify(patch).slice(0, 200)
  expect([told, status]).toEqual([told, 422])
  const found = json.errors.find(({ path }: { path: string }) => path === at || path.startsWith(`${at}.`))
  expect(found, `${told}: ${JSON.stringify(json.errors)} names ${at}`).toBeDefined()
  expect(found.message).toContain(String(at.split('.').findLast((part) => Number.isNaN(Number(part)))))
  for (const word of says) expect(found.message, told).toContain(String(word))
  expect((await api.send('GET', `/v1/settings/${group}`)).text).toBe(before)
  expect((await api.send('GET', '/v1/settings')).json.revision).toBe(head)
  await api.settled()
  expect(api.notifications).toHaveLength(notified)
}

for (const group of settingGroupNames)
  describe(group, () => {
    const properties = groups[group]?.properties ?? {}
    it('publishes every key', () => {
      expect(Object.keys(properties)).toEqual(Object.keys(settingGroups[group].schema.shape))
    })
    for (const [key, schema] of Object.entries(properties)) {
      it(`${key}: null`, () => refuses(group, { [key]: null }, { at: key, says: ['null', 'must be'] }))
      it(`${key}: an unknown key beside it`, () =>
        refuses(group, { [key]: schema.default, nonsense: 1 }, { at: 'nonsense', says: ['nonsense', key] }))
      for (const { what, value, at, says } of probesOf(schema, key))
        it(`${at}: ${what}`, () => refuses(group, { [key]: value }, { at, says }))
    }
  })

describe('contradictions', () => {
  it.each([
    ['dictionary', { softErrorLimit: 10, hardErrorLimit: 5 }, 'hardErrorLimit', [5, 10, 'softErrorLimit']],
    ['queue', { deliveryThreads: 10, retryThreads: 10 }, 'retryThreads', [10, 'deliveryThreads']],
    ['queue', { retryThreads: 500 }, 'retryThreads', [500, 'deliveryThreads', 30]],
    ['queue', { deliveryThreads: 15 }, 'retryThreads', [15, 'deliveryThreads']],
    ['advanced', { port: 587 }, 'submissionPort', ['587', 'twice']],
    ['advanced', { extraPorts: [2626, 25] }, 'extraPorts.1', ['25', 'twice']],
    ['advanced', { extraPorts: [465] }, 'extraPorts.0', ['465', 'tls.implicitTlsPort']],
    ['tls', { implicitTlsPort: 25 }, 'implicitTlsPort', ['25', 'advanced.port']],
    ['advanced', { mailboxDelimiter: '=' }, 'mailboxDelimiter', ['=', 'a=b_c@example.org']],
    ['advanced', { mailboxDelimiter: '_' }, 'mailboxDelimiter', ['_', 'a=b_c@example.org']],
    ['advanced', { hostDelimiters: '%' }, 'hostDelimiters', ['%', 'a=b_c@example.org']],
    ['logging', { destination: 'logServer' }, 'logServer', ['logServer', 'host']],
  ] as [string, object, string, (string | number)[]][])('%s %j names %s', (group, patch, at, says) =>
    refuses(group, patch, { at, says }),
  )

  it('refuses to watch a rule that cannot be watched, with the reason', () =>
    refuses(
      'security',
      { watch: ['relay', 'auth-credentials'] },
      { at: 'watch.1', says: ['auth-credentials', 'a wrong password would log in'] },
    ))
})

it('the schema has the range of every number', () => {
  const open: string[] = []
  const look = (schema: JsonSchema, at: string) => {
    if (schema.type === 'integer' && (schema.minimum === undefined || schema.maximum === undefined)) open.push(at)
    for (const [key, inner] of Object.entries(schema.properties ?? {})) look(inner, `${at}.${key}`)
    for (const inner of [...(schema.anyOf ?? []), ...(schema.items ? [schema.items] : [])]) look(inner, at)
  }
  for (const group of settingGroupNames)
    look(z.toJSONSchema(settingGroups[group].schema, { io: 'input', unrepresentable: 'any' }) as JsonSchema, group)
  expect(open).toEqual([])
})
