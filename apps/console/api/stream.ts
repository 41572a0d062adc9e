import { accessToken } from './sign-in.ts'

/** One server-sent event (WHATWG HTML §9.2). */
export type ServerSentEvent = { id: string; type: string; data: string }

/** Takes text as it comes, in pieces of any size, and gives the events that are complete. */
export function serverSentEvents(): (piece: string) => ServerSentEvent[] {
  let rest = ''
  let id = ''
  let type = ''
  let data: string[] = []
  return (piece) => {
    rest += piece
    const lines = rest.split(/\r\n|\n|\r(?!$)/)
    rest = lines.pop() ?? ''
    const events: ServerSentEvent[] = []
    for (const line of lines) {
      if (line === '') {
        if (data.length > 0) events.push({ id, type: type || 'message', data: data.join('\n') })
        data = []
        type = ''
        continue
      }
      const colon = line.indexOf(':')
      const name = colon < 0 ? line : line.slice(0, colon)
      const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '')
      if (name === 'data') data.push(value)
      else if (name === 'event') type = value
      else if (name === 'id') id = value
    }
    return events
  }
}

export type Tail = { onEvent: (event: ServerSentEvent) => void; onState: (connected: boolean) => void }

/**
 * Follows a stream with the bearer token, which EventSource cannot send; connects again, with Last-Event-ID, until
 * `signal` is aborted. The pause between tries grows to 10 s.
 */
export async function follow(url: string, { onEvent, onState }: Tail, signal: AbortSignal): Promise<void> {
  let last = ''
  let pause = 500
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
      pause = 500
      const read = serverSentEvents()
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
      for (let part = await reader.read(); !part.done; part = await reader.read())
        for (const event of read(part.value)) {
          if (event.id) last = event.id
          onEvent(event)
        }
    } catch {
      if (signal.aborted) return
    }
    onState(false)
    await new Promise((resolve) => setTimeout(resolve, pause))
    pause = Math.min(pause * 2, 10_000)
  }
}
