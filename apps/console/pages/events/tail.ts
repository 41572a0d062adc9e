import type { RecordedEvent } from '@postern/contract/views.ts'
import { useEffect, useState } from 'react'
import { type Query, urlOf } from '../../api/client.ts'
import { follow } from '../../api/stream.ts'

/** Number of live events that the page keeps. Older ones are available through search. */
const kept = 1000

export type Tail = { events: RecordedEvent[]; connected: boolean; waiting: number }

/**
 * Returns the live events, newest first. While paused, events are counted but not shown, and none is lost up to the
 * limit. Without a query, nothing is followed.
 */
export function useTail(query: Query | null, paused: boolean): Tail {
  const [events, setEvents] = useState<RecordedEvent[]>([])
  const [held, setHeld] = useState<RecordedEvent[]>([])
  const [connected, setConnected] = useState(false)
  const url = query && urlOf('/v1/events/stream', query)

  useEffect(() => {
    const ended = new AbortController()
    setEvents([])
    setHeld([])
    setConnected(false)
    if (!url) return
    // A burst causes only one update of the page.
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
            if (event.id) fresh.push(event)
          } catch {
            // The line is not an event, e.g. a greeting of the stream.
          }
        },
      },
      ended.signal,
    )
    return () => {
      ended.abort()
      clearInterval(timer)
    }
  }, [url])

  useEffect(() => {
    if (paused || held.length === 0) return
    setEvents((before) => [...held, ...before].slice(0, kept))
    setHeld([])
  }, [held, paused])

  return { events, connected, waiting: held.length }
}
