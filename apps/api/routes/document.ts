import { documentSchema } from '@postern/contract/document.ts'
import { rowDiffSchema, writeResultSchema } from '@postern/contract/views.ts'
import { z } from 'zod'
import { type Endpoint, endpoint } from '../endpoint.ts'
import { apply, documentResponse, parseDocument, plan } from '../verbs/document.ts'

const tag = 'Settings as code'
const document = z.unknown()
const bodyLimit = 32 * 1024 * 1024
const diff = z.array(rowDiffSchema)
const planned = { creates: diff, updates: diff, deletes: diff }

export const documentRoutes: Endpoint[] = [
  endpoint({
    method: 'get',
    path: '/v1/document',
    scope: 'viewer',
    tag,
    summary: 'Export the configuration as one document, without secrets',
    query: z.strictObject({ format: z.enum(['json', 'yaml']).optional() }),
    answer: documentSchema,
    alsoMedia: ['application/yaml'],
    handle: (call, { query }, request) => {
      const asksYaml = /yaml/.test(request.headers.get('accept') ?? '')
      return documentResponse(call, query.format ?? (asksYaml ? 'yaml' : 'json'))
    },
  }),
  endpoint({
    method: 'post',
    path: '/v1/plan',
    scope: 'viewer',
    tag,
    summary: 'Show what applying a document would change',
    body: z.strictObject({ document }),
    bodyLimit,
    answer: z.object({ ...planned, revision: z.number().int(), warnings: z.array(z.string()) }),
    handle: (call, { body }) => plan(call, parseDocument(body.document)),
  }),
  endpoint({
    method: 'post',
    path: '/v1/apply',
    scope: 'admin',
    tag,
    summary: 'Apply a document. `revision` is the one from the plan',
    body: z.strictObject({ document, revision: z.number().int().min(0).optional() }),
    bodyLimit,
    write: true,
    answer: writeResultSchema.extend(planned),
    handle: (call, { body }) => {
      const write = body.revision === undefined ? call.write : { ...call.write, expected: body.revision }
      return apply({ ...call, write }, parseDocument(body.document))
    },
  }),
]
