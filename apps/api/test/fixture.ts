import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Role } from '@postern/contract/roles.ts'
import { checkpointOf } from '@postern/store/checkpoint.ts'
import { addEnrolToken, putUser } from '@postern/store/control/identity.ts'
import { openControl, openRecords } from '@postern/store/open.ts'
import { makeSeal } from '@postern/store/seal.ts'
import { createApp } from '../app.ts'
import type { Dependencies } from '../dependencies.ts'
import { makeOwner, seed } from '../first-start.ts'
import { newId } from '../new-id.ts'
import { acme } from '../node/acme.ts'
import { certificates } from '../node/certificates.ts'
import { openEventStore } from '../node/event-store.ts'
import { makeMetrics } from '../node/metrics.ts'
import { passwords } from '../node/passwords.ts'
import { replayer } from '../node/replayer.ts'
import { sha256 } from '../request.ts'

/** For tests: a complete API in this process, with its own databases and a clock that tests can set. */
export type Fixture = Awaited<ReturnType<typeof startFixture>>

export const owner = { email: 'owner@example.org', password: 'correct horse' }
export const dataKey = btoa('0123456789abcdef0123456789abcdef')

export async function startFixture(changes: Partial<Dependencies> = {}) {
  const directory = mkdtempSync(join(tmpdir(), 'postern-api-'))
  const work: Promise<unknown>[] = []
  const clock = { ahead: 0 }
  const notifications: { queueUrl: string; revision: number }[] = []
  const now = () => Date.now() + clock.ahead
  const file = join(directory, 'settings.db')
  const log: Dependencies['log'] = {
    info: () => {},
    warn: () => {},
    error: (fields, message) => console.error(message, fields),
  }
  const parts: Dependencies = {
    control: await openControl({ url: `file:${file}`, checkpoint: checkpointOf(file) }),
    records: await openRecords({ url: `file:${join(directory, 'events.db')}` }),
    eventStore: await openEventStore({ env: {}, directory, log, now }),
    seal: await makeSeal(dataKey),
    passwords,
    certificates,
    acme,
    notifyWorkers: {
      send: async (queueUrl, revision) => {
        notifications.push({ queueUrl, revision })
      },
    },
    metrics: makeMetrics(),
    replayer,
    log,
    now,
    newId: () => newId(now()),
    background: (promise) => {
      work.push(promise)
    },
    clientAddress: () => '127.0.0.1',
    fixed: {},
    corsOrigins: [],
    version: 'test',
    ...changes,
  }
  await seed(parts)
  await makeOwner(parts, owner)
  const app = createApp(parts)

  let document: Promise<Document> | undefined
  /** Checks every answer: one that the OpenAPI document does not describe is a fault. */
  const declared = async (answer: Answer) => {
    document ??= Promise.resolve(app.request('/openapi.json')).then((response) => response.json() as Promise<Document>)
    const wrong = undeclared(await document, answer)
    if (wrong) throw new Error(wrong)
  }
  const send = async (method: string, path: string, options: SendOptions = {}) => {
    const { token = await tokens.owner(), query, body, headers = {} } = options
    const url = query ? `${path}?${new URLSearchParams(query as Record<string, string>)}` : path
    const response = await app.request(url, {
      method,
      headers: {
        ...(token === '' ? {} : { authorization: `Bearer ${token}` }),
        ...contentTypeOf(body),
        ...headers,
      },
      ...(body === undefined ? {} : { body: contentOf(body) }),
    })
    await declared({ method, path: url, status: response.status, type: response.headers.get('content-type') })
    const text = await response.text()
    const isJson = (response.headers.get('content-type') ?? '').includes('json') && !text.includes('\n{')
    return {
      status: response.status,
      headers: response.headers,
      text,
      json: isJson && text ? JSON.parse(text) : undefined,
    }
  }

  const signIn = async ({ email, password }: { email: string; password: string }): Promise<string> => {
    const { json } = await send('POST', '/v1/auth/token', { token: '', body: { email, password } })
    return json.accessToken
  }
  const asked = new Map<string, Promise<string>>()
  const once = (name: string, make: () => Promise<string>) => () => {
    const token = asked.get(name) ?? make()
    asked.set(name, token)
    return token
  }
  const withRole = (role: Role) =>
    once(role, async () => {
      const user = { email: `${role}@example.org`, password: 'correct horse' }
      const passwordHash = await passwords.hash(user.password)
      await putUser(parts.control, {
        id: parts.newId(),
        ...user,
        role,
        passwordHash,
        createdAt: now(),
        lastLoginAt: null,
      })
      return signIn(user)
    })
  const worker = (service: 'smtp' | 'queue') =>
    once(service, async () => {
      const token = `enrol-token-of-${service}`
      const entry = {
        id: parts.newId(),
        service,
        name: `${service}-1`,
        createdAt: now(),
        expiresAt: null,
        createdBy: 'test',
      }
      await addEnrolToken(parts.control, { ...entry, hash: await sha256(token) })
      const body = { token, service, name: `${service}-1`, version: '0.1.0' }
      const { json } = await send('POST', '/v1/worker/enrol', { token: '', body })
      return json.accessToken
    })
  const tokens = {
    owner: once('owner', () => signIn(owner)),
    admin: withRole('admin'),
    operator: withRole('operator'),
    viewer: withRole('viewer'),
    smtp: worker('smtp'),
    queue: worker('queue'),
  }
  /** Sends a batch as it is. */
  const sendBatch = async (
    token: string,
    { text, ...query }: { log: string; after: number; first: number; last: number; text: string },
  ) => {
    const body = await parts.eventStore.pack(text)
    return send('POST', '/v1/worker/events', { token, query, body })
  }
  const positions = new Map<string, number>()
  /** Numbers events as a worker does, and hands them over as one batch for each hour. Answers the last response. */
  const sendEvents = async (token: string, events: readonly { type: string; at: string }[], log = '0a1b2c3d4e5f') => {
    const key = `${token} ${log}`
    let answer: Awaited<ReturnType<typeof sendBatch>> | undefined
    for (const batch of Map.groupBy(events, ({ at }) => at.slice(0, 13)).values()) {
      const after = positions.get(key) ?? 0
      const lines = batch.map(({ at, type, ...fields }, i) => JSON.stringify({ n: after + 1 + i, at, type, ...fields }))
      answer = await sendBatch(token, {
        log,
        after,
        first: after + 1,
        last: after + batch.length,
        text: `${lines.join('\n')}\n`,
      })
      if (answer.status === 200) positions.set(key, after + batch.length)
    }
    return answer as NonNullable<typeof answer>
  }
  return {
    app,
    parts,
    send,
    sendEvents,
    sendBatch,
    signIn,
    tokens,
    clock,
    notifications,
    directory,
    settled: () => Promise.allSettled(work),
  }
}

