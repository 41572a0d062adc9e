import { BackOff } from '@postern/contract/back-off.ts'
import { type EventSourceMessage, EventSourceParserStream } from 'eventsource-parser/stream'
import { accessToken } from './sign-in.ts'

export type Tail = { onEvent: (event: EventSourceMessage) => void; onState: (connected: boolean) => void }

/**
 * Follows a stream with the bearer token, which EventSource cannot send. Reconnects, with Last-Event-ID, until `signal`
 * is aborted. An answer that ends may name the pause until the next (`retry`), as those of functions do, which end at once.
 * Without one, and after an error, the pause between attempts grows to 10 s.
 */
export async function follow(url: string, { onEvent, onState }: Tail, signal: AbortSignal): Promise<void> {
  let last = ''
  let retryMs: number | undefined
  const backOff = new BackOff({ firstMs: 500, longestMs: 10_000 })
  while (!signal.aborted) {
    try {
      const headers: Record<string, string> = {
        accept: 'text/event-stream',
        authorization: `Bearer ${await accessToken()}`,
      }
      if (last) headers['last-event-id'] = last
      const response = await fetch(url, { headers, signal })
      if (!response.ok || !response.body) throw new Error(`${response.status}`)
      onState(true)
      backOff.reset()
      // An id may come without an event. It counts when all events before it were taken.
      let newest = last
      const parser = new EventSourceParserStream({
        onId: (id) => (newest = id),
        onRetry: (ms) => (retryMs = ms),
      })
      const events = response.body.pipeThrough(new TextDecoderStream()).pipeThrough(parser)
      const reader = events.getReader()
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        if (part.value.id) last = part.value.id
        onEvent(part.value)
      }
      last = newest
      if (retryMs !== undefined) {
        await pause(retryMs)
        continue
      }
    } catch {
      if (signal.aborted) return
    }
    onState(false)
    await pause(backOff.next())
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
