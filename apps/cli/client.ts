import type { Problem } from '@postern/contract/views.ts'

/** The API as the command sees it. A problem becomes an Error whose message says which field, which value, what is allowed. */
export class Client {
  readonly #base: string
  readonly #token: string

  constructor(base: string, token: string) {
    this.#base = base.replace(/\/$/, '')
    this.#token = token
  }

  get<T>(path: string): Promise<T> {
    return this.#send('GET', path) as Promise<T>
  }

  post<T>(path: string, body: unknown = {}): Promise<T> {
    return this.#send('POST', path, body) as Promise<T>
  }

  async text(path: string, accept: string): Promise<string> {
    return (await this.#fetch('GET', path, undefined, accept)).text()
  }

  async #send(method: string, path: string, body?: unknown): Promise<unknown> {
    return (await this.#fetch(method, path, body, 'application/json')).json()
  }

  async #fetch(method: string, path: string, body: unknown, accept: string): Promise<Response> {
    const response = await fetch(this.#base + path, {
      method,
      headers: {
        accept,
        authorization: `Bearer ${this.#token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(60_000),
    }).catch((error: Error) => {
      const cause = error.cause instanceof Error ? error.cause.message : error.message
      throw new Error(`no answer from ${this.#base}: ${cause}. Is POSTERN_URL right, and is Postern running?`)
    })
    if (response.ok) return response
    throw new Error(explain(response.status, (await response.json().catch(() => ({}))) as Partial<Problem>))
  }
}

function explain(status: number, problem: Partial<Problem>): string {
  const head = `${status} ${problem.title ?? ''}${problem.detail ? `: ${problem.detail}` : ''}`.trim()
  const lines = (problem.errors ?? []).map(({ path, message }) => `  ${path}: ${message}`)
  return [head, ...lines].join('\n')
}
