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

test('an answer that ends at once is asked again after the pause it names, from the id it ends with', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout'] })
  try {
    const asked: (string | null)[] = []
    const ended = new AbortController()
    const again = Promise.withResolvers<void>()
    vi.stubGlobal('fetch', async (_: string, { headers }: { headers: Record<string, string> }) => {
      asked.push(headers['last-event-id'] ?? null)
      if (asked.length === 2) {
        ended.abort()
        again.resolve()
        throw ended.signal.reason
      }
      return new Response('retry: 2000\n\nid: 7\ndata: a\n\nid: 9\n\n')
    })
    const events: string[] = []
    const states: boolean[] = []
    const tail = { onEvent: ({ data }: { data: string }) => events.push(data), onState: states.push.bind(states) }
    const followed = follow('/v1/events/stream', tail, ended.signal)
    while (vi.getTimerCount() === 0) await new Promise((resolve) => setImmediate(resolve))
    await vi.advanceTimersByTimeAsync(1_999)
    expect(asked).toEqual([null])
    await vi.advanceTimersByTimeAsync(1)
    await again.promise
    await followed
    expect(asked).toEqual([null, '9'])
    expect(events).toEqual(['a'])
    expect(states).toEqual([true])
  } finally {
    vi.useRealTimers()
  }
})
