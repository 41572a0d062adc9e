import { serviceNameSchema } from '@postern/contract/services.ts'
import { enrolTokenInputSchema, tokenInputSchema, userInputSchema, userPatchSchema } from '@postern/contract/users.ts'
import { page, tokenViewSchema, userViewSchema, writeResultSchema } from '@postern/contract/views.ts'
import { listEnrolTokens } from '@postern/store/control/identity.ts'
import { z } from 'zod'
import { type Endpoint, endpoint } from '../endpoint.ts'
import type { TokenKeys } from '../identity/keys.ts'
import { iso, pageQuery } from '../pagination.ts'
import * as people from '../verbs/users.ts'
import { writeRevision } from '../write-revision.ts'

const params = z.object({ id: z.string().max(100) })
const revision = z.number().int()
const written = (item: z.ZodType) => writeResultSchema.extend({ id: z.string(), item })
const enrolTokenViewSchema = z.object({
  id: z.string(),
  name: z.string(),
  service: z.union([serviceNameSchema, z.literal('any')]),
  createdAt: z.string(),
  expiresAt: z.string().optional(),
})

const users = { scope: 'owner', tag: 'Users' } as const
const tokens = { scope: 'owner', tag: 'Tokens' } as const

export function peopleRoutes(keys: TokenKeys): Endpoint[] {
  return [...userRoutes, ...tokenRoutes, rotateRoute(keys)]
}

const userRoutes: Endpoint[] = [
  endpoint({
    ...users,
    method: 'get',
    path: '/v1/users',
    summary: 'Users',
    query: pageQuery,
    answer: page(userViewSchema).extend({ revision }),
    handle: (call, { query }) => people.readUsers(call, query),
  }),
  endpoint({
    ...users,
    method: 'post',
    path: '/v1/users',
    summary: 'Create a user',
    body: userInputSchema,
    write: true,
    status: 201,
    answer: written(userViewSchema),
    handle: (call, { body }) => people.makeUser(call, body),
  }),
  endpoint({
    ...users,
    method: 'get',
    path: '/v1/users/{id}',
    summary: 'Read a user',
    params,
    answer: userViewSchema,
    handle: (call, { params }) => people.readUser(call, params.id),
  }),
  endpoint({
    ...users,
    method: 'patch',
    path: '/v1/users/{id}',
    summary: 'Change a user. A new password signs the user out everywhere',
    params,
    body: userPatchSchema,
    write: true,
    answer: written(userViewSchema),
    handle: (call, { params, body }) => people.changeUser(call, params.id, body),
  }),
  endpoint({
    ...users,
    method: 'delete',
    path: '/v1/users/{id}',
    summary: 'Delete a user',
    params,
    write: true,
    answer: writeResultSchema,
    handle: (call, { params }) => people.removeUser(call, params.id),
  }),
]

const tokenRoutes: Endpoint[] = [
  endpoint({
    ...tokens,
    method: 'get',
    path: '/v1/tokens',
    summary: 'List API tokens',
    query: pageQuery,
    answer: page(tokenViewSchema).extend({ revision }),
    handle: (call, { query }) => people.readTokens(call, query),
  }),
  endpoint({
    ...tokens,
    method: 'post',
    path: '/v1/tokens',
    summary: 'Create an API token. Only this response shows it',
    body: tokenInputSchema,
    write: true,
    status: 201,
    answer: written(tokenViewSchema).extend({ token: z.string() }),
    handle: (call, { body }) => people.makeToken(call, body),
  }),
  endpoint({
    ...tokens,
    method: 'delete',
    path: '/v1/tokens/{id}',
    summary: 'Revoke an API token',
    params,
    write: true,
    answer: writeResultSchema,
    handle: (call, { params }) => people.removeToken(call, params.id),
  }),
  endpoint({
    ...tokens,
    method: 'get',
    path: '/v1/enrol-tokens',
    summary: 'List the enrolment tokens of workers',
    query: pageQuery,
    answer: page(enrolTokenViewSchema),
    handle: async ({ parts }) => ({
      items: (await listEnrolTokens(parts.control)).map(({ createdAt, expiresAt, ...token }) => ({
        ...token,
        createdAt: iso(createdAt),
        ...(expiresAt === null ? {} : { expiresAt: iso(expiresAt) }),
      })),
      nextCursor: null,
    }),
  }),
  endpoint({
    ...tokens,
    method: 'post',
    path: '/v1/enrol-tokens',
    summary: 'Create an enrolment token for one worker. Only this response shows it',
    body: enrolTokenInputSchema,
    write: true,
    status: 201,
    answer: writeResultSchema.extend({ id: z.string(), token: z.string() }),
    handle: (call, { body }) => people.makeEnrolToken(call, body),
  }),
  endpoint({
    ...tokens,
    method: 'delete',
    path: '/v1/enrol-tokens/{id}',
    summary: 'Revoke an enrolment token',
    params,
    write: true,
    answer: writeResultSchema,
    handle: (call, { params }) => people.removeEnrolToken(call, params.id),
  }),
]

function rotateRoute(keys: TokenKeys): Endpoint {
  return endpoint({
    ...tokens,
    method: 'post',
    path: '/v1/signing-keys/rotate',
    summary: 'Sign access tokens with a new key. The old key stays valid for a day',
    write: true,
    answer: writeResultSchema,
    handle: async (call) => {
      const about = { action: 'signing-key.rotate', kind: 'signing-key', entity: 'access tokens', always: true }
      const result = await writeRevision(call, about, async () => ({}))
      if (!call.write.dryRun) await keys.rotate()
      return result
    },
  })
}
