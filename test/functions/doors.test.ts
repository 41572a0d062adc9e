import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { credentials } from '../system/postern.ts'
import { bundleForTests, type Cloud, enrolTokens, startCloud } from './cloud.ts'

/** Who is let in where: people through the CDN, workers at the gateway. */
const maxInstances = 3
const bundle = bundleForTests()
let cloud: Cloud
beforeAll(async () => {
  cloud = await startCloud(bundle.directory, { maxInstances })
})
afterAll(() => cloud.stop())
afterEach(({ task }) => {
  if (task.result?.state === 'fail') console.error(cloud.gateway.broken, cloud.gateway.logs().slice(-5_000))
})

type Asked = { method?: string; headers?: Record<string, string>; body?: object; from?: string }

/** Sends the path unchanged. `from`: the address of the client. */
async function ask(url: string, path: string, { method = 'GET', headers = {}, body, from = '127.0.0.1' }: Asked = {}) {
  const { hostname, port } = new URL(url)
  const sent = body === undefined ? {} : { 'content-type': 'application/json' }
  const asked = request({ hostname, port, path, method, headers: { ...headers, ...sent }, localAddress: from })
  asked.end(body && JSON.stringify(body))
  const [answer] = (await once(asked, 'response')) as [IncomingMessage]
  const text = Buffer.concat(await answer.toArray()).toString()
  return { status: answer.statusCode, type: answer.headers['content-type'] ?? '', text, headers: answer.headers }
}

const browser = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' }
const problem = 'application/problem+json'

describe('at the CDN', () => {
  test.each([
    ...['/readyz', '/metrics', '/readyz/', '/healthz/', '/metrics/', '/healthz/x', '/HEALTHZ', '/livez'],
    ...['/healthz.html', '/metrics.json', '/readyz.json', '/v1.json', '/wp-login.php', '/v1', '/V1/me', '/v1.2/page'],
    ...['/v1/', '/v1/nothing', '/v1/me/nothing', '/v1//me', '//v1/me', '/v2/me', '/docs/x', '/docs/', '/docs.json'],
    ...['/.well-known/nothing', '/.well-known', '/.env', '/openapi.json/', '/openapi.yaml', '/index.html.br'],
  ])('%s is a 404 that says so, and no page', async (path) => {
    for (const headers of [{}, browser]) {
      const { status, type, text } = await ask(cloud.cdn.url, path, { headers })
      expect([path, status, type]).toEqual([path, 404, problem])
      expect(JSON.parse(text).status).toBe(404)
    }
  })

  test('what only answers GET says so', async () => {
    for (const path of ['/healthz', '/openapi.json', '/docs']) {
      const { status, type, headers } = await ask(cloud.cdn.url, path, { method: 'DELETE' })
      expect([path, status, type, headers.allow]).toEqual([path, 405, problem, 'GET, HEAD'])
      expect((await ask(cloud.cdn.url, path, { method: 'HEAD' })).status).toBe(200)
    }
  })

  test('the console, the API and its health are there', async () => {
    for (const [path, start] of [
      ['/', 'text/html'],
      ['/settings/general', 'text/html'],
      ['/healthz', 'application/json'],
      ['/openapi.json', 'application/json'],
    ] as const) {
      const { status, type } = await ask(cloud.cdn.url, path)
      expect([path, status, type.split(';')[0]]).toEqual([path, 200, start])
    }
  })
})

describe('the gateway’s own address', () => {
  test.each([
    '/v1/me',
    '/v1/auth/token',
    '/v1/nothing',
    '/openapi.json',
    '/docs',
    '/v1/worker/../users',
    '/v1/worker/%2e%2e/users',
    '/v1/worker/..\\users',
    '/.well-known/../v1/me',
  ])('refuses %s, which is for people', async (path) => {
    for (const headers of [undefined, { 'x-postern-edge': 'a guess', 'x-postern-visitor': '192.0.2.7' }]) {
      const { status, type, text } = await ask(cloud.gateway.url, path, { headers })
      expect([status, type]).toEqual([403, problem])
      expect(text).toContain('address of the console')
    }
  })

  test('enrols workers, and answers about keys and health', async () => {
    const { status } = await ask(cloud.gateway.url, '/v1/worker/enrol', { method: 'POST', body: enrolment })
    expect(status).toBe(200)
    for (const path of ['/healthz', '/.well-known/jwks.json'])
      expect((await ask(cloud.gateway.url, path)).status).toBe(200)
    for (const path of ['/readyz', '/metrics', '/V1/me', '/'])
      expect(await ask(cloud.gateway.url, path)).toMatchObject({ status: 404, type: 'application/json' })
  })
})

const enrolment = { token: enrolTokens.smtp, service: 'smtp', name: 'smtp-9', version: '1' }

test('a worker’s token is no person’s, and a person’s no worker’s', async () => {
  const enrolled = await ask(cloud.gateway.url, '/v1/worker/enrol', { method: 'POST', body: enrolment })
  const worker = { authorization: `Bearer ${JSON.parse(enrolled.text).accessToken}` }
  const person = { authorization: `Bearer ${await cloud.api.token()}` }
  const statusOf = async (url: string, path: string, headers: Record<string, string>) =>
    (await ask(url, path, { headers })).status
  expect(await statusOf(cloud.gateway.url, '/v1/worker/requests', worker)).toBe(200)
  expect(await statusOf(cloud.gateway.url, '/v1/worker/requests', person)).toBe(403)
  expect(await statusOf(cloud.cdn.url, '/v1/users', person)).toBe(200)
  expect(await statusOf(cloud.cdn.url, '/v1/users', worker)).toBe(403)
})

test('passwords are counted before they are checked, in all instances together and for each visitor', async () => {
  const guess = (n: number) =>
    ask(cloud.cdn.url, '/v1/auth/token', {
      method: 'POST',
      body: { email: credentials.email, password: `guess ${n}` },
      from: '127.0.0.9',
    })
  const lanes = Array.from({ length: maxInstances }, async () => {
    const statuses: (number | undefined)[] = []
    for (let n = 0; n < 6; n += 1) statuses.push((await guess(n)).status)
    return statuses
  })
  const statuses = (await Promise.all(lanes)).flat()
  expect(statuses.toSorted()).toEqual([...Array(10).fill(401), ...Array(8).fill(429)])
  const right = { method: 'POST', body: credentials }
  expect((await ask(cloud.cdn.url, '/v1/auth/token', { ...right, from: '127.0.0.9' })).status).toBe(429)
  expect((await ask(cloud.cdn.url, '/v1/auth/token', { ...right, from: '127.0.0.10' })).status).toBe(200)
})

test('who signs in too often takes nothing from workers and from people', async () => {
  const person = { authorization: `Bearer ${await cloud.api.token()}` }
  const flood = Array.from({ length: 100 }, () => ask(cloud.cdn.url, '/v1/auth/nothing'))
  const statuses = (await Promise.all(flood)).map(({ status }) => status)
  expect(statuses).toContain(429)
  expect((await ask(cloud.cdn.url, '/v1/me', { headers: person })).status).toBe(200)
  const enrolled = await ask(cloud.gateway.url, '/v1/worker/enrol', { method: 'POST', body: enrolment })
  expect(enrolled.status).toBe(200)
})
