import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type HranaServer, startHranaServer } from '@postern/store/test/hrana.ts'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { handler } from './lambda.ts'
import { dataKey, owner } from './test/fixture.ts'

/** The function on a libSQL server, with the events that API Gateway and EventBridge Scheduler send. */
let server: HranaServer
beforeAll(async () => {
  server = await startHranaServer(join(mkdtempSync(join(tmpdir(), 'postern-lambda-')), 'server.db'), 'database token')
  Object.assign(process.env, {
    POSTERN_DATABASE_URL: server.url,
    POSTERN_DATABASE_AUTH_TOKEN: 'database token',
    POSTERN_DATA_KEY: dataKey,
    POSTERN_ADMIN_EMAIL: owner.email,
    POSTERN_ADMIN_PASSWORD: owner.password,
    POSTERN_ENROL_TOKEN: 'a token of the environment',
    POSTERN_SMTP_ENROL_TOKEN: 'the long token of smtp',
    POSTERN_QUEUE_ENROL_TOKEN: 'the long token of queue',
    POSTERN_LOG_LEVEL: 'silent',
  })
})
afterAll(() => server.close())

type Answer = { statusCode: number; headers: Record<string, string>; body: string; isBase64Encoded: boolean }
type Asked = { body?: string; base64?: boolean; token?: string; query?: string; headers?: Record<string, string> }

async function ask(
  method: string,
  path: string,
  { body, base64 = false, token, query = '', headers = {} }: Asked = {},
) {
  const event = {
    version: '2.0',
    routeKey: 'ANY /v1/{proxy+}',
    rawPath: path,
    rawQueryString: query,
    headers: {
      accept: '*/*',
      'content-type': 'application/json',
      host: 'abc.execute-api.eu-central-1.amazonaws.com',
      'x-forwarded-for': '198.51.100.7',
      'x-forwarded-proto': 'https',
      ...(token ? { authorization: `Bearer ${token}` } : {}),
      ...headers,
    },
    ...(query ? { queryStringParameters: Object.fromEntries(new URLSearchParams(query)) } : {}),
    requestContext: {
      accountId: '123456789012',
      apiId: 'abc',
      domainName: 'abc.execute-api.eu-central-1.amazonaws.com',
      domainPrefix: 'abc',
      http: { method, path, protocol: 'HTTP/1.1', sourceIp: '198.51.100.7', userAgent: 'test' },
      requestId: 'id',
      routeKey: 'ANY /v1/{proxy+}',
      stage: '$default',
      time: '22/Nov/2026:19:00:00 +0000',
      timeEpoch: Date.now(),
    },
    ...(body === undefined ? {} : { body: base64 ? Buffer.from(body).toString('base64') : body }),
    isBase64Encoded: base64,
  }
  const answer = (await handler(event, { awsRequestId: 'id' })) as Answer
  const text = answer.isBase64Encoded ? Buffer.from(answer.body, 'base64').toString('utf8') : answer.body
  const isJson = /[/+]json/.test(answer.headers['content-type'] ?? '') && text
  return { status: answer.statusCode, headers: answer.headers, text, json: isJson ? JSON.parse(text) : undefined }
}

let token = ''

it('signs in with a plain and with a base64 body', async () => {
  const plain = await ask('POST', '/v1/auth/token', { body: JSON.stringify(owner) })
  expect([plain.status, plain.json.expiresIn]).toEqual([200, 900])
  const encoded = await ask('POST', '/v1/auth/token', { body: JSON.stringify(owner), base64: true })
  token = encoded.json.accessToken
  expect((await ask('GET', '/v1/me', { token })).json).toMatchObject({ email: owner.email, role: 'owner' })
  const audit = (await ask('GET', '/v1/audit', { token, query: 'q=login' })).json.items
  expect(audit[0]).toMatchObject({ action: 'login', entity: '198.51.100.7' })
})

it('writes with all conventions', async () => {
  const body = JSON.stringify({ maxMessageBytes: 5000 })
  const done = await ask('PATCH', '/v1/settings/general', { token, body, query: 'comment=from%20afar' })
  expect([done.status, done.headers.etag]).toEqual([200, `"${done.json.revision}"`])
  const stale = await ask('PATCH', '/v1/settings/general', { token, body, headers: { 'if-match': '"1"' } })
  expect([stale.status, stale.headers['content-type']]).toEqual([412, 'application/problem+json'])
})

it('answers with problems, refuses a value given twice, and does not turn client errors into 500', async () => {
  expect((await ask('GET', '/v1/settings')).status).toBe(401)
  expect((await ask('POST', '/v1/domains', { token, body: '{' })).status).toBe(400)
  expect((await ask('POST', '/v1/domains', { token, body: '{}' })).json).toMatchObject({
    status: 422,
    errors: [{ path: 'name' }],
  })
  expect((await ask('GET', '/v1/queue', { token, query: 'state=held&state=active' })).json.errors[0].path).toBe('state')
  expect((await ask('GET', '/v1/nothing', { token })).status).toBe(404)
})

it('enrols workers of both services with the token from the environment', async () => {
  for (const service of ['smtp', 'queue']) {
    const body = JSON.stringify({
      token: 'a token of the environment',
      service,
      name: `${service}-a`,
      version: '0.1.0',
    })
    const enrolled = await ask('POST', '/v1/worker/enrol', { body })
    expect(enrolled.status).toBe(200)
    const snapshot = await ask('GET', '/v1/worker/snapshot', { token: enrolled.json.accessToken })
    expect(snapshot.text.trim().split('\n').at(-1)).toBe('{"end":true}')
  }
})

it('does not enrol a worker with the token of the other service', async () => {
  for (const [of, service, name, status] of [
    ['smtp', 'smtp', 'smtp-1', 200],
    ['queue', 'queue', 'queue-1', 200],
    ['smtp', 'queue', 'queue-1', 401],
    ['queue', 'smtp', 'smtp-1', 401],
    ['smtp', 'smtp', 'queue-1', 401],
  ] as const) {
    const body = JSON.stringify({ token: `the long token of ${of}`, service, name, version: '0.1.0' })
    expect([of, service, name, (await ask('POST', '/v1/worker/enrol', { body })).status]).toEqual([
      of,
      service,
      name,
      status,
    ])
  }
})

it('runs the scheduled tasks', async () => {
  expect(await handler({ schedule: 'sweep' })).toEqual({
    resent: 0,
    liveWorkers: 0,
    lagSeconds: 0,
    oldestWaitingSeconds: 0,
  })
  for (const schedule of ['merge', 'compaction', 'retention']) expect(await handler({ schedule })).toBeUndefined()
})
