import { z } from 'zod'
import type { Schema } from './allowed-values.ts'
import { isObject, type JsonObject as Json } from './json.ts'
import type { ServiceName } from './services.ts'
import type { SettingMeta } from './setting.ts'

/**
 * Finds secrets by their mark in the schemas, `.meta({ secret: true })`, at any depth. Used for sealing at rest, for
 * hiding secrets in answers, for the rows sent to each worker, for documents, and for masking in the console.
 */

/** `*` matches every element of a list and every value of a record. */
export type SecretPlace = {
  path: readonly string[]
  /** The services whose workers receive the secret. All others get the row without it. */
  sentTo: readonly ServiceName[]
  /** The value that replaces the secret for other services: none, or an empty string if the row requires one. */
  withheld: '' | undefined
}

type Mark = { sentTo: readonly ServiceName[] }
type At = { path: readonly string[]; mark: Mark | undefined; optional: boolean }
type Def = {
  type: string
  innerType?: Schema
  in?: Schema
  out?: Schema
  element?: Schema
  items?: readonly Schema[]
  rest?: Schema | null
  valueType?: Schema
  options?: readonly Schema[]
  left?: Schema
  right?: Schema
  shape?: Record<string, Schema>
  catchall?: Schema
}

const defOf = (schema: Schema): Def => schema._zod.def as unknown as Def

function markOf(schema: Schema): Mark | undefined {
  const meta = z.globalRegistry.get(schema) as Partial<SettingMeta> | undefined
  return meta?.secret ? { sentTo: meta.sentTo ?? [] } : undefined
}

/** Returns whether the schema, or one that it wraps, is marked. */
export function isSecret(schema: Schema | null): boolean {
  if (!schema) return false
  const { innerType, in: given, out } = defOf(schema)
  return markOf(schema) !== undefined || [innerType, given, out].some((inner) => inner && isSecret(inner))
}

/**
 * Returns every place of a secret in the values of a schema. Throws if a mark is not on a single string, because such a
 * value could not be sealed.
 */
export function secretPlaces(schema: Schema): SecretPlace[] {
  const found: Found = new Map()
  walk(schema, { path: [], mark: undefined, optional: false }, found)
  return [...found.values()]
}

type Found = Map<string, SecretPlace>

function walk(schema: Schema, { path, mark: outer, optional }: At, found: Found): void {
  if (path.length > maxDepth) throw new Error(`${path.slice(0, 4).join('.')} is in a recursive schema`)
  const mark = markOf(schema) ?? outer
  const def = defOf(schema)
  const isOptional = optional || def.type === 'optional' || def.type === 'default' || def.type === 'prefault'
  const { same, below } = innersOf(schema)
  for (const inner of same) walk(inner, { path, mark, optional: isOptional }, found)
  if (mark && below.length > 0) throw new Error(`${path.join('.')} is marked as a secret; mark the texts in it`)
  for (const [key, inner] of below) walk(inner, { path: [...path, key], mark: undefined, optional: false }, found)
  if (mark && same.length + below.length === 0) note(schema, { path, mark, optional: isOptional }, found)
}

const maxDepth = 30

/** Returns the schemas of the same value, and the schemas of nested values. */
function innersOf(schema: Schema): { same: Schema[]; below: [string, Schema][] } {
  const def = defOf(schema)
  const every = [def.element, def.valueType, def.rest, def.catchall, ...(def.items ?? [])].filter(isPresent)
  const lazy = def.type === 'lazy' ? (schema as z.core.$ZodLazy)._zod.innerType : undefined
  const same = [def.innerType, def.in, def.out, def.left, def.right, lazy, ...(def.options ?? [])]
  return {
    same: same.filter(isPresent),
    below: [...Object.entries(def.shape ?? {}), ...every.map((inner): [string, Schema] => ['*', inner])],
  }
}

const isPresent = (schema: Schema | null | undefined): schema is Schema => schema !== undefined && schema !== null

/** Types allowed in place of a secret that are not secret themselves: `"off"`, nothing. */
const textTypes = ['string', 'enum', 'literal', 'template_literal', 'transform', 'null', 'undefined', 'never']

