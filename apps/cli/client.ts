import type { Problem } from '@postern/contract/views.ts'

const timeoutMs = 60_000

/** A refusal by the API, or `status` 0 if there was no answer. `paths` are the fields that the problem names. */
export class ApiError extends Error {
  override name = 'ApiError'
  readonly status: number
  readonly paths: string[]
  constructor(status: number, message: string, paths: string[] = []) {
    super(message)
    this.status = status
    this.paths = paths
  }
}

/** A client of the API. Turns a problem into an Error whose message names the field, the value and what is allowed. */
export class Client {
  readonly #base: string
  readonly #token: string

  constructor(base: string, token: string) {
    this.#base = base.replace(/\/$/, '')
    this.#token = token
  }

  get host(): string {
    return new URL(this.#base).hostname.replace(/^\[|\]$/g, '')
  }

  get<T>(path: string): Promise<T> {
    return this.#send('GET', path) as Promise<T>
  }

  post<T>(path: string, body: unknown = {}): Promise<T> {
    return this.#send('POST', path, body) as Promise<T>
  }

  async text(path: string, accept: string): Promise<string> {
    return (await this.#fetch('GET', path, { headers: { accept } })).text()
  }

  /**
   * Submits a message, either as raw bytes or as a whole submission in JSON. Repeats with the same key are taken only
   * once.
   */
  async submit(query: string, body: Buffer | string, key: string): Promise<{ id: string }> {
    const type = typeof body === 'string' ? 'application/json' : 'message/rfc822'
    const headers = { 'content-type': type, 'idempotency-key': key }
    const asked = { body: typeof body === 'string' ? body : new Uint8Array(body), headers }
    return (await this.#fetch('POST', `/v1/messages${query}`, asked)).json() as Promise<{ id: string }>
  }

  async #send(method: string, path: string, body?: unknown): Promise<unknown> {
    const json =
      body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
    return (await this.#fetch(method, path, json)).json()
  }

  async #fetch(
    method: string,
    path: string,
    asked: RequestInit & { headers?: Record<string, string> },
  ): Promise<Response> {
    const response = await fetch(this.#base + path, {
      ...asked,
      method,
      headers: { accept: 'application/json', authorization: `Bearer ${this.#token}`, ...asked.headers },
      signal: AbortSignal.timeout(timeoutMs),
    }).catch((error: Error) => {
      const cause = error.cause instanceof Error ? error.cause.message : error.message
      throw new ApiError(0, `no answer from ${this.#base}: ${cause}. Check POSTERN_URL, and that Postern is running.`)
    })
    if (response.ok) return response
    const problem = (await response.json().catch(() => ({}))) as Partial<Problem>
    const paths = (problem.errors ?? []).map(({ path }) => path)
    throw new ApiError(response.status, explain(response.status, problem), paths)
  }
}

function explain(status: number, problem: Partial<Problem>): string {
  const head = `${status} ${problem.title ?? ''}${problem.detail ? `: ${problem.detail}` : ''}`.trim()
  const lines = (problem.errors ?? []).map(({ path, message }) => `  ${path}: ${message}`)
  return [head, ...lines].join('\n')
}
