import { describe, expect, it } from 'vitest'
import { readBatch } from './event-batch.ts'

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

describe('a batch', () => {
  it('has the numbers that it claims, and is from one hour', () => {
    const { hour, events } = readBatch(text(released(5), released(6)), claim)
    expect(new Date(hour).toISOString()).toBe('2026-11-30T09:00:00.000Z')
    expect(events.map(({ n }) => n)).toEqual([5, 6])
  })

  it('may hold events of types that this version does not know', () => {
    expect(readBatch(text(released(5), { n: 6, at, type: 'moon.rose' }), claim).events[1]).toMatchObject({
      type: 'moon.rose',
    })
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
    ['an event without a type', text(released(5), released(6, { type: '' })), /event 6 has no type/],
    ['half of a character', text(released(5), released(6, { by: '\ud83d' })), /event 6 contains an unpaired surrogate/],
  ])('with %s is refused', (_, content, message) => {
    expect(() => readBatch(content, claim)).toThrow(
      expect.objectContaining({ status: 422, message: expect.stringMatching(message) }),
    )
  })

  it('with an event that only another service records is refused', () => {
    const accepted = { n: 6, at, type: 'auth.succeeded', client: { ip: '192.0.2.1' }, login: 'a', mechanism: 'PLAIN' }
    expect(() => readBatch(text(released(5), accepted), claim)).toThrow(expect.objectContaining({ status: 403 }))
  })

  it('keeps characters outside the Basic Multilingual Plane', () => {
    expect(readBatch(text(released(5), released(6, { by: '😀 \\ud83d' })), claim).events[1]).toMatchObject({
      by: '😀 \\ud83d',
    })
  })
})
