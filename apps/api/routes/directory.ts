import { dkimKeyInputSchema } from '@postern/contract/directory.ts'
import {
  accountViewSchema,
  aliasViewSchema,
  certificateViewSchema,
  domainViewSchema,
  groupViewSchema,
  page,
  writeResultSchema,
} from '@postern/contract/views.ts'
import { z } from 'zod'
import { type Endpoint, endpoint } from '../endpoint.ts'
import { pageQuery } from '../pagination.ts'
import {
  changeOne,
  type DirectoryKind,
  directoryKinds,
  makeOne,
  readDirectory,
  readOne,
  removeOne,
} from '../verbs/directory.ts'

const dkimKeyViewSchema = dkimKeyInputSchema.extend({ id: z.string(), dnsName: z.string(), dnsValue: z.string() })

const kinds: { kind: DirectoryKind; path: string; one: string; many: string; view: z.ZodType }[] = [
  { kind: 'domain', path: '/v1/domains', one: 'a domain', many: 'Domains', view: domainViewSchema },
  { kind: 'account', path: '/v1/accounts', one: 'an account', many: 'Accounts', view: accountViewSchema },
  { kind: 'alias', path: '/v1/aliases', one: 'an alias', many: 'Aliases', view: aliasViewSchema },
  { kind: 'group', path: '/v1/groups', one: 'a group', many: 'Groups', view: groupViewSchema },
  {
    kind: 'certificate',
    path: '/v1/certificates',
    one: 'a certificate',
    many: 'Certificates',
    view: certificateViewSchema,
  },
  { kind: 'dkim-key', path: '/v1/dkim-keys', one: 'a DKIM key', many: 'DKIM keys', view: dkimKeyViewSchema },
]

const params = z.object({ id: z.string().max(100) })
const revision = z.number().int()

export const directoryRoutes: Endpoint[] = kinds.flatMap(({ kind, path, one, many, view }) => {
  const { schema } = directoryKinds[kind]
  const written = writeResultSchema.extend({ id: z.string(), item: view })
  return [
    endpoint({
      method: 'get',
      path,
      scope: 'viewer',
      tag: many,
      summary: many,
      query: pageQuery,
      answer: page(view).extend({ revision }),
      handle: (call, { query }) => readDirectory(call, kind, query),
    }),
    endpoint({
      method: 'post',
      path,
      scope: 'admin',
      tag: many,
      summary: `Create ${one}`,
      body: schema,
      parse: 'verb',
      write: true,
      status: 201,
      answer: written,
      handle: (call, { body }) => makeOne(call, kind, body),
    }),
    endpoint({
      method: 'get',
      path: `${path}/{id}`,
      scope: 'viewer',
      tag: many,
      summary: `Read ${one}`,
      params,
      answer: view,
      handle: (call, { params }) => readOne(call, kind, params.id),
    }),
    endpoint({
      method: 'patch',
      path: `${path}/{id}`,
      scope: 'admin',
      tag: many,
      summary: `Change ${one} (JSON merge patch)`,
      params,
      body: schema.partial(),
      parse: 'verb',
      write: true,
      answer: written,
      handle: (call, { params, body }) => changeOne(call, { kind, id: params.id }, body),
    }),
    endpoint({
      method: 'delete',
      path: `${path}/{id}`,
      scope: 'admin',
      tag: many,
      summary: `Delete ${one}`,
      params,
      write: true,
      answer: writeResultSchema,
      handle: (call, { params }) => removeOne(call, kind, params.id),
    }),
  ]
})
