import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { growth, superlinear } from '../net/test/cpu-time.ts'
import { fieldsOf, HeaderEnd } from './header.ts'

describe('the header of a message', () => {
  it('ends at the first empty line, however the message is cut', () => {
    const parts = fc
      .array(fc.constantFrom('\r\n', 'A: b', '\r', '\n', ' c'), { maxLength: 12 })
      .map((some) => some.join(''))
    const sizes = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 40 })
    fc.assert(
      fc.property(parts, sizes, (text, pieces) => {
        const head = new HeaderEnd(1000)
        let body = ''
        for (let at = 0, i = 0; at < text.length; i++) {
          const size = pieces[i % pieces.length] as number
          body += head.take(Buffer.from(text.slice(at, at + size))).toString()
          at += size
        }
        const at = text.startsWith('\r\n') ? -2 : text.indexOf('\r\n\r\n')
        const ends = text.startsWith('\r\n') || at >= 0
        expect(head.ended).toBe(ends)
        expect(body).toBe(ends ? text.slice(at + 4) : '')
        expect(head.header.toString()).toBe(ends ? text.slice(0, at + 2) : text)
      }),
    )
  })

  it('keeps no more than it may', () => {
    const head = new HeaderEnd(10)
    head.take(Buffer.from('From: somebody\r\n'))
    head.take(Buffer.from('To: x\r\n\r\nbody'))
    expect(head.isWhole).toBe(false)
    expect(head.header.toString()).toBe('From: some')
    expect(head.bytes).toBe(25)
  })

  it('gives fields with their places; what begins none belongs to the one above', () => {
    const fields = fieldsOf(Buffer.from('A: 1\r\n folded\r\nno field here\r\nB : 2\r\n'))
    expect(fields).toEqual([
      { name: 'a', text: 'A: 1\r\n folded\r\nno field here', from: 0, to: 30 },
      { name: 'b', text: 'B : 2', from: 30, to: 37 },
    ])
  })

  it('a megabyte of folded lines is read in linear time', () => {
    const read = (lines: number) => fieldsOf(Buffer.from(`A: 1\r\n${' x\r\n'.repeat(lines)}`))
    expect(read(250_000)).toHaveLength(1)
    expect(growth(31_250, read)).toBeLessThan(superlinear)
  })
})
