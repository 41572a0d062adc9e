import { describeIssues } from '@postern/contract/input-errors.ts'
import { z } from 'zod'
import type { Field } from './field.ts'
import { initialOf } from './field.ts'

/**
 * Converts between settings and the values of controls, and maps errors back. The two differ: a text area holds lines,
 * a switch holds on or off in addition to an object, and an empty number is an empty string.
 */
export type Values = Record<string, unknown>

/** Returns a value for each control. */
export function toForm(fields: readonly Field[], settings: Values): Values {
  return Object.fromEntries(fields.map((field) => [field.key, toControl(field, settings[field.key])]))
}

function toControl(field: Field, value: unknown): unknown {
  switch (field.kind) {
    case 'lines':
      return ((value as unknown[] | undefined) ?? []).join('\n')
    case 'rows':
      return ((value as Values[] | undefined) ?? []).map((row) => toForm(field.fields, row))
    case 'group':
      return toForm(field.fields, (value as Values | undefined) ?? initialOf(field.fields))
    case 'switched-group': {
      const on = typeof value === 'object' && value !== null
      return { on, value: toForm(field.fields, on ? (value as Values) : initialOf(field.fields)) }
    }
    case 'variants': {
      const chosen = value as (Values & { type: string }) | undefined
      const each = field.variants.map(({ type, fields }) => {
        return [type, toForm(fields, chosen?.type === type ? chosen : initialOf(fields))] as const
      })
      return { type: chosen?.type ?? field.variants[0]?.type, of: Object.fromEntries(each) }
    }
    case 'choices':
      return value ?? []
    case 'switch':
      return value ?? false
    case 'secret':
      return ''
    default:
      return value ?? ''
  }
}

/** Converts the values of controls to settings, without validation. Leaves out empty secrets and empty optional keys. */
export function fromForm(fields: readonly Field[], values: Values): Values {
  const pairs = fields.map((field) => [field.key, fromControl(field, values[field.key])] as const)
  return Object.fromEntries(pairs.filter(([, value]) => value !== undefined))
}

function fromControl(field: Field, value: unknown): unknown {
  switch (field.kind) {
    case 'number':
      return value === '' && field.optional ? undefined : toNumber(value)
    case 'lines':
      return linesOf(value).map(({ text }) => (field.numbers ? toNumber(text) : text))
    case 'rows':
      return ((value as Values[] | undefined) ?? []).map((row) => fromForm(field.fields, row))
    case 'group':
      return fromForm(field.fields, (value as Values | undefined) ?? {})
    case 'switched-group': {
      const { on, value: inner } = value as { on: boolean; value: Values }
      return on ? fromForm(field.fields, inner) : 'off'
    }
    case 'variants': {
      const { type, of } = value as { type: string; of: Record<string, Values> }
      const variant = field.variants.find((one) => one.type === type)
      return { type, ...(variant ? fromForm(variant.fields, of[type] ?? {}) : {}) }
    }
    case 'secret':
      return value === '' ? undefined : value
    case 'text':
      return value === '' && field.optional ? undefined : value
    default:
      return value
  }
}

/** Converts a number. Other text stays a string, so that validation refuses it by name. */
function toNumber(value: unknown): unknown {
  if (typeof value === 'number') return value
  const text = String(value ?? '').trim()
  return /^-?\d+$/.test(text) ? Number(text) : text
}

/** Returns the non-empty lines with their line numbers (from 1). */
function linesOf(value: unknown): { line: number; text: string }[] {
  return String(value ?? '')
    .split('\n')
    .map((text, i) => ({ line: i + 1, text: text.trim() }))
    .filter(({ text }) => text !== '')
}

export type FieldError = { path: string; message: string }

/** Validates against the contract, with messages that name the range. `path` is the path of the control. */
export function check(schema: z.ZodType, fields: readonly Field[], values: Values): FieldError[] {
  const input = fromForm(fields, values)
  const result = schema.safeParse(input)
  if (result.success) return []
  return result.error.issues.flatMap((issue) =>
    describeIssues(new z.core.$ZodError([issue]), input, schema).map(({ path, message: told }) => {
      const field = fieldAt(fields, path.split('.'))
      const message =
        issue.code === 'custom' || !field
          ? withoutName(issue.code === 'custom' ? issue.message : told)
          : wordsFor(field, told)
      return toControlError(fields, { path, message }, values)
    }),
  )
}

/** Removes the key's name from a message, because the label of the control already shows it. */
export function withoutName(message: string): string {
  if (/ is required; /.test(message)) return 'is required'
  const at = message.lastIndexOf(' but must ')
  return at < 0 ? message : message.slice(at + 5)
}

function wordsFor(field: Field, message: string): string {
  if (field.kind === 'number') {
    const unit = field.unit ? ` ${field.unit}` : ''
    return `must be a whole number from ${field.min.toLocaleString('en')} to ${field.max.toLocaleString('en')}${unit}`
  }
  if (field.kind === 'choice') return `must be one of ${field.options.join(', ')}`
  if (field.kind === 'lines' && field.numbers) return 'must be whole numbers'
  return withoutName(message)
}

/** Returns the field at a dotted path of the settings. Numbers in the path are rows or lines. */
export function fieldAt(fields: readonly Field[], path: readonly string[]): Field | undefined {
  const [key, ...rest] = path.filter((part) => !/^\d+$/.test(part))
  const field = fields.find((candidate) => candidate.key === key)
  if (!field || rest.length === 0) return field
  if (field.kind === 'variants') return field.variants.map(({ fields: inner }) => fieldAt(inner, rest)).find(Boolean)
  return 'fields' in field ? fieldAt(field.fields, rest) : field
}

/**
 * Maps an error in the settings to its place in the form: `gateway.port` → `gateway.value.port`, `extraPorts.2` → line
 * 3.
 */
export function toControlError(fields: readonly Field[], error: FieldError, values: Values): FieldError {
  const [key = '', ...rest] = error.path.split('.')
  const field = fields.find((candidate) => candidate.key === key)
  if (!field || rest.length === 0) return error
  if (field.kind === 'lines') {
    const line = linesOf(values[key])[Number(rest[0])]
    return { path: key, message: line ? `line ${line.line}, "${line.text}": ${error.message}` : error.message }
  }
  if (field.kind === 'choices') return { path: key, message: error.message }
  if (field.kind === 'variants') {
    const { type } = values[key] as { type: string }
    return { path: `${key}.of.${type}.${rest.join('.')}`, message: error.message }
  }
  if (field.kind === 'switched-group') return { path: `${key}.value.${rest.join('.')}`, message: error.message }
  return error
}
