import { type ClientRequest, Agent as HttpAgent, type IncomingMessage, request as requestHttp } from 'node:http'
import { Agent as HttpsAgent, request as requestHttps } from 'node:https'
import { isIP } from 'node:net'
import { Readable } from 'node:stream'
import type { CheckedHosts } from './checked-hosts.ts'
import { HookFailure } from './hook-failure.ts'

/**
 * Sends one POST to a URL that an administrator entered. It uses a checked address, follows no redirect, and ends
 * within its time limit whatever the other side does. The body is streamed, and the response is kept up to a limit.
 */
export type Post = {
  url: string
  headers: Readonly<Record<string, string>>
  /** Length of the body in bytes. */
  length: number
  /** Creates the body anew for each connection attempt. */
  body: () => AsyncIterable<Uint8Array>
  /** Milliseconds from the first query to the last byte of the response. */
  timeoutMs: number
  /** Maximum size of a response in bytes. A longer one is nonsense; with `cutAnswer` it is truncated instead. */
  maxAnswer: number
  cutAnswer?: boolean
  signal?: AbortSignal | undefined
}

export type Answer = { status: number; headers: IncomingMessage['headers']; body: Buffer }

/** Maximum number of addresses to try for one host. */
const maxAddresses = 3

export class Poster {
  readonly #hosts: CheckedHosts
  readonly #http = new HttpAgent({ keepAlive: true, maxSockets: 100, maxFreeSockets: 20, timeout: 330_000 })
  readonly #https = new HttpsAgent({ keepAlive: true, maxSockets: 100, maxFreeSockets: 20, timeout: 330_000 })

  constructor(hosts: CheckedHosts) {
    this.#hosts = hosts
  }

  /** Rejects with HookFailure, or with the error of the body. */
  async post(post: Post): Promise<Answer> {
    const until = performance.now() + post.timeoutMs
    const url = new URL(post.url)
    const addresses = await this.#hosts.addressesOf(url.hostname, post.timeoutMs)
    let failure: unknown
    for (const address of addresses.slice(0, maxAddresses)) {
      try {
        return await this.#send(post, { url, address, until })
      } catch (error) {
        failure = error
        // Another address may be tried only if nothing was sent.
        if (!(error instanceof HookFailure) || error.trouble !== 'unreachable') break
      }
    }
    throw failure
  }

  async #send(post: Post, target: { url: URL; address: string; until: number }): Promise<Answer> {
    const late = AbortSignal.timeout(Math.max(1, Math.ceil(target.until - performance.now())))
    const signal = post.signal ? AbortSignal.any([late, post.signal]) : late
    const exchange = new Exchange()
    for (;;) {
      try {
        return await exchange.go(this.#open(post, target, signal), post)
      } catch (error) {
        // An idle connection may have closed in the meantime. Then the server has not read the request, so try again.
        if (exchange.wasStale(error)) continue
        if (late.aborted)
          throw new HookFailure('timeout', `${target.url.host} did not answer within ${post.timeoutMs} ms`)
        throw exchange.explain(error, target.url.host)
      }
    }
  }

  #open(
    { headers, length }: Post,
    { url, address }: { url: URL; address: string },
    signal: AbortSignal,
  ): ClientRequest {
    const isHttps = url.protocol === 'https:'
    const host = url.hostname.replace(/^\[|\]$/g, '')
    const options = {
      agent: isHttps ? this.#https : this.#http,
      host: address,
      port: url.port || (isHttps ? 443 : 80),
      path: `${url.pathname}${url.search}`,
      method: 'POST',
      headers: { ...headers, host: url.host, 'content-length': length, 'user-agent': 'Postern' },
      signal,
      ...(isHttps && !isIP(host) ? { servername: host } : {}),
    }
    return isHttps ? requestHttps(options) : requestHttp(options)
  }

  close(): void {
    this.#http.destroy()
    this.#https.destroy()
  }
}

/** A request in progress. */
class Exchange {
  #connected = false
  #stale = false
  #bodyFailure: { error: unknown } | undefined
  #tries = 0

  go(request: ClientRequest, post: Post): Promise<Answer> {
    this.#connected = false
    this.#tries++
    return new Promise((resolve, reject) => {
      const source = Readable.from(post.body(), { objectMode: false })
      let answered = false
      const failed = (error: unknown) => {
        source.destroy()
        request.destroy()
        this.#stale = request.reusedSocket && !answered && (error as NodeJS.ErrnoException).code === 'ECONNRESET'
        reject(error)
      }
      request.once('socket', (socket) => {
        if (socket.connecting)
          socket.once('connect', () => {
            this.#connected = true
          })
        else this.#connected = true
      })
      request.on('error', failed)
      request.once('response', (response) => {
        answered = true
        readAnswer(response, post).then((answer) => {
          // A response may arrive before the request is complete. The rest of the request is then not needed.
          if (!request.writableFinished) request.destroy()
          source.destroy()
          resolve(answer)
        }, failed)
      })
      source.once('error', (error) => {
        this.#bodyFailure = { error }
        failed(error)
      })
      source.pipe(request)
    })
  }

  wasStale(error: unknown): boolean {
    return this.#stale && this.#tries < 3 && !(error instanceof HookFailure)
  }

  explain(error: unknown, host: string): unknown {
    if (this.#bodyFailure) return this.#bodyFailure.error
    if (error instanceof HookFailure) return error
    const { code, message } = error as NodeJS.ErrnoException
    return new HookFailure(this.#connected ? 'nonsense' : 'unreachable', `${host}: ${code ?? message}`)
  }
}

async function readAnswer(response: IncomingMessage, { maxAnswer, cutAnswer }: Post): Promise<Answer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > maxAnswer && !cutAnswer)
      throw new HookFailure('nonsense', `the response is longer than ${maxAnswer} bytes`)
    chunks.push(chunk.subarray(0, Math.max(0, chunk.length - Math.max(0, bytes - maxAnswer))))
    if (bytes > maxAnswer) break
  }
  return { status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) }
}