function note(schema: Schema, { path, mark, optional }: At & { mark: Mark }, found: Found): void {
  const name = path.join('.')
  const { type } = defOf(schema)
  if (!textTypes.includes(type)) throw new Error(`${name} is marked as a secret but is ${type}; a secret is text`)
  if (path.at(-1) === '*') throw new Error(`${name} is a list of secrets; make it a list of objects`)
  const before = found.get(name)
  found.set(name, {
    path,
    sentTo: [...new Set([...(before?.sentTo ?? []), ...mark.sentTo])],
    withheld: before?.withheld ?? (!optional && z.safeParse(schema, '').success ? '' : undefined),
  })
}

type Change = (secret: string, at: { path: string; place: SecretPlace }) => string | undefined

/** Returns a copy of the value with each secret replaced; `undefined` removes the secret. */
export function replaceSecrets(value: unknown, places: readonly SecretPlace[], change: Change): unknown {
  return places.reduce(
    (result, place) =>
      replaceAt(result, place.path, { walked: [], change: (text, path) => change(text, { path, place }) }),
    value,
  )
}

type Replacing = { walked: readonly string[]; change: (secret: string, path: string) => string | undefined }

function replaceAt(value: unknown, [step, ...rest]: readonly string[], { walked, change }: Replacing): unknown {
  if (step === undefined) return typeof value === 'string' ? change(value, walked.join('.')) : value
  const inside = (key: string, one: unknown) => replaceAt(one, rest, { walked: [...walked, key], change })
  if (step === '*' && Array.isArray(value)) return value.map((one, i) => inside(String(i), one))
  if (!isObject(value)) return value
  const keys = step === '*' ? Object.keys(value) : [step].filter((key) => Object.hasOwn(value, key))
  return keys.reduce((result, key) => withKey(result, key, inside(key, value[key])), value)
}

function withKey(value: Json, key: string, to: unknown): Json {
  if (to === undefined) return Object.fromEntries(Object.entries(value).filter(([name]) => name !== key))
  return to === value[key] ? value : { ...value, [key]: to }
}

/** Returns the value without its secrets, for API responses. */
export function withoutSecrets(value: unknown, places: readonly SecretPlace[]): unknown {
  return replaceSecrets(value, places, () => undefined)
}

/**
 * Fills in missing secrets from the existing value in the same place. List elements match if everything except their
 * secrets is equal. An object with another `type` is a different object and takes over no secrets.
 */
export function keepSecrets(value: Json, before: Json | undefined, places: readonly SecretPlace[]): Json {
  return places.reduce<unknown>((result, { path }) => keepAt(result, before, { path, places }), value) as Json
}

type Keeping = { path: readonly string[]; places: readonly SecretPlace[] }

function keepAt(now: unknown, old: unknown, { path: [step, ...rest], places }: Keeping): unknown {
  if (step === undefined) return now === undefined && typeof old === 'string' ? old : now
  const within = { path: rest, places: placesBelow(places, step) }
  if (step === '*' && Array.isArray(now) && Array.isArray(old)) {
    const bare = (one: unknown) => JSON.stringify(withoutSecrets(one, within.places))
    const known = new Map(old.map((one) => [bare(one), one]))
    return now.map((one) => keepAt(one, known.get(bare(one)), within))
  }
  if (!isObject(now) || !isObject(old) || now.type !== old.type) return now
  const keys = step === '*' ? Object.keys(now) : [step]
  return keys.reduce((result, key) => withKey(result, key, keepAt(now[key], old[key], within)), now)
}

const placesBelow = (places: readonly SecretPlace[], step: string): SecretPlace[] =>
  places.filter(({ path }) => path[0] === step).map((place) => ({ ...place, path: place.path.slice(1) }))

/** Returns the same schema with secrets optional, for a value that was read without its secrets and is written back. */
export function withSecretsOptional<T extends Schema>(schema: T): T {
  return secretPlaces(schema).length === 0 ? schema : (loosened(schema) as T)
}

function loosened(schema: Schema): Schema {
  const def = defOf(schema)
  const { same, below } = innersOf(schema)
  if (same.length + below.length === 0) return schema
  const changed: Partial<Def> = {}
  for (const key of ['innerType', 'in', 'out', 'element', 'valueType', 'left', 'right', 'rest', 'catchall'] as const)
    if (def[key]) changed[key] = loosened(def[key])
  if (def.options) changed.options = def.options.map(loosened)
  if (def.items) changed.items = def.items.map(loosened)
  if (def.shape)
    changed.shape = Object.fromEntries(
      Object.entries(def.shape).map(([key, inner]) => [key, isSecret(inner) ? z.optional(inner) : loosened(inner)]),
    )
  return z.core.clone(schema, { ...def, ...changed } as never, { parent: true })
}
