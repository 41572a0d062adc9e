type Json = Record<string, unknown>

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function same(a: unknown, b: unknown): boolean {
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((item, i) => same(item, b[i]))
  if (!isObject(a) || !isObject(b)) return Object.is(a, b)
  const keys = Object.keys(a)
  return keys.length === Object.keys(b).length && keys.every((key) => key in b && same(a[key], b[key]))
}

/**
 * The merge patch (RFC 7396) that turns `before` into `after`. It never holds `null`, which the API refuses: a text that
 * was there and is gone becomes `""`; any other key that is gone stays as it is.
 */
export function mergePatch(before: Json, after: Json): Json {
  const patch: Json = {}
  for (const [key, value] of Object.entries(after)) {
    const old = before[key]
    if (same(old, value)) continue
    patch[key] = isObject(old) && isObject(value) ? mergePatch(old, value) : value
  }
  for (const [key, old] of Object.entries(before))
    if (!(key in after) && typeof old === 'string' && old) patch[key] = ''
  return patch
}

/** `base` with a merge patch applied; neither is changed. */
export function applyPatch(base: Json, patch: Json): Json {
  const result: Json = { ...base }
  for (const [key, value] of Object.entries(patch)) {
    const old = result[key]
    result[key] = isObject(value) ? applyPatch(isObject(old) ? old : {}, value) : value
  }
  return result
}

export type Change = { path: string; before: unknown; after: unknown }

/** Every leaf that differs, by dotted path in the order of the keys. Lists are leaves: they change as a whole. */
export function changesOf(before: unknown, after: unknown, path = ''): Change[] {
  if (same(before, after)) return []
  if (!isObject(before) || !isObject(after)) return [{ path, before, after }]
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])]
  return keys.flatMap((key) => changesOf(before[key], after[key], path ? `${path}.${key}` : key))
}
