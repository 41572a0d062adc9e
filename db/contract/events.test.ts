import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import type { Schema } from './allowed-values.ts'
import { cutFields } from './event-lengths.ts'
import { type EventType, eventTypeNames, eventTypes, parseEvent, rowOf, sentenceOf } from './events.ts'
import { classicLines } from './log-lines.ts'

const id = '01234567-89ab-7cde-8fab-0123456789ab'

/** A value that fits the schema but for its lengths: texts and lists are twice as long as they may be. */
function tooLong(schema: Schema): unknown {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault) return tooLong(schema.unwrap() as Schema)
  if (schema instanceof z.ZodObject)
    return Object.fromEntries(Object.entries(schema.shape).map(([key, one]) => [key, tooLong(one as Schema)]))
  if (schema instanceof z.ZodArray) {
    const max = (schema._zod.bag.maximum as number | undefined) ?? 1
    return Array.from({ length: max * 2 }, () => tooLong(schema.element as Schema))
  }
  if (schema instanceof z.ZodEnum) return schema.options[0]
  if (schema instanceof z.ZodISODateTime) return '2026-11-30T12:00:00.000Z'
  if (schema instanceof z.ZodString) return schema.minLength === 36 ? id : 'x'.repeat((schema.maxLength ?? 100) * 2)
  if (schema instanceof z.ZodNumber) return 1
  if (schema instanceof z.ZodBoolean) return true
  throw new Error(`no example of ${schema._zod.def.type}`)
}

describe.each(eventTypeNames)('%s', (type: EventType) => {
  const fields = tooLong(eventTypes[type].fields) as never

  test('what is too long is cut to the lengths of its row, and to no less', () => {
    const given = structuredClone(fields)
    const cut = cutFields(type, fields)
    expect(fields).toEqual(given)
    expect(() => parseEvent({ n: 1, at: '2026-11-30T12:00:00.000Z', type, ...(cut as object) })).not.toThrow()
    if (!eventTypes[type].fields.safeParse(fields).success) expect(cut).not.toEqual(fields)
    expect(cutFields(type, cut)).toBe(cut)
  })

  test('has a sentence, a line of the classic format, and a tone as loud as its severity', () => {
    const event = { n: 1, at: '2026-11-30T12:00:00.000Z', type, ...(cutFields(type, fields) as object) }
    expect(sentenceOf(event as never)).not.toMatch(/undefined|\[object|NaN/)
    expect(classicLines({ ...event, worker: 'smtp-1' } as never, 'smtp').join()).not.toMatch(/undefined|\[object|NaN/)
    const { severity, tone } = eventTypes[type]
    if (severity <= 3) expect(tone).toBe('danger')
    if (severity === 4 || severity === 5) expect(['warn', 'danger']).toContain(tone)
  })
})

test('nothing but the length is touched', () => {
  const long = { messageId: id, by: `${'a'.repeat(400)}`, reason: 'short' }
  expect(cutFields('message.held', long)).toEqual({ ...long, by: 'a'.repeat(320) })
})

test('an event that this version does not know has no row', () => {
  expect([rowOf('spool.damaged'), rowOf('toString')]).toEqual([undefined, undefined])
  expect(sentenceOf({ type: 'a.newer', n: 1, at: '' } as never)).toBe('a.newer')
})
