import { describe, expect, test } from 'vitest'
import { serverSentEvents } from './stream.ts'

describe('serverSentEvents', () => {
  test('reads an event that comes in pieces', () => {
    const read = serverSentEvents()
    expect(read('id: 7\nda')).toEqual([])
    expect(read('ta: {"a":1}\n')).toEqual([])
    expect(read('\n')).toEqual([{ id: '7', type: 'message', data: '{"a":1}' }])
  })

  test('joins data lines, takes CRLF, leaves comments out', () => {
    const read = serverSentEvents()
    expect(read(': still here\r\n\r\nevent: tail\r\ndata: a\r\ndata:b\r\n\r\n')).toEqual([
      { id: '', type: 'tail', data: 'a\nb' },
    ])
  })
})
