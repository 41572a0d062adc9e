import { z } from 'zod'
import { invalid } from './problem.ts'

/** Parameters of paged lists: `?limit=&cursor=&q=`, answered with `{items, nextCursor}`. */
export const pageQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(1000).default(50),
  cursor: z.string().max(1000).optional(),
  q: z.string().max(200).optional(),
})
export type PageQuery = z.output<typeof pageQuery>

/** Reads a cursor, which is opaque to the client. Throws 422 if it was not made here. */
export function afterCursor(cursor: string | undefined): string | undefined {
  if (cursor === undefined || cursor === '') return undefined
  try {
    const bytes = Uint8Array.from(atob(cursor.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0))
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw invalid([{ path: 'cursor', message: 'cursor must be the nextCursor of the previous page' }])
  }
}

export function numberCursor(cursor: string | undefined): number | undefined {
  const text = afterCursor(cursor)
  if (text === undefined) return undefined
  if (!/^\d{1,16}$/.test(text))
    throw invalid([{ path: 'cursor', message: 'cursor must be the nextCursor of the previous page' }])
  return Number(text)
}

export function cursorOf(text: string): string {
  const bytes = new TextEncoder().encode(text)
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '')
}

/** `found` holds one row more than requested if there is a next page. */
export function pageOf<T, V>(
  found: T[],
  { limit, key, view }: { limit: number; key: (item: T) => string | number; view: (item: T) => V },
): { items: V[]; nextCursor: string | null } {
  const items = found.slice(0, limit)
  const last = items.at(-1)
  return {
    items: items.map(view),
    nextCursor: found.length > limit && last !== undefined ? cursorOf(String(key(last))) : null,
  }
}

export const iso = (at: number): string => new Date(at).toISOString()
