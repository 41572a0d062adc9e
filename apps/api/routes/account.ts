import { passwordChangeSchema } from '@postern/contract/users.ts'
import { loginSessionViewSchema, page, writeResultSchema } from '@postern/contract/views.ts'
import { z } from 'zod'
import { type Endpoint, endpoint } from '../endpoint.ts'
import { pageQuery } from '../pagination.ts'
import { changeOwnPassword, endOwnLoginSession, readOwnLoginSessions } from '../verbs/account.ts'

const own = { scope: 'person', tag: 'Your account' } as const

export const accountRoutes: Endpoint[] = [
  endpoint({
    ...own,
    method: 'post',
    path: '/v1/me/password',
    alsoAnswers: {
      409: 'The account was changed in the meantime.',
      429: 'Too many failed attempts. Retry-After says how long to wait.',
    },
    summary: 'Change your password. You are signed out everywhere else',
    body: passwordChangeSchema,
    bodyLimit: 16_384,
    write: true,
    answer: writeResultSchema,
    handle: (call, { body }) => changeOwnPassword(call, body),
  }),
  endpoint({
    ...own,
    method: 'get',
    path: '/v1/me/sessions',
    summary: 'Your sessions, newest first',
    query: pageQuery,
    answer: page(loginSessionViewSchema),
    handle: (call, { query }) => readOwnLoginSessions(call, query),
  }),
  endpoint({
    ...own,
    method: 'delete',
    path: '/v1/me/sessions/{id}',
    summary: 'End one of your sessions',
    params: z.object({ id: z.string().max(100) }),
    status: 204,
    answer: z.void(),
    handle: (call, { params }) => endOwnLoginSession(call, params.id),
  }),
]
