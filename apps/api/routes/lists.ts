import { listInputSchemas, listNameSchema } from '@postern/contract/lists.ts'
import { listEntryViewSchema, page, writeResultSchema } from '@postern/contract/views.ts'
import { z } from 'zod'
import { type Endpoint, endpoint } from '../endpoint.ts'
import { pageQuery } from '../pagination.ts'
import { addEntry, exportList, importEntries, readList, removeEntry } from '../verbs/lists.ts'

const tag = 'Lists'
const params = z.object({ list: listNameSchema })
const format = z.enum(['text', 'csv'])
const revision = z.number().int()

export const listRoutes: Endpoint[] = [
  endpoint({
    method: 'get',
    path: '/v1/lists/{list}',
    scope: 'viewer',
    tag,
    summary: 'Entries of a list, sorted by value',
    params,
    query: pageQuery,
    answer: page(listEntryViewSchema).extend({ revision }),
    handle: (call, { params, query }) => readList(call, params.list, query),
  }),
  endpoint({
    method: 'post',
    path: '/v1/lists/{list}',
    scope: 'admin',
    tag,
    summary: 'Add an entry',
    params,
    // OpenAPI describes the body with the list that has one extra field. The verb parses it with the list's own schema.
    body: listInputSchemas['control-access'],
    parse: 'verb',
    write: true,
    status: 201,
    answer: writeResultSchema.extend({ id: z.string(), item: listEntryViewSchema }),
    handle: (call, { params, body }) => addEntry(call, params.list, body),
  }),
  endpoint({
    method: 'get',
    path: '/v1/lists/{list}/export',
    alsoMedia: ['text/plain'],
    scope: 'viewer',
    tag,
    summary: 'Export a list as text or CSV',
    params,
    query: z.strictObject({ format: format.optional() }),
    answer: 'text/csv',
    handle: async (call, { params, query }, request) => {
      const asksCsv = request.headers.get('accept')?.includes('text/csv') === true
      return exportList(call, params.list, query.format ?? (asksCsv ? 'csv' : 'text'))
    },
  }),
  endpoint({
    method: 'post',
    path: '/v1/lists/{list}/import',
    scope: 'admin',
    tag,
    summary: 'Import text or CSV into a list: all lines or none',
    params,
    query: z.strictObject({ format: format.optional() }),
    text: true,
    bodyLimit: 128 * 1024 * 1024,
    write: true,
    answer: writeResultSchema.extend({ lines: z.number().int(), added: z.number().int(), unchanged: z.number().int() }),
    handle: (call, { params, query, body }, request) => {
      const isCsv = (query.format ?? (request.headers.get('content-type')?.includes('csv') ? 'csv' : 'text')) === 'csv'
      return importEntries(call, params.list, body, isCsv ? 'csv' : 'text')
    },
  }),
  endpoint({
    method: 'delete',
    path: '/v1/lists/{list}/{id}',
    scope: 'admin',
    tag,
    summary: 'Remove an entry',
    params: z.object({ list: listNameSchema, id: z.string().max(100) }),
    write: true,
    answer: writeResultSchema,
    handle: (call, { params }) => removeEntry(call, params.list, params.id),
  }),
]
