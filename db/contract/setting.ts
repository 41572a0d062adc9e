import type { z } from 'zod'
import type { ServiceName } from './services.ts'

/**
 * The description of one settings key for administrators. Validation, the API schema, the console form, the line in the
 * declarative file and the documentation all derive from it.
 */
export type SettingMeta = {
  title: string
  /** One or two sentences for a tired administrator: what the setting does on the wire. */
  help: string
  unit?: 'minutes' | 'hours' | 'days' | 'seconds' | 'milliseconds' | 'bytes' | 'per minute' | 'per hour'
  /** A warning shown before such a value is saved. `values`: only these values are dangerous. Absent: any change is. */
  danger?: { text: string; values?: readonly unknown[] }
  /** White-listed clients skip the check. */
  exemptsWhiteListed?: true
  /** A secret is write-only in the API, sealed at rest, in no document, and masked in the console. See secrets.ts. */
  secret?: true
  /** For a secret: the only services whose workers receive it. */
  sentTo?: readonly ServiceName[]
}

/** Attaches the description to a schema. The JSON Schema includes it. */
export function setting<T extends z.ZodType>(schema: T, meta: SettingMeta): T {
  return schema.meta(meta) as T
}
