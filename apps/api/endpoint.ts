import type { Role } from '@postern/contract/roles.ts'
import type { z } from 'zod'
import type { Call } from './write-revision.ts'

/**
 * One row of the API: path, scope, input and answer. The adapter in `app.ts` does the rest in the same order for every
 * row: identity, role, parameters, body, verb, answer. The OpenAPI document is made from the same rows.
 */
type Method = 'get' | 'post' | 'patch' | 'delete'

/**
 * `public`: no token. `self`: any person or API token. `person`: a person, not an API token. `worker`: a worker's JWT.
 * Otherwise the minimum role.
 */
export type Scope = 'public' | 'self' | 'person' | 'worker' | Role

export type Endpoint = {
  method: Method
  /** Parameters are in braces: `/v1/lists/{list}`. */
  path: string
  scope: Scope
  tag: string
  summary: string
  params?: z.ZodObject
  query?: z.ZodObject
  body?: z.ZodType
  /**
   * `verb`: the body only has to be an object here. The verb parses it, because validation needs more than the schema.
   */
  parse?: 'verb'
  /** In bytes. */
  bodyLimit?: number
  /** Reads the body as text, whatever its media type. */
  text?: true
  /** The verb reads the body as a stream. Lists the media types it accepts besides that of `body`. */
  streams?: string[]
  /** Accepts If-Match, Idempotency-Key, dryRun and comment. Answers with the revision. */
  write?: true
  status?: 200 | 201 | 202 | 204
  /** The schema of the answer, or a media type if it is not JSON. */
  answer: z.ZodType | string
  /** Other media types of the answer. */
  alsoMedia?: string[]
  /** Statuses that do not follow from the rest of the row, with their descriptions. */
  alsoAnswers?: Record<number, string>
  handle: (call: Call, input: Input, request: Request) => Promise<unknown>
}

export type Input = { params: Record<string, unknown>; query: Record<string, unknown>; body: unknown }

type Out<T> = T extends z.ZodType ? z.output<T> : undefined

/** Keeps the input types of one row. The table itself only uses `Endpoint`. */
export function endpoint<
  P extends z.ZodObject | undefined = undefined,
  Q extends z.ZodObject | undefined = undefined,
  B extends z.ZodType | undefined = undefined,
>(
  row: Omit<Endpoint, 'params' | 'query' | 'body' | 'handle'> & {
    params?: P
    query?: Q
    body?: B
    handle: (
      call: Call,
      input: { params: Out<P>; query: Out<Q>; body: B extends z.ZodType ? z.output<B> : string },
      request: Request,
    ) => Promise<unknown>
  },
): Endpoint {
  return row as unknown as Endpoint
}
