import type { Role } from '@postern/contract/roles.ts'
import type { z } from 'zod'
import type { Call } from './call.ts'

/**
 * One row of the API: its path, who may ask, what goes in, what comes out. The adapter in `app.ts` does the rest in the
 * same order for all: identity, role, parameters, body, verb, answer. OpenAPI is made from the same rows.
 */
type Method = 'get' | 'post' | 'patch' | 'delete'

/** `public`: no token. `self`: any person or API token. `person`: no API token. `worker`: a worker's JWT. Else the least role. */
export type Scope = 'public' | 'self' | 'person' | 'worker' | Role

export type Endpoint = {
  method: Method
  /** With parameters in braces: `/v1/lists/{list}`. */
  path: string
  scope: Scope
  tag: string
  summary: string
  params?: z.ZodObject
  query?: z.ZodObject
  body?: z.ZodType
  /** `verb`: the body only has to be an object here; the verb parses it, because more than the schema decides. */
  parse?: 'verb'
  /** Octets. */
  bodyLimit?: number
  /** Body as text, whatever its media type. */
  text?: true
  /** The verb reads the body itself, as it comes; the media types it takes beside that of `body`. */
  streams?: string[]
  /** Takes If-Match, Idempotency-Key, dryRun and comment; answers with the revision. */
  write?: true
  status?: 200 | 201 | 202 | 204
  /** What is answered; a media type when it is not JSON. */
  answer: z.ZodType | string
  /** Other media types it may come in. */
  alsoMedia?: string[]
  /** Statuses beside those that follow from the rest of the row, and what each says. */
  alsoAnswers?: Record<number, string>
  handle: (call: Call, input: Input, request: Request) => Promise<unknown>
}

export type Input = { params: Record<string, unknown>; query: Record<string, unknown>; body: unknown }

type Out<T> = T extends z.ZodType ? z.output<T> : undefined

/** Keeps the types of what goes in; the table itself only knows `Endpoint`. */
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
