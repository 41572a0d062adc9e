import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { certificateInputSchema } from './certificates.ts'
import {
  accountInputSchema,
  aliasInputSchema,
  dkimKeyInputSchema,
  domainInputSchema,
  groupInputSchema,
} from './directory.ts'
import { documentSchema } from './document.ts'
import { parseInput } from './input-errors.ts'
import { listInputSchemas } from './lists.ts'
import { replayRequestSchema } from './replay.ts'
import { sessionRecordSchema } from './session-facts.ts'
import { settingGroups } from './settings.ts'
import {
  enrolTokenInputSchema,
  passwordChangeSchema,
  refreshTokenSchema,
  signInSchema,
  tokenInputSchema,
  userInputSchema,
  userPatchSchema,
} from './users.ts'
import { enrolRequestSchema } from './worker-protocol.ts'
import { submissionSchema } from './worker-requests.ts'

/** Wrong types at every key of every schema that people write: the answer is a sentence of ours, and never the validator's. */

const schemas: [string, z.ZodType][] = [
  ['domain', domainInputSchema],
  ['account', accountInputSchema],
  ['alias', aliasInputSchema],
  ['group', groupInputSchema],
  ['certificate', certificateInputSchema],
  ['dkim-key', dkimKeyInputSchema],
  ['document', documentSchema],
  ['submission', submissionSchema],
  ['session', sessionRecordSchema],
  ['user', userInputSchema],
  ['user patch', userPatchSchema],
  ['own password', passwordChangeSchema],
  ['sign-in', signInSchema],
  ['refresh token', refreshTokenSchema],
  ['API token', tokenInputSchema],
  ['enrolment token', enrolTokenInputSchema],
  ['enrolment', enrolRequestSchema],
  ['replay', replayRequestSchema],
  ...Object.entries(listInputSchemas).map(([name, schema]): [string, z.ZodType] => [`list ${name}`, schema]),
  ...Object.entries(settingGroups).map(([name, { schema }]): [string, z.ZodType] => [`settings ${name}`, schema]),
]

const wrong = [
  undefined,
  null,
  7,
  -1.5,
  true,
  '',
  'nonsense',
  [],
  [7],
  [null],
  {},
  { nonsense: 1 },
  { type: 7 },
  1e300,
  '\0',
]
const raw =
  /\bexpected\b|received|invalid[ _]|Too (big|small)|Unrecognized|\bundefined\b|NaN|of type |\[object|union|discriminator/i

type Json = { properties?: Record<string, Json>; items?: Json; anyOf?: Json[]; oneOf?: Json[] }

/** Every place in the schema, as a function that puts a value there. */
function* places(schema: Json, depth = 0): Generator<(value: unknown) => unknown> {
  yield (value) => value
  if (depth > 5) return
  for (const option of [...(schema.anyOf ?? []), ...(schema.oneOf ?? [])]) yield* places(option, depth + 1)
  for (const [key, inner] of Object.entries(schema.properties ?? {})) {
    const { type } = (schema.properties ?? {}) as { type?: { const?: unknown } }
    const tag = type?.const === undefined || key === 'type' ? {} : { type: type.const }
    for (const put of places(inner, depth + 1)) yield (value) => ({ ...tag, [key]: put(value) })
  }
  if (schema.items) for (const put of places(schema.items, depth + 1)) yield (value) => [put(value)]
}

describe.each(schemas)('%s', (_, schema) => {
  it('answers in sentences', () => {
    const json = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as unknown as Json
    const seen = new Set<string>()
    for (const put of places(json))
      for (const value of wrong) {
        const result = parseInput(schema, put(value))
        if ('issues' in result) for (const { path, message } of result.issues) seen.add(`${path}: ${message}`)
      }
    expect(seen.size).toBeGreaterThan(3)
    expect([...seen].filter((text) => raw.test(text))).toEqual([])
  })
})

describe('what is meant is said', () => {
  const said = (schema: z.ZodType, input: unknown) => {
    const result = parseInput(schema, input)
    return 'issues' in result ? result.issues.map(({ message }) => message) : []
  }

  it('a word where an object with that type is meant', () => {
    expect(said(domainInputSchema, { name: 'example.org', route: 'maildir' })).toEqual([
      'route is "maildir" but must be an object, e.g. {"type": "maildir"}',
    ])
    expect(said(domainInputSchema, { name: 'example.org', route: 'lmtp' })[0]).toContain('{"type": "lmtp", "host": …}')
    expect(said(domainInputSchema, { name: 'example.org', route: {} })).toEqual([
      'route.type is required; it must be one of "maildir", "lmtp", "smtp", "webhook", "s3", "discard"',
    ])
    expect(said(domainInputSchema, { name: 'example.org', route: 7 })[0]).toContain('{"type": "maildir"}')
  })

  it('what is missing is required', () => {
    expect(said(domainInputSchema, {})).toEqual(['name is required; it must be text'])
    expect(said(accountInputSchema, { address: 'a@b.example' })[0]).toMatch(/^secret is required/)
    expect(said(aliasInputSchema, {})[0]).toBe('address is required; it must be text')
  })
})

it.each([
  [userInputSchema, { email: 'a@b.example', role: 'viewer', password: 'hunter2' }, 'password'],
  [userPatchSchema, { password: 'hunter2' }, 'password'],
  [passwordChangeSchema, { current: 'fine', new: 'hunter2' }, 'new'],
  [passwordChangeSchema, { current: 'hunter2'.repeat(200), new: 'long enough' }, 'current'],
  [signInSchema, { email: 'a@b.example', password: 'hunter2'.repeat(200) }, 'password'],
  [refreshTokenSchema, { refreshToken: 'hunter2'.repeat(200) }, 'refreshToken'],
  [enrolRequestSchema, { token: 'hunter2', service: 'smtp', name: 'smtp-1', version: '1' }, 'token'],
])('a password or token that is refused is not repeated', (schema, input, path) => {
  const result = parseInput(schema as z.ZodType, input)
  expect(result).toMatchObject({ issues: [{ path }] })
  expect(JSON.stringify(result)).not.toContain('hunter2')
})