/** Writes by the owner, and the revision they lead to. `api` must exist before the first one. */
export function writesOf(api: () => Fixture) {
  const write = (method: 'POST' | 'PATCH') => (path: string, body?: unknown, headers?: Record<string, string>) =>
    api().send(method, path, { ...(body === undefined ? {} : { body }), ...(headers ? { headers } : {}) })
  return {
    head: async () => (await api().send('GET', '/v1/settings')).json.revision as number,
    post: write('POST'),
    patch: write('PATCH'),
  }
}

/** `body`: bytes are sent as zstd, text as it is, anything else as JSON. */
export type SendOptions = {
  token?: string
  query?: Record<string, string | number>
  body?: unknown
  headers?: Record<string, string>
}

function contentTypeOf(body: unknown): Record<string, string> {
  if (body === undefined) return {}
  return { 'content-type': body instanceof Uint8Array ? 'application/zstd' : 'application/json' }
}

function contentOf(body: unknown): string | Uint8Array<ArrayBuffer> {
  if (body instanceof Uint8Array) return body as Uint8Array<ArrayBuffer>
  return typeof body === 'string' ? body : JSON.stringify(body)
}

type Operation = { responses: Record<string, { content?: Record<string, unknown> }> }
export type Document = { paths: Record<string, Record<string, Operation>> }
export type Answer = { method: string; path: string; status: number; type: string | null }

/** Returns how an answer differs from the OpenAPI document. Ignores paths and methods that are not in it. */
export function undeclared({ paths }: Document, { method, path, status, type }: Answer): string | undefined {
  const bare = path.split('?')[0] ?? ''
  const named = Object.keys(paths).filter((one) => new RegExp(`^${one.replace(/\{\w+\}/g, '[^/]+')}$`).test(bare))
  // A literal path wins over one with parameters, as in the router.
  const [best] = named.sort((a, b) => a.split('{').length - b.split('{').length)
  const operation = paths[best ?? '']?.[method.toLowerCase()]
  if (!operation) return undefined
  const answer = operation.responses[status]
  if (!answer) return `${method} ${bare} answered ${status}, which /openapi.json does not name`
  const media = type?.split(';')[0]
  if (media && answer.content && !Object.hasOwn(answer.content, media))
    return `${method} ${bare} answered ${status} as ${media}; /openapi.json names ${Object.keys(answer.content).join(', ')}`
  return undefined
}
