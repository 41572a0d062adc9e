import { readdirSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { eventTypes } from './events.ts'
import { fitFor, type RowKind, rowKinds, schemaOf } from './rows.ts'
import { isSecret, keepSecrets, replaceSecrets, secretPlaces, withoutSecrets, withSecretsOptional } from './secrets.ts'
import { serviceNames } from './services.ts'
import { settingGroupNames } from './settings.ts'

const secret = z
  .string()
  .min(8)
  .meta({ secret: true, sentTo: ['queue'] })
const planted = z.strictObject({
  route: z.discriminatedUnion('type', [
    z.strictObject({ type: z.literal('none') }),
    z.strictObject({ type: z.literal('smtp'), auth: z.strictObject({ user: z.string(), secret }) }),
  ]),
  hooks: z.array(z.strictObject({ url: z.string(), key: secret.optional() })).default([]),
  fallback: z.union([z.literal('off'), z.strictObject({ password: secret.optional() })]).default('off'),
})
const value = {
  route: { type: 'smtp', auth: { user: 'me', secret: 'swordfish-1' } },
  hooks: [{ url: 'a', key: 'swordfish-2' }, { url: 'b' }],
  fallback: { password: 'swordfish-3' },
}

describe('every schema of the contract', async () => {
  const modules = await Promise.all(
    ['.', './settings'].flatMap((folder) =>
      readdirSync(new URL(folder, import.meta.url))
        .filter((name) => name.endsWith('.ts') && !/\.(test|d)\.ts$/.test(name))
        .map((name) => import(`${folder}/${name}`) as Promise<Record<string, unknown>>),
    ),
  )
  const exported = modules.flatMap((module) => Object.entries(module)).filter(([, one]) => one instanceof z.ZodType)
  const rows = rowKinds.flatMap((kind) =>
    (kind === 'settings' ? settingGroupNames : ['']).map((id) => [`${kind} ${id}`, schemaOf({ kind, id })]),
  )
  const events = Object.entries(eventTypes).map(([name, { fields }]) => [name, fields])
  const schemas = [...exported, ...rows, ...events] as [string, z.ZodType][]

  test('are found', () => expect(schemas.length).toBeGreaterThan(80))

  test.each(schemas)('%s: a key whose name says secret is marked', (_, schema) => {
    const unmarked = [...keysBelow(schema, [], new Set())]
      .filter(([path, inner]) => looksSecret.test(path.split('.').at(-1) ?? '') && !isSecret(inner))
      .map(([path]) => path)
      .filter((path) => !(path in noSecrets))
    expect(unmarked).toEqual([])
  })

  test.each(rows as [string, z.ZodType][])('%s: secrets are texts that can be sealed', (_, schema) => {
    expect(() => secretPlaces(schema)).not.toThrow()
  })
})

const looksSecret = /secret|passw|passphrase|token|private_?key|api_?key|credential|hash$|^key$|^pin$|bearer|^salt$/i
/** Names that look so and are none, or are answers that show a secret once. */
const noSecrets: Record<string, string> = {
  key: 'the kind of a certificate’s key',
  'source.key': 'the kind of a certificate’s key',
  accessToken: 'the answer to an enrolment, which the worker asked for',
}

function* keysBelow(schema: z.core.$ZodType, path: string[], seen: Set<unknown>): Generator<[string, z.core.$ZodType]> {
  if (seen.has(schema) || path.length > 12) return
  const def = schema._zod.def as unknown as Record<string, unknown>
  const within = new Set([...seen, schema])
  for (const [key, inner] of Object.entries((def.shape ?? {}) as Record<string, z.core.$ZodType>)) {
    yield [[...path, key].join('.'), inner]
    yield* keysBelow(inner, [...path, key], within)
  }
  const others = [
    def.innerType,
    def.in,
    def.out,
    def.element,
    def.valueType,
    def.left,
    def.right,
    def.rest,
    def.catchall,
  ]
  for (const inner of [...others, ...((def.options ?? []) as unknown[]), ...((def.items ?? []) as unknown[])])
    if (inner) yield* keysBelow(inner as z.core.$ZodType, path, within)
}

test('a secret is found however deep it lies, and is left out, hidden and sent by its mark alone', () => {
  const places = secretPlaces(planted)
  expect(places.map(({ path }) => path.join('.'))).toEqual(['route.auth.secret', 'hooks.*.key', 'fallback.password'])
  expect(planted.safeParse(value).success).toBe(true)
  expect(JSON.stringify(withoutSecrets(value, places))).not.toContain('swordfish')
  const hidden = replaceSecrets(value, places, () => '(secret)')
  expect(JSON.stringify(hidden)).not.toContain('swordfish')
  expect(JSON.stringify(hidden).split('(secret)')).toHaveLength(4)
  expect(JSON.stringify(value).split('swordfish')).toHaveLength(4)
})

test('what was read without its secrets may be written back, and keeps them', () => {
  const places = secretPlaces(planted)
  const open = withoutSecrets(value, places)
  const lenient = withSecretsOptional(planted)
  expect(lenient.safeParse(open).success).toBe(true)
  expect(planted.safeParse(open).success).toBe(false)
  expect(keepSecrets(open as never, value, places)).toEqual(value)
})

test('a secret never moves to another thing', () => {
  const places = secretPlaces(planted)
  const kept = keepSecrets(
    { route: { type: 'none' }, hooks: [{ url: 'c' }, { url: 'a' }], fallback: 'off' },
    value,
    places,
  )
  expect(kept).toEqual({
    route: { type: 'none' },
    hooks: [{ url: 'c' }, { url: 'a', key: 'swordfish-2' }],
    fallback: 'off',
  })
})

test('refinements of a schema hold without its secrets', () => {
  const refined = planted.refine(({ hooks }) => hooks.length < 3, { message: 'at most two hooks' })
  const many = { ...value, hooks: [{ url: 'a' }, { url: 'b' }, { url: 'c' }] }
  expect(withSecretsOptional(refined).safeParse(many).success).toBe(false)
})

test.each([
  ['a number', z.object({ pin: z.number().meta({ secret: true }) })],
  ['an object', z.object({ login: z.object({ user: z.string() }).meta({ secret: true }) })],
  ['a list of secrets', z.object({ keys: z.array(secret) })],
])('%s cannot be a secret', (_, schema) => {
  expect(() => secretPlaces(schema)).toThrow(/secret/)
})

const stored: [RowKind, string, object, Record<string, string>][] = [
  ['settings', 'general', { gateway: { host: 'a.test', secret: 'hunter22' } }, { queue: 'hunter22' }],
  [
    'settings',
    'advanced',
    { deliveryApplication: { url: 'https://a.test/', secret: 'hunter22' } },
    { smtp: 'hunter22' },
  ],
  ['domain', '1', { route: { type: 'webhook', url: 'https://a.test/', secret: 'hunter22' } }, { queue: 'hunter22' }],
  ['account', '1', { address: 'a@b.test', secretHash: 'hunter22' }, { smtp: 'hunter22' }],
  ['certificate', '1', { privateKey: 'hunter22' }, { smtp: 'hunter22' }],
  ['dkim-key', '1', { privateKey: 'hunter22' }, { queue: 'hunter22' }],
]
test.each(stored)('the secret of %s %s reaches the services that need it alone', (kind, id, row, reaches) => {
  for (const service of serviceNames)
    expect(JSON.stringify(fitFor(service, { kind, id }, row)).includes('hunter22')).toBe(service in reaches)
})

test('a row that cannot be without its secret comes with an empty one', () => {
  expect(fitFor('queue', { kind: 'account', id: '1' }, { secretHash: 'x' })).toEqual({ secretHash: '' })
})
