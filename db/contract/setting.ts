import type { z } from 'zod'
import type { ServiceName } from './services.ts'

/**
 * What an administrator is told about one key. One description makes validation, the API schema, the console form,
 * the line in the declarative file and the documentation.
 */
export type SettingMeta = {
  title: string
  /** One or two sentences for a tired administrator: what the setting does on the wire. */
  help: string
  unit?: 'minutes' | 'hours' | 'days' | 'seconds' | 'milliseconds' | 'bytes' | 'per minute' | 'per hour'
  /** Shown before such a value is saved. `values`: only these values are dangerous; absent: any change is. */
  danger?: { text: string; values?: readonly unknown[] }
  /** White-listed clients skip it. */
  exemptsWhiteListed?: true
  /** Write-only in the API, sealed at rest, in no document, masked in the console: see secrets.ts. */
  secret?: true
  /** Of a secret: the services whose workers need it. None other is given it. */
  sentTo?: readonly ServiceName[]
}

/** Attaches the description to a schema; it travels into the JSON Schema. */
export function setting<T extends z.ZodType>(schema: T, meta: SettingMeta): T {
  return schema.meta(meta) as T
}
