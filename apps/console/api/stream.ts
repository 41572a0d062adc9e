import { BackOff } from '@postern/contract/back-off.ts'
import { type EventSourceMessage, EventSourceParserStream } from 'eventsource-parser/stream'
import { accessToken } from './sign-in.ts'

export type Tail = { onEvent: (event: EventSourceMessage) => void; onState: (connected: boolean) => void }

/**
 * Follows a stream with the bearer token, which EventSource cannot send. Reconnects, with Last-Event-ID, until `signal`
 * is aborted. After an answer that ended, as those of functions do at once, it waits as long as the stream asks (`retry`).
 * After an error the pause between attempts grows to 10 s.
 */
export async function follow(url: string, { onEvent, onState }: Tail, signal: AbortSignal): Promise<void> {
  let last = ''
  let retryMs = 1_000
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
      const events = response.body
        .pipeThrough(new TextDecoderStream())
        .pipeThrough(new EventSourceParserStream({ onRetry: (ms) => (retryMs = ms) }))
      const reader = events.getReader()
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        if (part.value.id) last = part.value.id
        onEvent(part.value)
      }
      await pause(retryMs)
    } catch {
      if (signal.aborted) return
      onState(false)
      await pause(backOff.next())
    }
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
