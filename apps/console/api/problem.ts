import type { Problem } from '@postern/contract/views.ts'

/** A refusal of the API, in its own words (RFC 9457). `status` 0: there was no response. */
export class ApiProblem extends Error {
  readonly status: number
  readonly title: string
  readonly errors: readonly { path: string; message: string }[]

  constructor(problem: Pick<Problem, 'status' | 'title' | 'detail' | 'errors'>) {
    super(problem.detail ?? problem.title)
    this.name = 'ApiProblem'
    this.status = problem.status
    this.title = problem.title
    this.errors = problem.errors ?? []
  }
}

/** Reads a response that is not 2xx. Never throws: a response that is not a problem document becomes one. */
export async function readProblem(response: Response): Promise<ApiProblem> {
  const body = (await response.json().catch(() => null)) as Partial<Problem> | null
  return new ApiProblem({
    status: response.status,
    title: body?.title ?? response.statusText ?? 'Refused',
    detail: body?.detail ?? `The API answered ${response.status} ${response.statusText}.`,
    errors: body?.errors,
  })
}

/** Explains an error in one sentence. */
export function explain(error: unknown): string {
  if (error instanceof ApiProblem) {
    const [first] = error.errors
    return first ? `${first.path}: ${first.message}` : error.message
  }
  return error instanceof Error ? error.message : String(error)
}
