import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { startRoutes } from './gateway-routes.ts'

/**
 * API Gateway and Lambda on this machine, with the limits that the deployed API has: an instance answers one request at a
 * time, is frozen (SIGSTOP) between requests, and is killed after the function's timeout; a request and an answer have at
 * most 6 MB; the gateway waits 30 s and has the routes and throttles of the stack. The function is the bundle that is
 * deployed.
 */
export type Gateway = {
  readonly url: string
  /** How many instances were started. */
  readonly coldStarts: number
  /** Requests that the limits ended, e.g. `GET /v1/worker/changes: the answer has 7000000 bytes`. */
  readonly broken: string[]
  logs(): string
  /** Gives a free instance an event that is no request, as the scheduler does. */
  invoke(event: object): Promise<unknown>
  /** Ends all instances, as a deployment does: the next requests start new ones. */
  replaceInstances(): Promise<void>
  stop(): Promise<void>
}

export type GatewayOptions = {
  /** Where `infra/bundle.ts` wrote the function. */
  bundle: string
  /** The function's whole environment. */
  env: Record<string, string>
  /** The most instances at once; further requests get 503, as with Lambda's reserved concurrency. Default: 20. */
  maxInstances?: number
}

/** Lambda's limit for a synchronous invocation, in either direction. */
const maxPayloadBytes = 6 * 1024 * 1024
const gatewayTimeoutMs = 30_000
const functionTimeoutMs = 120_000

type Reply = { answer?: unknown; error?: unknown }
type HttpAnswer = {
  statusCode: number
  headers?: Record<string, string>
  cookies?: string[]
  body?: string
  isBase64Encoded?: boolean
}

class Instance {
  readonly #child: ChildProcess
  /** Each instance has a `/tmp` of its own. */
  readonly #directory = mkdtempSync(join(tmpdir(), 'postern-instance-'))
  #isGone = false

