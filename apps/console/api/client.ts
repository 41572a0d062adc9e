import { answered, unanswered } from './api-reachable.ts'
import { ApiProblem, readProblem } from './problem.ts'
import { accessToken, forgetAccessToken, lookAgain } from './sign-in.ts'

export type Query = Record<string, string | number | boolean | undefined>
export type Call = {
  method?: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  path: string
  query?: Query
  body?: unknown
  /** The revision that the change is based on. If it is stale: ApiProblem 412. */
  ifMatch?: number
  signal?: AbortSignal
}

/** Leaves out what is `undefined`. An empty text is sent: it means something to a filter, e.g. the null sender. */
export function urlOf(path: string, query: Query = {}): string {
  const filled = Object.entries(query).filter(([, value]) => value !== undefined)
  const search = new URLSearchParams(filled.map(([key, value]) => [key, String(value)]))
  return filled.length > 0 ? `${path}?${search}` : path
}

/** Sends a request and returns the raw 2xx response. Throws ApiProblem for any other. */
export async function send(call: Call): Promise<Response> {
  const first = await attempt(call)
  const response = first.status === 401 ? await attempt(call) : first
  if (!response.ok) throw await readProblem(response)
  return response
}

async function attempt({ method = 'GET', path, query, body, ifMatch, signal }: Call): Promise<Response> {
  const token = await accessToken()
  const headers: Record<string, string> = { authorization: `Bearer ${token}` }
  if (body !== undefined) headers['content-type'] = typeof body === 'string' ? 'text/plain' : 'application/json'
  if (ifMatch !== undefined) headers['if-match'] = `"${ifMatch}"`
  const init: RequestInit = { method, headers, signal: signal ?? null }
  if (body !== undefined) init.body = typeof body === 'string' ? body : JSON.stringify(body)
  try {
    const response = await fetch(urlOf(path, query), init)
    answered(response.status)
    if (response.status === 401) forgetAccessToken(token)
    if (response.status === 403) void lookAgain(token)
    return response
  } catch (error) {
    if (signal?.aborted) throw error
    unanswered()
    throw new ApiProblem({ status: 0, title: 'No answer', detail: 'The API does not answer. Is it running?' })
  }
}

/** Sends a request and returns its JSON. Throws ApiProblem. */
export async function call<T>(request: Call): Promise<T> {
  const response = await send(request)
  return (await response.json()) as T
}
