import { describe, expect, it } from 'vitest'
import { BatchChecker } from './event-batch.ts'
import { sentEvent } from './sent-event.ts'

const at = '2026-11-30T09:15:00.000Z'
const released = (n: number, more: object = {}) => ({
  n,
  at,
  type: 'message.released',
  messageId: 'x',
  by: 'op',
  ...more,
})
const text = (...events: object[]) => events.map((event) => `${JSON.stringify(event)}\n`).join('')
const claim = { first: 5, last: 6, service: 'queue' } as const

/** Checks a batch whose lines come in two calls. */
function hourOf(content: string): string {
  const check = new BatchChecker(claim)
  const bytes = new TextEncoder().encode(content)
  const first = bytes.indexOf(0x0a) + 1
  check.take(bytes.subarray(0, first))
  check.take(bytes.subarray(first))
  return new Date(check.end()).toISOString()
}
const hour = '2026-11-30T09:00:00.000Z'

describe('a batch', () => {
  it('has the numbers that it claims, and is from one hour', () => {
    expect(hourOf(text(released(5), released(6)))).toBe(hour)
  })

  it('may hold events of types that this version does not know', () => {
    const event = { n: 6, at, type: 'moon.rose' }
    expect(hourOf(text(released(5), event))).toBe(hour)
    expect(sentEvent(JSON.stringify(event))).toEqual(event)
  })

  it('may hold an event without fields, and fields that look like its head', () => {
    const more = { by: '"n":9,"type":"auth.succeeded"', at2: '2026-11-30T10:00:00.000Z' }
    expect(hourOf(text({ n: 5, at, type: 'message.released' }, released(6, more)))).toBe(hour)
  })

  it.each([
    ['numbers that go backwards', text(released(6), released(5)), /event 5 has the number 6/],
    ['a number twice', text(released(5), released(5)), /event 6 has the number 5/],
    ['a number that is text', text(released(5), released(6, { n: '6' })), /event 6 has the number "6"/],
    ['too few events', text(released(5)), /there are 1 events, but numbers 5 to 6 make 2/],
    ['too many events', text(released(5), released(6), released(7)), /there are 3 events/],
    ['a last line that was cut', text(released(5), released(6)).slice(0, -5), /the last line does not end/],
    ['a line that is not JSON', `${text(released(5))}{"n":6\n`, /event 6 is not JSON/],
    ['a line that is no object', `${text(released(5))}null\n`, /event 6 has the number undefined/],
    ['an empty line', `${text(released(5))}\n`, /event 6 is not JSON/],
    ['two hours', text(released(5), released(6, { at: '2026-11-30T10:00:00.000Z' })), /from more than one hour/],
    [
      'a time in another zone',
      text(released(5), released(6, { at: '2026-11-30T09:15:00+01:00' })),
      /event 6 has the time/,
    ],
    [
      'a time that does not exist',
      text(released(5), released(6, { at: '2026-13-30T09:15:00.000Z' })),
      /event 6 has the time/,
    ],
    [
      'a time of the clock that does not exist',
      text(released(5), released(6, { at: '2026-11-30T09:61:00.000Z' })),
      /has the time/,
    ],
    ['a line that is cut', `${text(released(5))}${text(released(6)).slice(0, -2)}\n`, /event 6 is not JSON/],
    ['a line with a space', `${text(released(5))} ${text(released(6))}`, /event 6 does not begin with number, time/],
    [
      'its fields in another order',
      text(released(5), { at, n: 6, type: 'message.released' }),
      /event 6 does not begin/,
    ],
    ['a number with a leading zero', `${text(released(5))}{"n":06,"at":"${at}","type":"a"}\n`, /event 6 is not JSON/],
    [
      'an escape in its type',
      `${text(released(5))}{"n":6,"at":"${at}","type":"auth\\u002esucceeded"}\n`,
      /event 6 does not begin/,
    ],
    ['a type of 101 characters', text(released(5), released(6, { type: 'x'.repeat(101) })), /event 6 has no type/],
    ['an event without a type', text(released(5), released(6, { type: '' })), /event 6 has no type/],
    ['half of a character', text(released(5), released(6, { by: '\ud83d' })), /event 6 contains an unpaired surrogate/],
  ])('with %s is refused', (_, content, message) => {
    expect(() => hourOf(content)).toThrow(
      expect.objectContaining({ status: 422, message: expect.stringMatching(message) }),
    )
  })

  it('with an event that only another service records is refused', () => {
    const accepted = { n: 6, at, type: 'auth.succeeded', client: { ip: '192.0.2.1' }, login: 'a', mechanism: 'PLAIN' }
    expect(() => hourOf(text(released(5), accepted))).toThrow(expect.objectContaining({ status: 403 }))
  })

  it('keeps characters outside the Basic Multilingual Plane', () => {
    expect(hourOf(text(released(5), released(6, { by: '😀 \\ud83d' })))).toBe(hour)
  })
})
