import type { RecordedEvent } from '@postern/contract/views.ts'
import { useEffect, useState } from 'react'
import { urlOf } from '../../api/client.ts'
import { follow } from '../../api/stream.ts'

/** How many live events the page keeps; older ones are found by search. */
const kept = 1000

export type Tail = { events: RecordedEvent[]; connected: boolean; waiting: number }

/** The live events, newest first. While paused they are counted, not shown, and none is lost up to the limit. */
export function useTail(
  { q, ...query }: { q?: string | undefined } & Record<string, string | undefined>,
  paused: boolean,
): Tail {
  const [events, setEvents] = useState<RecordedEvent[]>([])
  const [held, setHeld] = useState<RecordedEvent[]>([])
  const [connected, setConnected] = useState(false)
  const url = urlOf('/v1/events/stream', query)

  useEffect(() => {
    const ended = new AbortController()
    setEvents([])
    setHeld([])
    // A burst becomes one change of the page.
    let fresh: RecordedEvent[] = []
    const timer = setInterval(() => {
      if (fresh.length === 0) return
      const burst = fresh.reverse()
      fresh = []
      setHeld((before) => [...burst, ...before].slice(0, kept))
    }, 150)
    void follow(
      url,
      {
        onState: setConnected,
        onEvent: ({ data }) => {
          try {
            const event = JSON.parse(data) as RecordedEvent
            if (event.id && matches(event, q)) fresh.push(event)
          } catch {
            // A line that is no event, e.g. a greeting of the stream.
          }
        },
      },
      ended.signal,
    )
    return () => {
      ended.abort()
      clearInterval(timer)
    }
  }, [url, q])

  useEffect(() => {
    if (paused || held.length === 0) return
    setEvents((before) => [...held, ...before].slice(0, kept))
    setHeld([])
  }, [held, paused])

  return { events, connected, waiting: held.length }
}

/** The stream knows no full text, so the page looks for the words itself; the search of what is stored is the API's. */
function matches(event: RecordedEvent, q: string | undefined): boolean {
  return !q || JSON.stringify(event).toLowerCase().includes(q.toLowerCase())
}
