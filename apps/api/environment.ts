import type { Environment } from '@postern/contract/environment.ts'
import { fixedSettings } from '@postern/contract/variables.ts'

/** Returns the settings that the environment fixes: the key, and the variable that fixes it. */
export function fixedBy(env: Environment): Record<string, string> {
  return Object.fromEntries(
    Object.entries(fixedSettings).flatMap(([key, name]) => (env[name] ? [[key, `${name}=${env[name]}`]] : [])),
  )
}
