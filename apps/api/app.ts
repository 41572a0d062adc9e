import { OpenAPIHono } from '@hono/zod-openapi'
import { describeIssues } from '@postern/contract/input-errors.ts'
import { roleAtLeast } from '@postern/contract/roles.ts'
import { rememberedAnswer } from '@postern/store/control/identity.ts'
import type { Context } from 'hono'
import { z } from 'zod'
import type { Dependencies, Identity } from './dependencies.ts'
import type { Endpoint, Input, Scope } from './endpoint.ts'
import { identify } from './identity/bearer.ts'
import { TokenKeys } from './identity/keys.ts'
import { describe, describingPaths } from './openapi.ts'
import { invalid, notFound, ProblemError, problemOf, problemResponse } from './problem.ts'
import { expectedRevision, parseJson, readText, sha256 } from './request.ts'
import { endpoints } from './routes.ts'
import { securityHeaders } from './security-headers.ts'
import { type Call, idempotencyPlace, type WriteOptions } from './write-revision.ts'

const anyObject = z.record(z.string(), z.unknown())
const defaultBodyLimit = 4 * 1024 * 1024
const nobody: Identity = { type: 'user', actor: 'nobody', role: 'viewer', userId: '', sessionId: '', expiresAt: 0 }

/** Creates the whole API. It depends only on `parts`. */
export function createApp(parts: Dependencies): OpenAPIHono {
  const keys = new TokenKeys(parts)
  const app = new OpenAPIHono()
  const rows = endpoints(parts, keys)
  app.use('*', securityHeaders(parts.corsOrigins))
  app.use('*', async (context, next) => {
    const startedAt = performance.now()
    await next()
    const route = context.get('route' as never) as string | undefined
    parts.metrics.observe({
      method: context.req.method,
      route: route ?? 'unknown',
      status: context.res.status,
      seconds: (performance.now() - startedAt) / 1000,
    })
  })
  for (const row of rows)
    app.on(row.method.toUpperCase(), row.path.replace(/\{(\w+)\}/g, ':$1'), async (context) => {
      context.set('route' as never, row.path as never)
      return answer(parts, keys, row, context)
    })
  describe(app, rows, parts.version)
  app.notFound((context) =>
    problemResponse(
      otherMethod(rows, context) ?? notFound(`page at ${new URL(context.req.url).pathname.slice(0, 200)}`),
    ),
  )
  app.onError((error, context) => failed(parts, error, context))
  return app
}

function failed(parts: Dependencies, error: unknown, context: Context): Response {
  const problem = problemOf(error)
  if (problem.status >= 500)
    parts.log.error(
      {
        method: context.req.method,
        path: context.req.path,
        error: error instanceof Error ? (error.stack ?? error.message) : String(error),
      },
      'a request failed',
    )
  return problemResponse(problem)
}

function otherMethod(rows: Endpoint[], context: Context): ProblemError | undefined {
  const segments = context.req.path.split('/')
  const found = rows.filter(({ path }) => {
    const own = path.split('/')
    return (
      own.length === segments.length &&
      own.every((part, i) => (part.startsWith('{') ? segments[i] !== '' : part === segments[i]))
    )
  })
  const methods = found.map(({ method }) => method.toUpperCase())
  if (describingPaths.includes(context.req.path)) methods.push('GET')
  if (methods.length === 0) return undefined
  // HEAD is answered wherever GET is (RFC 9110 §9.3.2).
  const allowed = methods.flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method])).join(', ')
  return new ProblemError(405, `${context.req.method} is not allowed here. Allowed: ${allowed}.`, {
    headers: { allow: allowed },
  })
}

/** Answers a request. The order is the same for every row: identity, permission, input, verb. */
async function answer(parts: Dependencies, keys: TokenKeys, row: Endpoint, context: Context): Promise<Response> {
  const who = row.scope === 'public' ? nobody : await identify(parts, keys, context.req.header('authorization'))
  permit(row.scope, who)
  const params = parsed(row.params, context.req.param(), 'the path') as Input['params']
  const { options, rest } = writeQuery(row, queryOf(context))
  const query = parsed(row.query, rest, 'the query') as Input['query']
  if (!row.query && Object.keys(rest).length > 0)
    throw invalid(
      Object.keys(rest).map((path) => ({ path, message: `${path.slice(0, 100)} is not a known query parameter` })),
    )
  const { text, body, comment } = await bodyOf(row, context.req.raw)
  const write = await writeOptions({ row, context, options: { ...options, comment: options.comment ?? comment }, text })
  const isStillAllowed = () =>
    identify(parts, keys, context.req.header('authorization'))
      .then((now) => {
        permit(row.scope, now)
        return true
      })
      .catch(() => false)
  const address = parts.clientAddress(context)
  const call: Call = { parts, who, write, address, signal: context.req.raw.signal, isStillAllowed }
  const before = write.idempotency && (await repeated(call, write.idempotency))
  if (before) return before
  try {
    return respond(row, await row.handle(call, { params, query, body }, context.req.raw))
  } catch (error) {
    // The same request may arrive twice at once. Writes are serialised, so the answer of the first is stored by now.
    const meanwhile = write.idempotency && (await repeated(call, write.idempotency))
    if (meanwhile) return meanwhile
    throw error
  }
}

function permit(scope: Scope, who: Identity): void {
  if (scope === 'public') return
  if (scope === 'worker') {
    if (who.type === 'worker') return
    throw new ProblemError(403, 'Only workers may do this.')
  }
  if (who.type === 'worker') throw new ProblemError(403, 'Workers may not do this.')
  if (scope === 'person') {
    if (who.type === 'user') return
    throw new ProblemError(403, 'Only a signed-in user may do this. An API token has no password and no sessions.')
  }
  if (scope !== 'self' && !roleAtLeast(who.role, scope))
    throw new ProblemError(403, `This needs the role ${scope}. Your role is ${who.role}.`)
}

