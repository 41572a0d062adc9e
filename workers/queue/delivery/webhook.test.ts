import { describe, expect, it } from 'vitest'
import { meaningOf } from './webhook.ts'

const now = Date.parse('2026-11-22T12:00:00Z')
const said = (status: number, retryAfter?: string) =>
  meaningOf(
    { status, headers: retryAfter === undefined ? {} : { 'retry-after': retryAfter }, body: Buffer.from('a\x1bb\nc') },
    now,
  )

describe('what a webhook’s answer means', () => {
  it.each([
    [200, 'delivered'],
    [204, 'delivered'],
    [301, 'deferred'],
    [400, 'bounced'],
    [404, 'bounced'],
    [408, 'deferred'],
    [410, 'bounced'],
    [425, 'deferred'],
    [429, 'deferred'],
    [500, 'deferred'],
    [503, 'deferred'],
    [999, 'deferred'],
  ])('%d is %s', (status, kind) => {
    expect(said(status)).toMatchObject({ kind, reply: expect.stringContaining(`HTTP ${status}: a?b`) })
  })

  it.each([
    ['120', 120],
    ['Sun, 22 Nov 2026 13:00:00 GMT', 3600],
    ['999999999', 86_400],
  ])('Retry-After %s is heeded', (text, seconds) => {
    expect(said(503, text)).toMatchObject({ notBefore: now + seconds * 1000 })
  })

  it.each(['', '-1', 'soon', 'Sun, 22 Nov 2020 13:00:00 GMT'])('Retry-After "%s" is not', (text) => {
    expect(said(503, text)).not.toHaveProperty('notBefore')
  })
})
