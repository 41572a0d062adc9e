import { afterEach, describe, expect, it, vi } from 'vitest'
import { Remembered } from './result-cache.ts'
import type { Question, VerifyResult } from './verify.ts'

const question: Question = {
  sender: 'jane@a.test',
  ip: '192.0.2.1',
  helo: 'a.test',
  hostname: 'mx.test',
  checks: ['spf', 'dkim', 'dmarc'],
  author: 'a.test',
}
const result: VerifyResult = {
  findings: { spf: { result: 'pass', domain: 'a.test' }, dkim: [{ result: 'none' }] },
  cuts: [],
  forged: 0,
  holdsMs: 60_000,
}
const answer = { findings: result.findings, cuts: [], forged: 0 }

function keeping(about: Partial<Question> = {}, found: Partial<VerifyResult> = {}): Remembered {
  const remembered = new Remembered()
  remembered.keep({ ...question, ...about }, { ...result, ...found })
  return remembered
}

afterEach(() => void vi.restoreAllMocks())

describe('what is remembered of the DNS', () => {
  it('answers for another sender of the same domain, from the same client and of the same author', () => {
    expect(keeping().find(question)).toEqual(answer)
    expect(keeping().find({ ...question, sender: 'john@a.test', helo: 'other.test' })).toEqual(answer)
  })

  it.each<[string, Partial<Question>]>([
    ['another client', { ip: '192.0.2.2' }],
    ['another sender domain', { sender: 'jane@b.test' }],
    ['the null sender', { sender: '' }],
    ['another author', { author: 'b.test' }],
    ['other checks', { checks: ['spf'] }],
    ['a client that may relay', { relay: true }],
    ['a message that must be read', { author: undefined }],
    ['a message of which something was found out before it was accepted', { found: {} }],
  ])('does not answer for %s', (_, other) => {
    expect(keeping().find({ ...question, ...other })).toBeUndefined()
  })

  it('HELO counts for the null sender (RFC 7208 §2.4)', () => {
    const remembered = keeping({ sender: '' })
    expect(remembered.find({ ...question, sender: '' })).toEqual(answer)
    expect(remembered.find({ ...question, sender: '', helo: 'b.test' })).toBeUndefined()
  })

  it.each<[string, Partial<VerifyResult>]>([
    ['depends on more than is asked', { holdsMs: 0 }],
    ['says nothing of how long it holds', { holdsMs: undefined as never }],
    ['takes something out of the message', { cuts: [[0, 10]] }],
  ])('does not keep what %s', (_, found) => {
    expect(keeping({}, found).find(question)).toBeUndefined()
  })

  it('holds as long as the DNS said, and no longer', () => {
    const keptAt = performance.now()
    const now = vi.spyOn(performance, 'now')
    const after = (ms: number) => {
      now.mockReturnValue(keptAt)
      const remembered = keeping({}, { holdsMs: 60_000 })
      now.mockReturnValue(keptAt + ms)
      return remembered.find(question)
    }
    expect(after(59_000)).toEqual(answer)
    expect(after(61_000)).toBeUndefined()
  })

  it('has nothing to find out where nothing is asked', () => {
    expect(new Remembered().find({ ...question, checks: [] })).toEqual({ findings: {}, cuts: [], forged: 0 })
  })
})