function parsed(schema: Endpoint['body'], value: unknown, what: string): unknown {
  if (!schema) return undefined
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const errors = describeIssues(result.error, value, schema)
  if (what === 'the path') throw notFound(`page at this path: ${errors.map(({ message }) => message).join('; ')}`)
  throw invalid(errors)
}

function queryOf(context: Context): Record<string, string> {
  const all = context.req.queries()
  const twice = Object.keys(all).find((name) => (all[name]?.length ?? 0) > 1)
  if (twice) throw invalid([{ path: twice, message: `${twice.slice(0, 100)} is given more than once` }])
  return context.req.query()
}

type QueryOptions = { dryRun: boolean; comment: string | undefined }

function writeQuery(
  row: Endpoint,
  query: Record<string, string>,
): { options: QueryOptions; rest: Record<string, string> } {
  if (!row.write) return { options: { dryRun: false, comment: undefined }, rest: query }
  const { dryRun = 'false', comment, ...rest } = query
  if (dryRun !== 'true' && dryRun !== 'false')
    throw invalid([{ path: 'dryRun', message: `dryRun must be true or false, not "${dryRun.slice(0, 40)}"` }])
  return { options: { dryRun: dryRun === 'true', comment }, rest }
}

type Body = { text: string; body: unknown; comment?: string | undefined }

async function bodyOf(row: Endpoint, request: Request): Promise<Body> {
  if (row.method === 'get' || row.streams) return { text: '', body: undefined }
  const text = await readText(request, row.bodyLimit ?? defaultBodyLimit)
  if (row.text) return { text, body: text }
  const isOptional = row.method !== 'patch' && row.parse !== 'verb' && (!row.body || row.body.safeParse({}).success)
  const { value, comment } = withoutComment(row, text.trim() === '' && isOptional ? {} : parseJson(text))
  if (row.body) return { text, body: parsed(row.parse === 'verb' ? anyObject : row.body, value, 'the body'), comment }
  const [key] = Object.keys(Object(value))
  if (key !== undefined)
    throw invalid([{ path: key, message: `"${key.slice(0, 100)}" is not allowed: this request takes no body` }])
  return { text, body: undefined, comment }
}

/** Takes the comment of a write from its body, unless the body has a comment field of its own, as a list entry does. */
function withoutComment(row: Endpoint, value: unknown): { value: unknown; comment?: string } {
  if (!row.write || typeof value !== 'object' || value === null || !('comment' in value)) return { value }
  if (row.body instanceof z.ZodObject && 'comment' in row.body.shape) return { value }
  const { comment, ...rest } = value
  if (typeof comment !== 'string')
    throw invalid([{ path: 'comment', message: 'comment must be text of at most 500 characters' }])
  return { value: rest, comment }
}

type WriteRequest = { row: Endpoint; context: Context; options: QueryOptions; text: string }

async function writeOptions({ row, context, options, text }: WriteRequest): Promise<WriteOptions> {
  const status = row.status ?? 200
  if (!row.write) return { expected: undefined, idempotency: undefined, status, ...options }
  const key = context.req.header('idempotency-key')
  if (key !== undefined && !/^[\x21-\x7e]{1,200}$/.test(key))
    throw new ProblemError(400, 'Idempotency-Key must be 1 to 200 visible ASCII characters.')
  const comment = options.comment ?? commentHeader(context)
  if (comment !== undefined && comment.length > 500)
    throw invalid([{ path: 'comment', message: `comment has ${comment.length} characters; at most 500 are allowed` }])
  const url = new URL(context.req.url)
  const requestHash = key && (await sha256([row.method, url.pathname, url.search, text].join('\n')))
  return {
    expected: expectedRevision(context.req.header('if-match')),
    idempotency: key && requestHash && !options.dryRun ? { key, requestHash } : undefined,
    status,
    dryRun: options.dryRun,
    comment,
  }
}

function commentHeader(context: Context): string | undefined {
  const header = context.req.header('postern-comment')
  try {
    return header && decodeURIComponent(header)
  } catch {
    return header
  }
}

/** Returns the remembered answer for the same key and request. Throws 422 if the key was used for another request. */
async function repeated(
  { parts, who }: Call,
  { key, requestHash }: { key: string; requestHash: string },
): Promise<Response | undefined> {
  const found = await rememberedAnswer(parts.control, who.actor, key)
  if (!found) return undefined
  if (found.requestHash !== requestHash)
    throw invalid([{ path: 'Idempotency-Key', message: `"${key}" was already used for another request` }])
  const body = JSON.parse(await parts.seal.open(found.answer, idempotencyPlace(who.actor, key))) as unknown
  return json(found.status, body)
}

function respond(row: Endpoint, body: unknown): Response {
  if (body instanceof Response) return body
  const status = row.status ?? 200
  if (status === 204) return new Response(null, { status })
  const isDryRun = typeof body === 'object' && body !== null && 'dryRun' in body && body.dryRun === true
  return json(isDryRun ? 200 : status, body)
}

function json(status: number, body: unknown): Response {
  const revision = typeof body === 'object' && body !== null && 'revision' in body ? body.revision : undefined
  const headers: Record<string, string> = { 'content-type': 'application/json', 'cache-control': 'no-store' }
  if (typeof revision === 'number') headers.etag = `"${revision}"`
  return new Response(JSON.stringify(body), { status, headers })
}
