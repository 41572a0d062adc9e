import type { Problem, WriteResult } from '@postern/contract/views.ts'

/** An unchanged response, for tests of statuses and headers. `body` is parsed if it is JSON. */
export type ApiAnswer = {
  status: number
  headers: Headers
  body: unknown
  text: string
}

export type ApiCall = {
  query?: Record<string, string | number | boolean>
  /** Sent as JSON. A string is sent unchanged. */
  body?: unknown
  /** Bytes sent instead of a body. `headers` give their type. */
  bytes?: Buffer
  headers?: Record<string, string>
  /** The revision the caller has seen: `If-Match: "<n>"`. */
  ifMatch?: number
  /** Another token than the administrator's, or none. */
  token?: string | null
  /** Milliseconds; 30 000 without it. */
  withinMs?: number
}

/** Thrown for every refused call, with the whole response, so that a failed test explains itself. */
export class ApiRefusal extends Error {
  readonly answer: ApiAnswer
  constructor(what: string, answer: ApiAnswer) {
    super(`${what} answered ${answer.status}: ${answer.text.slice(0, 4000)}`)
    this.answer = answer
  }
  get status(): number {
    return this.answer.status
  }
  get problem(): Problem {
    return this.answer.body as Problem
  }
}

/** The API of one Postern, as its administrator. Signs in at the first call, and again when the token expires. */
export class Api {
  readonly url: string
  readonly #credentials: { email: string; password: string }
  #token: string | undefined

  constructor(url: string, credentials: { email: string; password: string }) {
    this.url = url
    this.#credentials = credentials
  }

  /** The administrator's access token, for a client of the test's own. */
  async token(): Promise<string> {
    if (this.#token) return this.#token
    const answer = await this.#fetch('POST', '/v1/auth/token', { body: this.#credentials, token: null })
    if (answer.status !== 200) throw new ApiRefusal('POST /v1/auth/token', answer)
    this.#token = (answer.body as { accessToken: string }).accessToken
    return this.#token
  }

  /** Makes any call and returns the response, whatever its status. */
  async call(method: string, path: string, call: ApiCall = {}): Promise<ApiAnswer> {
    const own = call.token === undefined
    const answer = await this.#fetch(method, path, own ? { ...call, token: await this.token() } : call)
    if (answer.status !== 401 || !own) return answer
    this.#token = undefined
    return this.#fetch(method, path, { ...call, token: await this.token() })
  }

  /** Returns the body of the response. Rejects with `ApiRefusal` unless the status is 2xx. */
  async get<T>(path: string, query: ApiCall['query'] = {}): Promise<T> {
    return this.#expect<T>('GET', path, { query })
  }
  async post<T = WriteResult>(path: string, body?: unknown, call: ApiCall = {}): Promise<T> {
    return this.#expect<T>('POST', path, { ...call, body })
  }
  async patch<T = WriteResult>(path: string, body: unknown, call: ApiCall = {}): Promise<T> {
    return this.#expect<T>('PATCH', path, { ...call, body })
  }
  async del<T = WriteResult>(path: string, call: ApiCall = {}): Promise<T> {
    return this.#expect<T>('DELETE', path, call)
  }

  async #expect<T>(method: string, path: string, call: ApiCall): Promise<T> {
    const answer = await this.call(method, path, call)
    if (answer.status < 200 || answer.status > 299) throw new ApiRefusal(`${method} ${path}`, answer)
    return answer.body as T
  }

  async #fetch(
    method: string,
    path: string,
    { query = {}, body, bytes, headers, ifMatch, token, withinMs = 30_000 }: ApiCall,
  ): Promise<ApiAnswer> {
    const url = new URL(path, this.url)
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, String(value))
    const send = () =>
      fetch(url, {
        method,
        headers: {
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(token ? { authorization: `Bearer ${token}` } : {}),
          ...(ifMatch === undefined ? {} : { 'if-match': `"${ifMatch}"` }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
        ...(bytes ? { body: new Uint8Array(bytes) } : {}),
        signal: AbortSignal.timeout(withinMs),
      })
    // A connection that was kept open may end just as it is used: what only reads is asked once more, as browsers do.
    const response = await (method === 'GET'
      ? send().catch((error: Error) => (error instanceof TypeError ? send() : Promise.reject(error)))
      : send())
    const text = await response.text()
    return { status: response.status, headers: response.headers, body: parsed(text), text }
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