  constructor({ bundle, env }: GatewayOptions, log: (text: string) => void) {
    this.#child = spawn(process.execPath, [join(import.meta.dirname, 'instance.ts')], {
      cwd: bundle,
      env: { ...env, TMPDIR: this.#directory },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    })
    for (const output of [this.#child.stdout, this.#child.stderr]) output?.on('data', (chunk) => log(String(chunk)))
    const gone = () => {
      this.#isGone = true
      rmSync(this.#directory, { recursive: true, force: true })
    }
    this.#child.once('exit', gone)
    this.#child.once('error', (error) => {
      log(`the instance did not start: ${error.message}\n`)
      gone()
    })
  }

  get isGone(): boolean {
    return this.#isGone
  }

  /** Thaws the instance, gives it the event, and freezes it when it has answered. */
  async invoke(event: unknown): Promise<Reply> {
    this.#child.kill('SIGCONT')
    const timer = setTimeout(() => this.kill(), functionTimeoutMs)
    const ended = new AbortController()
    try {
      this.#child.send({ event, endsAt: Date.now() + functionTimeoutMs })
      const [reply] = await Promise.race([
        once(this.#child, 'message', { signal: ended.signal }),
        once(this.#child, 'exit', { signal: ended.signal }).then(([code, signal]) => [
          { error: `the instance ended with ${code ?? signal}` },
        ]),
      ])
      if (!this.#isGone) this.#child.kill('SIGSTOP')
      return reply as Reply
    } finally {
      clearTimeout(timer)
      ended.abort()
    }
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }

  async stop(): Promise<void> {
    if (this.#isGone) return
    const gone = once(this.#child, 'exit')
    this.kill()
    await gone
  }
}

export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { maxInstances = 20 } = options
  const instances = new Set<Instance>()
  const idle: Instance[] = []
  const written: string[] = []
  const broken: string[] = []
  const routes = startRoutes()
  let coldStarts = 0

  const free = (): Instance | undefined => {
    for (let warm = idle.pop(); warm; warm = idle.pop()) if (!warm.isGone) return warm
    if (instances.size >= maxInstances) return undefined
    coldStarts += 1
    const started = new Instance(options, (text) => written.push(text))
    instances.add(started)
    return started
  }
  const invoke = async (event: unknown): Promise<Reply | undefined> => {
    const instance = free()
    if (!instance) return undefined
    const reply = await instance.invoke(event)
    if (instance.isGone) instances.delete(instance)
    else idle.push(instance)
    return reply
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const name = `${request.method} ${request.url?.split('?')[0]}`
    const refuse = (status: number, message: string, why?: string) => {
      if (why) broken.push(`${name}: ${why}`)
      if (response.headersSent) return
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ message }))
    }
    const { pathname, search } = splitTarget(request)
    const route = routes.take(pathname)
    if (route === 'none') return refuse(404, 'Not Found')
    if (route === 'throttled') return refuse(429, 'Too Many Requests')
    const event = eventOf(request, { ...route, pathname, search, body: await buffer(request) })
    const bytes = Buffer.byteLength(JSON.stringify(event))
    if (bytes > maxPayloadBytes) return refuse(413, 'Request Too Long', `the request has ${bytes} bytes`)
    const timer = setTimeout(
      () => refuse(503, 'Service Unavailable', `no answer within ${gatewayTimeoutMs / 1000} s`),
      gatewayTimeoutMs,
    )
    const reply = await invoke(event).finally(() => clearTimeout(timer))
    if (!reply) return refuse(503, 'Service Unavailable', `all ${maxInstances} instances are busy`)
    if (reply.error !== undefined) return refuse(500, 'Internal Server Error', String(reply.error))
    const answered = Buffer.byteLength(JSON.stringify(reply.answer))
    if (answered > maxPayloadBytes) return refuse(500, 'Internal Server Error', `the answer has ${answered} bytes`)
    if (!response.headersSent) send(response, reply.answer as HttpAnswer)
  }

  const server = createServer((request, response) => {
    serve(request, response).catch((error: unknown) => {
      broken.push(String(error))
      response.destroy()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const killAll = () => {
    for (const instance of instances) instance.kill()
  }
  process.once('exit', killAll)
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get coldStarts() {
      return coldStarts
    },
    broken,
    logs: () => written.join(''),
    invoke: async (event) => {
      const reply = await invoke(event)
      if (!reply || reply.error !== undefined) throw new Error(String(reply?.error ?? 'all instances are busy'))
      return reply.answer
    },
    replaceInstances: async () => {
      await Promise.all([...instances].map((instance) => instance.stop()))
      instances.clear()
    },
    stop: async () => {
      process.off('exit', killAll)
      await Promise.all([...instances].map((instance) => instance.stop()))
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** The path and the query as they were sent. */
function splitTarget({ url = '/' }: IncomingMessage): { pathname: string; search: string } {
  const at = url.indexOf('?')
  return at < 0 ? { pathname: url, search: '' } : { pathname: url.slice(0, at), search: url.slice(at + 1) }
}

type Routed = { routeKey: string; pathname: string; search: string; body: Buffer }

/** The event of an HTTP API, payload 2.0. */
function eventOf(request: IncomingMessage, { routeKey, pathname, search, body }: Routed): object {
  const method = request.method ?? 'GET'
  const headers = Object.fromEntries(
    Object.entries(request.headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(',') : value]),
  )
  return {
    version: '2.0',
    routeKey,
    rawPath: pathname,
    rawQueryString: search,
    headers,
    requestContext: {
      http: {
        method,
        path: pathname,
        protocol: 'HTTP/1.1',
        sourceIp: request.socket.remoteAddress ?? '',
        userAgent: 'test',
      },
      stage: '$default',
      timeEpoch: Date.now(),
    },
    ...(body.length > 0 ? { body: body.toString('base64') } : {}),
    isBase64Encoded: body.length > 0,
  }
}

function send(
  response: ServerResponse,
  { statusCode, headers = {}, cookies, body = '', isBase64Encoded }: HttpAnswer,
): void {
  const content = isBase64Encoded ? Buffer.from(body, 'base64') : Buffer.from(body)
  response.writeHead(statusCode, {
    ...headers,
    ...(cookies ? { 'set-cookie': cookies } : {}),
    'content-length': content.length,
  })
  response.end(content)
}
