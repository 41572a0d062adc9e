import { z } from 'zod'
import type { Schema } from './allowed-values.ts'
import { type EventFields, type EventType, eventTypeNames, eventTypes } from './events.ts'

/**
 * The recorder truncates an event's values to the lengths in its row. The checks for each type are derived once from
 * its schema. An event without an overlong value is returned unchanged and is not copied.
 */

/** Returns the value itself if nothing in it is too long. */
type Cut = (value: unknown) => unknown

const cuts = new Map<EventType, Cut | undefined>(eventTypeNames.map((type) => [type, cutOf(eventTypes[type].fields)]))

/** Truncates the fields to the lengths in the event's row. Never changes its argument. */
export function cutFields<T extends EventType>(type: T, fields: EventFields<T>): EventFields<T> {
  const cut = cuts.get(type)
  return cut ? (cut(fields) as EventFields<T>) : fields
}

/** Returns the truncation for a schema; `undefined` if its values cannot be too long. */
function cutOf(schema: Schema): Cut | undefined {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodNullable || schema instanceof z.ZodDefault)
    return cutOf(schema.unwrap())
  if (schema instanceof z.ZodString) return textCut(schema)
  if (schema instanceof z.ZodArray) return listCut(cutOf(schema.element), maxOf(schema))
  if (schema instanceof z.ZodObject) return objectCut(schema.shape)
  return undefined
}

/** A string of one exact length is an identifier. Truncated, it would identify something else. */
function textCut({ minLength, maxLength }: z.ZodString): Cut | undefined {
  if (maxLength === null || minLength === maxLength) return undefined
  return (value) => (typeof value === 'string' && value.length > maxLength ? cutText(value, maxLength) : value)
}

/** Never leaves half of a surrogate pair, which no JSON reader has to accept (RFC 8259 §8.2). */
function cutText(value: string, length: number): string {
  const isSplit = (value.charCodeAt(length - 1) & 0xfc00) === 0xd800
  return value.slice(0, isSplit ? length - 1 : length)
}

function maxOf({ _zod }: z.ZodArray): number {
  return (_zod.bag.maximum as number | undefined) ?? Number.POSITIVE_INFINITY
}

function listCut(element: Cut | undefined, max: number): Cut | undefined {
  if (!element && max === Number.POSITIVE_INFINITY) return undefined
  return (value) => {
    if (!Array.isArray(value)) return value
    const kept: unknown[] = value.length > max ? value.slice(0, max) : value
    if (!element) return kept
    let result = kept
    for (let i = 0; i < kept.length; i++) {
      const cut = element(kept[i])
      if (cut === kept[i]) continue
      if (result === kept) result = [...kept]
      result[i] = cut
    }
    return result
  }
}

function objectCut(shape: Record<string, Schema>): Cut | undefined {
  const parts = Object.entries(shape).flatMap(([key, schema]) => {
    const cut = cutOf(schema)
    return cut ? [{ key, cut }] : []
  })
  if (parts.length === 0) return undefined
  return (value) => {
    if (typeof value !== 'object' || value === null) return value
    const given = value as Record<string, unknown>
    let result = given
    for (const { key, cut } of parts) {
      const before = given[key]
      if (before === undefined) continue
      const after = cut(before)
      if (after !== before) result = { ...result, [key]: after }
    }
    return result
  }
}
