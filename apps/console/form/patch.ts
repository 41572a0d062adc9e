import { isObject, type JsonObject as Json } from '@postern/contract/json.ts'
import { dequal } from 'dequal/lite'
import { apply } from 'tiny-merge-patch'

/**
 * Returns the merge patch (RFC 7396) that turns `before` into `after`. It never contains `null`, which the API refuses.
 * A removed text becomes `""`; any other removed key stays unchanged.
 */
export function mergePatch(before: Json, after: Json): Json {
  const patch: Json = {}
  for (const [key, value] of Object.entries(after)) {
    const old = before[key]
    if (dequal(old, value)) continue
    patch[key] = isObject(old) && isObject(value) ? mergePatch(old, value) : value
  }
  for (const [key, old] of Object.entries(before))
    if (!(key in after) && typeof old === 'string' && old) patch[key] = ''
  return patch
}

/** Returns `base` with a merge patch applied. Changes neither argument. */
export const applyPatch = (base: Json, patch: Json): Json => apply(base, patch) as Json

export type Change = { path: string; before: unknown; after: unknown }

/**
 * Returns every leaf that differs, by dotted path, in the order of the keys. Lists are leaves, because they change as a
 * whole.
 */
export function changesOf(before: unknown, after: unknown, path = ''): Change[] {
  if (dequal(before, after)) return []
  if (!isObject(before) || !isObject(after)) return [{ path, before, after }]
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])]
  return keys.flatMap((key) => changesOf(before[key], after[key], path ? `${path}.${key}` : key))
}
