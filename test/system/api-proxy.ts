import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'

/** What happens to a request: it is passed on after this many milliseconds, never answered, or stored without an answer. */
export type Meddling = number | 'hang' | 'lose the answer'

export type ApiProxy = {
  readonly url: string
  /** Sets it for requests whose path begins with this, until the next call. */
  meddle(path: string, how: Meddling): void
  /** Answers to requests whose path begins with this are changed on their way to the worker of this id. */
  rewrite(path: string, change: (text: string, worker: string) => string): void
  /** Removes all faults and closes requests that hang. */
  clear(): void
  stop(): Promise<void>
}

/** A proxy between workers and the API. */
export async function startMiddle(target: string): Promise<ApiProxy> {
  const rules = new Map<string, Meddling>()
  const rewrites = new Map<string, (text: string, worker: string) => string>()
  const server = createServer(async (request, response) => {
    const body = new Uint8Array(await buffer(request))
    const how = [...rules].find(([path]) => request.url?.startsWith(path))?.[1] ?? 0
    if (how === 'hang') return
    if (typeof how === 'number' && how > 0) await sleep(how)
    try {
      const { authorization } = request.headers
      const answer = await fetch(target + request.url, {
        method: request.method ?? 'GET',
        headers: { 'content-type': 'application/json', ...(authorization ? { authorization } : {}) },
        ...(request.method === 'GET' ? {} : { body }),
      })
      const text = Buffer.from(await answer.arrayBuffer())
      if (how === 'lose the answer') return void request.socket.destroy()
      const change = [...rewrites].find(([path]) => request.url?.startsWith(path))?.[1]
      const changed = change ? change(text.toString(), workerOf(authorization)) : text
      response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? '' }).end(changed)
    } catch {
      request.socket.destroy()
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    meddle: (path, how) => void rules.set(path, how),
    rewrite: (path, change) => void rewrites.set(path, change),
    clear: () => {
      rules.clear()
      rewrites.clear()
      server.closeAllConnections()
    },
    stop: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Returns the caller from the token, without verification. */
function workerOf(authorization = ''): string {
  const [, payload = ''] = authorization.split('.')
  return payload ? String(JSON.parse(Buffer.from(payload, 'base64url').toString()).sub) : ''
}
