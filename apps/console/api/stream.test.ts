import { afterEach, expect, test, vi } from 'vitest'
import { follow } from './stream.ts'

vi.mock('./sign-in.ts', () => ({ accessToken: () => Promise.resolve('token') }))
afterEach(() => vi.unstubAllGlobals())

test('events come whole, whatever the pieces, and the next connection asks for what follows the last', async () => {
  const pieces = [': greeting\r\n\r\nid: 7\r\nda', 'ta: {"a":1}\r', '\n\r\nid: 8\ndata: a\ndata:b\n\ndata: cut off']
  const asked: (string | null)[] = []
  vi.stubGlobal('fetch', async (_: string, { headers }: { headers: Record<string, string> }) => {
    asked.push(headers['last-event-id'] ?? null)
    return new Response(new Blob(pieces).stream())
  })
  const ended = new AbortController()
  const events: string[] = []
  const states: boolean[] = []
  const onState = (connected: boolean) => {
    states.push(connected)
    if (asked.length === 2 && !connected) ended.abort()
  }
  await follow('/v1/events/stream', { onEvent: ({ data }) => events.push(data), onState }, ended.signal)
  expect(events).toEqual(['{"a":1}', 'a\nb', '{"a":1}', 'a\nb'])
  expect(asked).toEqual([null, '8'])
  expect(states).toEqual([true, false, true, false])
})
