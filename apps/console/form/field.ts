import type { SettingMeta } from '@postern/contract/setting.ts'
import type { z } from 'zod'

/**
 * Reads a form from the contract's schema: one field for each key, of a type that a control can show. Pure, without
 * React. All support for further schema types belongs here.
 */
type Shape =
  | { kind: 'choice'; options: readonly string[] }
  | { kind: 'number'; min: number; max: number }
  | { kind: 'switch' }
  | { kind: 'text'; max: number | undefined }
  /** Write-only: an empty value keeps the stored one. */
  | { kind: 'secret'; max: number | undefined }
  /** Several values of a closed list. */
  | { kind: 'choices'; options: readonly string[] }
  /** Values, one for each line. */
  | { kind: 'lines'; numbers: boolean }
  /** Objects, one for each row. */
  | { kind: 'rows'; fields: readonly Field[] }
  | { kind: 'group'; fields: readonly Field[] }
  /** `'off'`, or an object. */
  | { kind: 'switched-group'; fields: readonly Field[] }
  /** One of several objects, discriminated by `type`. */
  | { kind: 'variants'; variants: readonly { type: string; fields: readonly Field[] }[] }

export type Field = {
  key: string
  title: string
  help?: string
  unit?: string
  danger?: SettingMeta['danger']
  exemptsWhiteListed: boolean
  optional: boolean
  /** `undefined` if the value is required. */
  initial: unknown
} & Shape

type Def = {
  type: string
  innerType?: z.core.$ZodType
  in?: z.core.$ZodType
  element?: z.core.$ZodType
  options?: readonly z.core.$ZodType[]
  shape?: Record<string, z.core.$ZodType>
  entries?: Record<string, string>
  values?: readonly unknown[]
  defaultValue?: unknown
}
type Unwrapped = { schema: z.ZodType; def: Def; meta: Partial<SettingMeta>; optional: boolean; initial: unknown }

function unwrap(outer: z.core.$ZodType): Unwrapped {
  let schema = outer as z.ZodType
  let meta: Partial<SettingMeta> = {}
  let optional = false
  let initial: unknown
  for (;;) {
    const def = schema._zod.def as unknown as Def
    meta = { ...(schema.meta() as Partial<SettingMeta> | undefined), ...meta }
    if (def.type === 'optional') optional = true
    if ((def.type === 'default' || def.type === 'prefault') && initial === undefined) initial = def.defaultValue
    const inner = def.innerType ?? (def.type === 'pipe' ? def.in : undefined)
    if (!inner) return { schema, def, meta, optional, initial }
    schema = inner as z.ZodType
  }
}

/** Returns the fields of an object schema, in its order. Throws for a schema that no control can show. */
export function fieldsOf(schema: z.core.$ZodType): Field[] {
  const { def } = unwrap(schema)
  if (!def.shape) throw new Error(`a form is made from an object, not from ${def.type}`)
  return Object.entries(def.shape).map(([key, inner]) => fieldOf(key, inner))
}

function fieldOf(key: string, outer: z.core.$ZodType): Field {
  const { schema, def, meta, optional, initial } = unwrap(outer)
  const shape = shapeOf(key, schema, def, meta.secret === true)
  const unit = meta.unit ?? unitOf(key)
  return {
    key,
    title: meta.title ?? titleOf(key),
    ...(meta.help ? { help: meta.help } : {}),
    ...(unit ? { unit } : {}),
    ...(meta.danger ? { danger: meta.danger } : {}),
    exemptsWhiteListed: meta.exemptsWhiteListed ?? false,
    optional,
    initial: shape.kind === 'group' ? initialOf(shape.fields) : initial,
    ...shape,
  }
}

function shapeOf(key: string, schema: z.ZodType, def: Def, secret: boolean): Shape {
  switch (def.type) {
    case 'enum':
      return { kind: 'choice', options: Object.values(def.entries ?? {}) }
    case 'literal':
      return { kind: 'choice', options: (def.values ?? []).map(String) }
    case 'number': {
      const { minValue, maxValue } = schema as z.ZodNumber
      return { kind: 'number', min: minValue ?? 0, max: maxValue ?? Number.MAX_SAFE_INTEGER }
    }
    case 'boolean':
      return { kind: 'switch' }
    case 'string':
      return { kind: secret ? 'secret' : 'text', max: (schema as z.ZodString).maxLength ?? undefined }
    case 'array':
      return arrayShape(key, def.element)
    case 'object':
      return { kind: 'group', fields: fieldsOf(schema) }
    case 'union':
      return unionShape(key, def.options ?? [], secret)
    default:
      throw new Error(`${key}: no control for ${def.type}`)
  }
}

function arrayShape(key: string, element: z.core.$ZodType | undefined): Shape {
  if (!element) throw new Error(`${key}: a list of what?`)
  const { def } = unwrap(element)
  if (def.type === 'enum') return { kind: 'choices', options: Object.values(def.entries ?? {}) }
  if (def.type === 'object') return { kind: 'rows', fields: fieldsOf(element) }
  return { kind: 'lines', numbers: def.type === 'number' }
}

function unionShape(key: string, options: readonly z.core.$ZodType[], secret: boolean): Shape {
  const parts = options.map((option) => unwrap(option))
  if (parts.every(({ def }) => def.type === 'object')) return { kind: 'variants', variants: parts.map(variantOf) }
  const object = parts.find(({ def }) => def.type === 'object')
  const literal = parts.find(({ def }) => def.type === 'literal')?.def.values?.[0]
  if (object && literal === 'off') return { kind: 'switched-group', fields: fieldsOf(object.schema) }
  if (literal === '' && parts.some(({ def }) => def.type === 'string'))
    return { kind: secret || parts.some(({ meta }) => meta.secret) ? 'secret' : 'text', max: undefined }
  throw new Error(`${key}: no control for this union`)
}

function variantOf({ schema, def }: Unwrapped): { type: string; fields: readonly Field[] } {
  const tag = def.shape?.type
  const [type] = tag ? (unwrap(tag).def.values ?? []) : []
  return { type: String(type), fields: fieldsOf(schema).filter(({ key }) => key !== 'type') }
}

/** Returns the value of an unchanged form. */
export function initialOf(fields: readonly Field[]): Record<string, unknown> {
  return Object.fromEntries(fields.filter((field) => field.initial !== undefined).map((f) => [f.key, f.initial]))
}

const units: readonly [RegExp, string][] = [
  [/Seconds$/, 'seconds'],
  [/Minutes$/, 'minutes'],
  [/Hours$/, 'hours'],
  [/Days$/, 'days'],
  [/Ms$/, 'milliseconds'],
  [/PerMinute$|^perMinute$/, 'per minute'],
  [/PerHour$|^perHour$/, 'per hour'],
  [/PerDay$/, 'per day'],
]

function unitOf(key: string): string | undefined {
  return units.find(([suffix]) => suffix.test(key))?.[1]
}

const acronyms: Record<string, string> = { url: 'URL', tls: 'TLS', dns: 'DNS', ip: 'IP', uri: 'URI', jwks: 'JWKS' }

/** `delaySeconds` → `Delay`, `onFailure` → `On failure`, `url` → `URL`. */
export function titleOf(key: string): string {
  const bare =
    key === 'perMinute' ? 'messages' : key.replace(/(Seconds|Minutes|Hours|Days|Ms|PerMinute|PerHour|PerDay)$/, '')
  const words = bare.replace(/([A-Z])/g, (letter) => ` ${letter.toLowerCase()}`).split(' ')
  const text = words.map((word) => acronyms[word] ?? word).join(' ')
  return text.charAt(0).toUpperCase() + text.slice(1)
}
