import type { z } from 'zod'
import { allowedBy, bare, exampleOf, keysOf, oneOf, type Schema } from './allowed-values.ts'
import { isSecret } from './secrets.ts'

/** Describes invalid input so that the sender can fix it: the key, the value and the allowed values. */
export type InputIssue = {
  /** Dotted path into the input: `retryThreads`, `gateway.port`, `items.3.value`; empty for the whole input. */
  path: string
  message: string
}

type Issue = z.core.$ZodIssue
type Path = readonly PropertyKey[]

const maxIssues = 100

/**
 * @param input the parsed input, whose values appear in the messages. Values of secret keys and whole objects are never
 *   shown.
 */
export function describeIssues(error: z.core.$ZodError, input: unknown, schema: Schema): InputIssue[] {
  const found: InputIssue[] = []
  for (const issue of error.issues) found.push(...describe(issue, [], { input, schema }))
  const first = new Map<string, InputIssue>()
  for (const issue of found)
    if (!first.has(`${issue.path}\n${issue.message}`)) first.set(`${issue.path}\n${issue.message}`, issue)
  return [...first.values()].slice(0, maxIssues)
}

/** Parses the input, or describes what is wrong with it. */
export function parseInput<T extends z.ZodType>(
  schema: T,
  input: unknown,
): { value: z.output<T> } | { issues: InputIssue[] } {
  const parsed = schema.safeParse(input)
  return parsed.success ? { value: parsed.data } : { issues: describeIssues(parsed.error, input, schema) }
}

type Whole = { input: unknown; schema: Schema }

/** `above`: the path of the union whose branch reported the issue. The issue's own path is relative to it. */
function describe(issue: Issue, above: Path, whole: Whole): InputIssue[] {
  const path = [...above, ...issue.path]
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey(key, path, whole))
  if (issue.code === 'invalid_union') {
    const branch = bestBranch(issue)
    if (branch) return branch.flatMap((inner) => describe(inner, path, whole))
  }
  return [{ path: path.join('.'), message: sentence(issue, path, whole) }]
}

/**
 * Returns the branch of a union that the author most likely meant: one that fails below its root, with the fewest
 * issues.
 */
function bestBranch({ errors }: Extract<Issue, { code: 'invalid_union' }>): Issue[] | null {
  const deep = errors.filter((branch) => branch.every((issue) => issue.path.length > 0 || !isOfKind(issue)))
  deep.sort((a, b) => a.length - b.length)
  return deep[0] ?? null
}

/** Returns whether the value has a completely different type. */
function isOfKind({ code }: Issue): boolean {
  return code === 'invalid_type' || code === 'invalid_value' || code === 'invalid_union'
}

function unknownKey(key: string, path: Path, { input, schema }: Whole): InputIssue {
  const known = keysOf(schemaAt(schema, path, input).schema)
  const allowed = known.length > 0 ? `; known keys: ${known.join(', ')}` : ''
  return { path: [...path, key].join('.'), message: `${shorten(key)} is not a key of ${nameOf(path)}${allowed}` }
}

function sentence(issue: Issue, path: Path, { input, schema }: Whole): string {
  const place = schemaAt(schema, path, input)
  const name = nameOf(path)
  if (issue.code === 'custom' || hasOwnWords(issue)) return ownWords(issue.message, { name, path, input, ...place })
  const value = valueAt(input, path)
  const example = place.schema && exampleOf(place.schema, value)
  if (example && value !== undefined) return `${name} is ${show(value)} but must be an object, e.g. ${example}`
  const allowed = allowedHere(issue, place.schema)
  if (value === undefined) return `${name} is required; it must be ${allowed}`
  return `${name} is ${place.secret ? 'not valid' : show(value)} but must be ${allowed}`
}

function allowedHere(issue: Issue, schema: Schema | null): string {
  if (issue.code === 'invalid_union' && 'options' in issue && Array.isArray(issue.options)) return oneOf(issue.options)
  return schema ? allowedBy(schema) : issue.message
}

/** Returns whether the message comes from this contract. Messages from zod begin with these words. */
function hasOwnWords({ message }: Issue): boolean {
  return !/^(Invalid |Too |Unrecognized )/.test(message)
}

type Place = { name: string; path: Path; input: unknown; secret: boolean }

function ownWords(message: string, { name, path, input, secret }: Place): string {
  if (!message.startsWith('must '))
    return message.startsWith(`${String(path.at(-1) ?? '')} `) ? message : `${name}: ${message}`
  return `${name} is ${secret ? 'not valid' : show(valueAt(input, path))} but ${message}`
}

function nameOf(path: Path): string {
  return path.length > 0 ? path.join('.') : 'the input'
}

function valueAt(input: unknown, path: Path): unknown {
  let value = input
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined
    value = (value as Record<PropertyKey, unknown>)[key]
  }
  return value
}

/** Formats a value for a message: short, and without nested values. */
function show(value: unknown): string {
  if (value === undefined) return 'missing'
  if (Array.isArray(value)) return `a list of ${value.length}`
  if (typeof value === 'object' && value !== null) return 'an object'
  return typeof value === 'string' ? shorten(value) : String(value)
}

function shorten(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text)
}

/** Returns the schema at a path, and whether any schema along the path is secret. */
function schemaAt(root: Schema, path: Path, input: unknown): { schema: Schema | null; secret: boolean } {
  let schema: Schema | null = root
  let secret = isSecret(root)
  let value = input
  for (const key of path) {
    schema = schema && child(schema, key, value)
    secret ||= isSecret(schema)
    value = valueAt(value, [key])
  }
  return { schema, secret }
}

function child(schema: Schema, key: PropertyKey, value: unknown): Schema | null {
  const inner = bare(schema)
  const { def } = inner._zod
  const own = def as {
    shape?: Record<PropertyKey, Schema>
    element?: Schema
    valueType?: Schema
    options?: readonly Schema[]
  }
  if (def.type === 'object') return Object.hasOwn(own.shape ?? {}, key) ? (own.shape?.[key] ?? null) : null
  if (def.type === 'array') return typeof key === 'number' ? (own.element ?? null) : null
  if (def.type === 'record') return own.valueType ?? null
  if (def.type !== 'union') return null
  const found = (own.options ?? [])
    .map((option) => ({ option, found: child(option, key, value) }))
    .filter((row) => row.found)
  return (found.find(({ option }) => mayBe(option, value)) ?? found[0])?.found ?? null
}

/** Returns whether the value matches all literals of a discriminated-union branch. */
function mayBe(option: Schema, value: unknown): boolean {
  const shape = (bare(option)._zod.def as { shape?: Record<string, Schema> }).shape ?? {}
  return Object.entries(shape).every(([key, schema]) => {
    const { values } = schema._zod
    return !values || values.size === 0 || values.has(valueAt(value, [key]) as z.core.util.Primitive)
  })
}
