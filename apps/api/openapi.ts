import { type OpenAPIHono, z } from '@hono/zod-openapi'
import { problemSchema } from '@postern/contract/views.ts'
import { compress } from 'hono/compress'
import { docs } from './docs-page.ts'
import type { Endpoint } from './endpoint.ts'
import { withExtensionsIn } from './openapi-schema.ts'

/** Registers the OpenAPI 3.1 document, made from the same rows that answer requests. */
export function describe(app: OpenAPIHono, rows: Endpoint[], version: string): void {
  app.openAPIRegistry.registerComponent('securitySchemes', 'bearer', {
    type: 'http',
    scheme: 'bearer',
    description: 'An access token (JWT) from /v1/auth/token, or an API token (pst_…).',
  })
  for (const row of rows) app.openAPIRegistry.registerPath(pathOf(row) as Registered)
  for (const { path, media, summary } of own) app.openAPIRegistry.registerPath(ownPath(path, media, summary))
  const config = {
    openapi: '3.1.0',
    info: {
      title: 'Postern',
      version,
      description: 'The API of the Postern SMTP gateway.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/' }],
    tags: [...new Set([...rows.map(({ tag }) => tag), 'System'])].map((name) => ({ name })),
  }
  for (const path of describingPaths) app.use(path, compress())
  app.get('/docs', () => docs.page())
  app.get('/docs/docs.js', () => docs.script())
  app.get('/docs/docs.css', () => docs.style())
  let document: string | undefined
  app.get('/openapi.json', () => {
    document ??= JSON.stringify(withExtensionsIn(app.getOpenAPI31Document(config)))
    return new Response(document, { headers: { 'content-type': 'application/json' } })
  })
}

type Registered = Parameters<OpenAPIHono['openAPIRegistry']['registerPath']>[0]

const writeQuery = z.object({
  dryRun: z
    .enum(['true', 'false'])
    .optional()
    .openapi({ description: 'Validate the request and return the diff. Nothing is saved.' }),
  comment: z
    .string()
    .max(500)
    .optional()
    .openapi({ description: 'The reason for the change. It is stored with the revision.' }),
})
const writeHeaders = z.object({
  'if-match': z
    .string()
    .optional()
    .openapi({ description: 'The revision you last read, e.g. "12". If there is a newer one, the response is 412.' }),
  'idempotency-key': z
    .string()
    .optional()
    .openapi({ description: 'A repeated request with the same key is carried out once and gets the same response.' }),
})

/** Endpoints that describe the API are part of it. */
const own = [
  { path: '/openapi.json', media: 'application/json', summary: 'The OpenAPI document' },
  { path: '/docs', media: 'text/html', summary: 'The API documentation as a web page' },
]

/** Paths that answer GET but are not rows. */
export const describingPaths: readonly string[] = [...own.map(({ path }) => path), '/docs/docs.js', '/docs/docs.css']

function ownPath(path: string, media: string, summary: string): Registered {
  const answer = { description: summary, content: { [media]: { schema: z.string() } } }
  return {
    method: 'get',
    path,
    operationId: path.slice(1).replace('.', '-'),
    tags: ['System'],
    summary,
    description: summary,
    security: [],
    responses: { 200: answer },
  }
}

function pathOf(row: Endpoint) {
  const query = row.write ? (row.query ? row.query.extend(writeQuery.shape) : writeQuery) : row.query
  return {
    method: row.method,
    path: row.path,
    operationId: operationOf(row),
    tags: [row.tag],
    summary: row.summary,
    description: scopeText(row),
    security: row.scope === 'public' ? [] : [{ bearer: [] }],
    request: {
      ...(row.params ? { params: row.params } : {}),
      ...(query ? { query } : {}),
      ...(row.write ? { headers: writeHeaders } : {}),
      ...(row.text
        ? { body: { content: { 'text/plain': { schema: z.string() }, 'text/csv': { schema: z.string() } } } }
        : {}),
      ...(row.body || row.streams ? { body: { content: mediaOf(row), required: true } } : {}),
    },
    responses: responsesOf(row),
  }
}

const problem = (description: string) => ({
  description,
  content: { 'application/problem+json': { schema: problemSchema } },
})

/**
 * Returns every status that the row can answer with. The tests of the whole API compare these with the actual answers.
 */
function responsesOf(row: Endpoint) {
  const { status = 200, alsoAnswers = {} } = row
  const schema = typeof row.answer === 'string' ? z.string() : row.answer
  const media = [typeof row.answer === 'string' ? row.answer : 'application/json', ...(row.alsoMedia ?? [])]
  const content = Object.fromEntries(media.map((type) => [type, { schema }]))
  const answer = (code: number, description: string) => (code === 204 ? { description } : { description, content })
  const sendsBody = row.method !== 'get'
  return {
    [status]: answer(status, row.summary),
    ...(row.write && status !== 200 ? { 200: answer(200, 'With dryRun: what would change. Nothing is saved.') } : {}),
    ...(sendsBody ? { 400: problem('The body is not JSON, or a header is not valid.') } : {}),
    ...(row.scope === 'public'
      ? {}
      : {
          401: problem('No valid token.'),
          403: problem('The role is not sufficient, or this caller may not use the endpoint.'),
        }),
    ...(row.params ? { 404: problem('Not found.') } : {}),
    ...(row.write ? { 412: problem('The revision in If-Match is not the current one.') } : {}),
    ...(sendsBody ? { 413: problem('The body is too large.') } : {}),
    422: problem('The input is not valid.'),
    ...Object.fromEntries(
      Object.entries(alsoAnswers).map(([code, text]) => [
        code,
        Number(code) < 300 ? answer(Number(code), text) : problem(text),
      ]),
    ),
    500: problem('Internal error. Nothing was saved.'),
    503: alsoAnswers[503] ? problem(alsoAnswers[503]) : problem('The database is busy. Nothing was saved.'),
  }
}

function mediaOf({ body, streams = [] }: Endpoint) {
  const bytes = z.string().openapi({ format: 'binary' })
  return {
    ...(body ? { 'application/json': { schema: body } } : {}),
    ...Object.fromEntries(streams.map((media) => [media, { schema: bytes }])),
  }
}

function operationOf({ method, path }: Endpoint): string {
  const words = path
    .replace(/^\/v1\//, '')
    .replace(/[{}]/g, '')
    .split(/[^a-z0-9]+/i)
    .filter(Boolean)
  return [method, ...words.map((word) => word[0]?.toUpperCase() + word.slice(1))].join('')
}

function scopeText({ scope }: Endpoint): string {
  switch (scope) {
    case 'public':
      return 'No token required.'
    case 'self':
      return 'Any role.'
    case 'person':
      return 'Any role. Not for API tokens.'
    case 'worker':
      return 'For workers.'
    default:
      return `Role: ${scope} or above.`
  }
}
