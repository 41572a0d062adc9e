import type { Problem } from '@postern/contract/views.ts'
import { DuplicateError } from '@postern/store/control/change-set.ts'
import { StaleError } from '@postern/store/control/revisions.ts'
import { sqliteCode } from '@postern/store/guarded-client.ts'

/** Errors in the format of RFC 9457. Every thrown error ends here. Internal details are never sent to clients. */

export type FieldError = { path: string; message: string }

export class ProblemError extends Error {
  override name = 'ProblemError'
  readonly status: number
  readonly errors: FieldError[] | undefined
  readonly headers: Record<string, string>
  constructor(status: number, detail: string, more: { errors?: FieldError[]; headers?: Record<string, string> } = {}) {
    super(detail)
    this.status = status
    this.errors = more.errors
    this.headers = more.headers ?? {}
  }
}

const titles: Record<number, string> = {
  400: 'Bad request',
  401: 'Not signed in',
  403: 'Not allowed',
  404: 'Not found',
  405: 'Method not allowed',
  409: 'Conflict',
  410: 'Gone',
  412: 'Changed in the meantime',
  413: 'Too large',
  415: 'Unsupported media type',
  422: 'The input is not valid',
  429: 'Too many attempts',
  500: 'Internal error',
  503: 'Temporarily unavailable',
}

/** Makes a 422. Each sentence names the field, the value and what is allowed. */
export function invalid(errors: FieldError[]): ProblemError {
  return new ProblemError(422, errors.map(({ message }) => message).join('; '), {
    errors,
  })
}

export function notFound(what: string): ProblemError {
  return new ProblemError(404, `There is no ${what}.`)
}

export function problemOf(error: unknown): ProblemError {
  if (error instanceof ProblemError) return error
  if (error instanceof StaleError)
    return new ProblemError(412, `${error.message}. Read the current version, then send If-Match: "${error.revision}".`)
  if (error instanceof DuplicateError) return invalid([{ path: duplicatePath(error), message: `${error.message}` }])
  if (sqliteCode(error)?.startsWith('SQLITE_BUSY'))
    return new ProblemError(503, 'The database is busy. Nothing was saved. Try again.', {
      headers: { 'retry-after': '1' },
    })
  if (sqliteCode(error)?.startsWith('SQLITE_FULL'))
    return new ProblemError(503, 'The database disk is full. Nothing was saved. Free some space and try again.', {
      headers: { 'retry-after': '60' },
    })
  return new ProblemError(500, 'Internal error. Nothing was saved. The log has the details.')
}

function duplicatePath({ kind }: DuplicateError): string {
  switch (kind) {
    case 'domain':
    case 'certificate':
      return 'name'
    case 'account':
    case 'alias':
    case 'group':
      return 'address'
    case 'dkim-key':
      return 'selector'
    default:
      return 'value'
  }
}

export function problemResponse(problem: ProblemError): Response {
  const body: Problem = {
    type: 'about:blank',
    title: titles[problem.status] ?? 'Error',
    status: problem.status,
    detail: problem.message.slice(0, 4000),
    ...(problem.errors ? { errors: problem.errors.slice(0, 1000) } : {}),
  }
  return new Response(JSON.stringify(body), {
    status: problem.status,
    headers: {
      'content-type': 'application/problem+json',
      // A 401 must name an accepted scheme (RFC 9110 §11.6.1).
      ...(problem.status === 401 ? { 'www-authenticate': 'Bearer' } : {}),
      ...problem.headers,
    },
  })
}
