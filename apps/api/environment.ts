import type { Environment } from '@postern/contract/environment.ts'
import { fixedSettings } from '@postern/contract/variables.ts'

/** Settings that the environment decides: the key, and what decides it. */
export function fixedBy(env: Environment): Record<string, string> {
  return Object.fromEntries(
    Object.entries(fixedSettings).flatMap(([key, name]) => (env[name] ? [[key, `${name}=${env[name]}`]] : [])),
  )
}
