import type { z } from 'zod'

/** Describes in words what a schema allows. */
export type Schema = z.core.$ZodType

/**
 * Returns the schema inside a wrapper such as optional or default. For a transformation that is its input, for
 * preprocessing its result.
 */
export function innerOf(schema: Schema): Schema | null {
  const def = schema._zod.def as { type: string; innerType?: Schema; in?: Schema; out?: Schema }
  if (def.type !== 'pipe') return def.innerType ?? null
  return (def.in?._zod.def.type === 'transform' ? def.out : def.in) ?? null
}

export function bare(schema: Schema): Schema {
  let at = schema
  for (let inner = innerOf(at); inner; inner = innerOf(at)) at = inner
  return at
}

export function keysOf(schema: Schema | null): string[] {
  if (!schema) return []
  const { def } = bare(schema)._zod
  if (def.type === 'object') return Object.keys((def as z.core.$ZodObjectDef).shape)
  if (def.type === 'union') return [...new Set((def as z.core.$ZodUnionDef).options.flatMap(keysOf))]
  return []
}

/** Describes the values that a schema accepts, e.g. `a whole number from 1 to 100`. */
export function allowedBy(schema: Schema): string {
  const inner = bare(schema)
  const { def } = inner._zod
  switch (def.type) {
    case 'number':
    case 'int':
      return numberRange(inner)
    case 'string':
      return textRange(inner)
    case 'boolean':
      return 'true or false'
    case 'literal':
    case 'enum':
      return oneOf([...(inner._zod.values ?? [])])
    case 'array':
      return listRange(inner, allowedBy((def as z.core.$ZodArrayDef).element))
    case 'union':
      return unionOf(def as z.core.$ZodUnionDef)
    case 'object':
      return `an object {${keysOf(inner).join(', ')}}`
    case 'record':
      return 'an object'
    case 'tuple':
      return `a list of ${(def as z.core.$ZodTupleDef).items.length}`
    default:
      return 'another value'
  }
}

export function oneOf(values: readonly unknown[]): string {
  const shown = values.map((value) => (typeof value === 'string' ? JSON.stringify(value) : String(value)))
  return shown.length === 1 ? `${shown[0]}` : `one of ${shown.join(', ')}`
}

/**
 * Returns an example such as `{"type": "lmtp", "host": …}` for a union of objects discriminated by `type`.
 * @param type the intended type, if any
 */
export function exampleOf(schema: Schema, type: unknown): string | null {
  const { def } = bare(schema)._zod
  if (def.type !== 'union' || (def as { discriminator?: string }).discriminator !== 'type') return null
  const options = (def as z.core.$ZodUnionDef).options.map((option) => bare(option)._zod.def as z.core.$ZodObjectDef)
  const isMeant = ({ shape }: z.core.$ZodObjectDef) => shape.type?._zod.values?.has(type as string) === true
  const meant = options.find(isMeant) ?? options[0]
  if (!meant) return null
  const needed = Object.entries(meant.shape).filter(([, one]) => one._zod.optin === undefined)
  const keys = needed.map(
    ([key, one]) => `"${key}": ${key === 'type' ? JSON.stringify([...(one._zod.values ?? [])][0]) : '…'}`,
  )
  return `{${keys.join(', ')}}`
}

function unionOf({ options }: z.core.$ZodUnionDef): string {
  return [...new Set(options.map(allowedBy))].join(', or ').replace('""', '"" (empty)')
}

type Limits = { low?: number; high?: number; format?: string }

type Check = { value?: number; minimum?: number; maximum?: number; length?: number; format?: string }

/** Returns the limits set by the checks of a number, a string or a list. */
function limitsOf({ _zod }: Schema): Limits {
  const limits: Limits = {}
  for (const check of [_zod, ...(_zod.def.checks ?? []).map((each) => each._zod)]) {
    const { value, minimum, maximum, length, format } = check.def as Check
    const kind = (check.def as { check?: string }).check
    const low = kind === 'greater_than' ? value : (minimum ?? length)
    const high = kind === 'less_than' ? value : (maximum ?? length)
    if (low !== undefined) limits.low = Math.max(low, limits.low ?? low)
    if (high !== undefined) limits.high = Math.min(high, limits.high ?? high)
    if (format !== undefined) limits.format = format
  }
  return limits
}

function numberRange(schema: Schema): string {
  const { low, high, format } = limitsOf(schema)
  return `${format?.includes('int') ? 'a whole number' : 'a number'}${range(low, high)}`
}

function range(low: number | undefined, high: number | undefined): string {
  if (low !== undefined && high !== undefined) return ` from ${low} to ${high}`
  if (low !== undefined) return ` of at least ${low}`
  return high === undefined ? '' : ` of at most ${high}`
}

/** The length of a text or a list. */
function size(low: number | undefined, high: number | undefined): string {
  if (low === undefined || high === undefined) return range(low, high)
  return low === high ? ` of ${low}` : ` of ${low} to ${high}`
}

const formats: Record<string, string> = {
  url: 'an http or https URL',
  datetime: 'an RFC 3339 time, e.g. 2026-11-22T19:00:00Z',
  email: 'an email address',
}

function textRange(schema: Schema): string {
  const { low, high, format } = limitsOf(schema)
  const kind = formats[format ?? ''] ?? 'text'
  return low === undefined && high === undefined ? kind : `${kind}${size(low, high)} characters`
}

function listRange(schema: Schema, element: string): string {
  const { low, high } = limitsOf(schema)
  const entries = low === undefined && high === undefined ? '' : `${size(low, high)} entries`
  return `a list${entries}, each ${element}`
}
