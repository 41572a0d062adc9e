import {
  auditViewSchema,
  page,
  revisionDetailSchema,
  revisionViewSchema,
  writeResultSchema,
} from '@postern/contract/views.ts'
import { z } from 'zod'
import { type Endpoint, endpoint } from '../endpoint.ts'
import { pageQuery } from '../pagination.ts'
import { readAudit, readRevision, readRevisions, revertRevision, rollback } from '../verbs/history.ts'

const params = z.object({ revision: z.coerce.number().int().min(1) })
const tag = 'History'

const gone = {
  410: 'This revision was automatic and more than 30 days old, so it was removed from the history. `detail` names the previous revision that is still available.',
}

export const historyRoutes: Endpoint[] = [
  endpoint({
    method: 'get',
    path: '/v1/revisions',
    scope: 'viewer',
    tag,
    summary: 'Revisions, newest first',
    query: pageQuery,
    answer: page(revisionViewSchema),
    handle: (call, { query }) => readRevisions(call, query),
  }),
  endpoint({
    method: 'get',
    path: '/v1/revisions/{revision}',
    scope: 'viewer',
    tag,
    summary: 'The changes of a revision, or its differences from another one',
    alsoAnswers: gone,
    params,
    query: z.strictObject({ against: z.coerce.number().int().min(0).optional() }),
    answer: revisionDetailSchema,
    handle: (call, { params, query }) => readRevision(call, params.revision, query.against),
  }),
  endpoint({
    method: 'post',
    path: '/v1/revisions/{revision}/rollback',
    scope: 'admin',
    tag,
    summary: 'Roll back to a revision: make a new revision that restores everything',
    alsoAnswers: gone,
    params,
    write: true,
    answer: writeResultSchema.extend({ rolledBackTo: z.number().int() }),
    handle: (call, { params }) => rollback(call, params.revision),
  }),
  endpoint({
    method: 'post',
    path: '/v1/revisions/{revision}/revert',
    scope: 'admin',
    tag,
    summary: 'Revert a revision: make a new revision that undoes only its changes',
    alsoAnswers: {
      ...gone,
      409: 'Some of its rows have changed since. `errors` names them. Nothing is saved. To revert anyway, set `force`.',
    },
    params,
    body: z.strictObject({ force: z.boolean().default(false) }),
    write: true,
    answer: writeResultSchema.extend({ reverted: z.number().int() }),
    handle: (call, { params, body }) => revertRevision(call, params.revision, body.force),
  }),
  endpoint({
    method: 'get',
    path: '/v1/audit',
    scope: 'viewer',
    tag,
    summary: 'Audit log: every change, sign-in and read message, newest first',
    query: pageQuery,
    answer: page(auditViewSchema),
    handle: (call, { query }) => readAudit(call, query),
  }),
]
