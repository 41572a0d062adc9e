import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { consolePages } from '@postern/contract/console-pages.ts'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { showLogsOnFailure } from '../peers/failure.ts'
import { type Postern, startPostern } from './postern.ts'

/** Which paths the console serves, and how, for a client that sends paths unchanged. */
let postern: Postern
showLogsOnFailure(() => [postern])
beforeAll(async () => {
  postern = await startPostern({ env: { POSTERN_WORKERS: 'none' }, readyWithinMs: 110_000 })
})
afterAll(() => postern.stop())

type Asked = {
  method?: string
  headers?: Record<string, string>
}
async function ask(path: string, { method = 'GET', headers = {} }: Asked = {}) {
  const { hostname, port } = new URL(postern.url)
  const asked = request({ hostname, port, path, method, headers })
  asked.end()
  const [answer] = (await once(asked, 'response')) as [IncomingMessage]
  const body = Buffer.concat(await answer.toArray())
  return { status: answer.statusCode, headers: answer.headers, body, type: answer.headers['content-type'] ?? '' }
}

const browser = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' }

const notPages = [
  ...[
    '/healthz/',
    '/readyz/',
    '/metrics/',
    '/openapi.json/',
    '/docs/',
    '/docs/x',
    '/healthz/x',
    '/HEALTHZ',
    '/Metrics',
  ],
  ...[
    '/v1',
    '/v1/',
    '/V1/settings',
    '/V1/',
    '/v1/nothing',
    '/v1/settings/',
    '/v1//settings',
    '//v1/settings',
    '/v2/settings',
  ],
  ...['/v1%2fsettings', '/v1%2Fsettings', '/%2fv1/settings', '/queue%2fx', '/x/..%2fhealthz', '/%'],
  ...['/.well-known/', '/.well-known/nothing', '/.env', '/.git/config'],
  ...[
    '//',
    '//queue',
    '/queue//x',
    '/assets/',
    '/assets/nothing.js',
    '/assets',
    '/index.html.br',
    '/wp-login.php',
    '/api/v1/me',
  ],
]

describe('a path that is not the console’s', () => {
  it.each(notPages)('%s is a 404 that says so', async (path) => {
    for (const headers of [{}, browser])
      for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'DELETE']) {
        const { status, type, body } = await ask(path, { method, headers })
        expect([method, status, type]).toEqual([method, 404, 'application/problem+json'])
        if (method === 'GET') expect(JSON.parse(body.toString()).status).toBe(404)
      }
  })

  it('shows a person the console’s own “no such page”, with status 404', async () => {
    const person = await ask('/setings/general', { headers: browser })
    expect([person.status, person.type]).toEqual([404, 'text/html; charset=utf-8'])
    const program = await ask('/setings/general')
    expect([program.status, program.type]).toEqual([404, 'application/problem+json'])
  })

  it.each([
    ['POST', '/healthz', 'GET, HEAD'],
    ['PUT', '/openapi.json', 'GET, HEAD'],
    ['DELETE', '/docs', 'GET, HEAD'],
    ['POST', '/queue', 'GET, HEAD'],
    ['PUT', '/', 'GET, HEAD'],
    ['PUT', '/v1/settings/general', 'GET, HEAD, PATCH'],
  ])('%s %s is a 405 with Allow', async (method, path, allow) => {
    const { status, headers, type } = await ask(path, { method, headers: browser })
    expect([status, headers.allow, type]).toEqual([405, allow, 'application/problem+json'])
  })
})

describe('the console', () => {
  it.each(['/', '/index.html', ...consolePages.map((page) => `/${page}`), '/settings/general', '/lists/kill/'])(
    '%s is its page',
    async (path) => {
      const { status, type, headers } = await ask(path)
      expect([status, type, headers['cache-control']]).toEqual([200, 'text/html; charset=utf-8', 'no-cache'])
    },
  )

  it('is compressed, requested once, and then cached', async () => {
    const page = (await ask('/')).body.toString()
    const script = /src="(\/assets\/[^"]+\.js)"/.exec(page)?.[1] ?? ''
    const plain = await ask(script)
    expect(plain.headers).toMatchObject({
      'cache-control': 'public, max-age=31536000, immutable',
      vary: 'accept-encoding',
      'content-length': String(plain.body.length),
    })
    const open = { br: brotliDecompressSync, gzip: gunzipSync, none: (bytes: Buffer) => bytes }
    for (const [accepted, coding] of [
      ['gzip, deflate, br, zstd', 'br'],
      ['gzip', 'gzip'],
      ['br;q=0, gzip;q=0.5', 'gzip'],
      ['br;q=0.1, gzip', 'gzip'],
      ['*', 'br'],
      ['identity', 'none'],
      ['br;q=0, gzip;q=0', 'none'],
    ] as const) {
      const one = await ask(script, { headers: { 'accept-encoding': accepted } })
      expect([accepted, one.headers['content-encoding'] ?? 'none']).toEqual([accepted, coding])
      expect(open[coding](one.body).equals(plain.body)).toBe(true)
      if (coding !== 'none') expect(one.body.length).toBeLessThan(plain.body.length / 2)
      const again = await ask(script, {
        headers: { 'accept-encoding': accepted, 'if-none-match': one.headers.etag ?? '' },
      })
      expect([again.status, again.body.length]).toEqual([304, 0])
      const name = 'content-security-policy'
      expect(again.headers[name]).toBe(one.headers[name])
      const head = await ask(script, { method: 'HEAD', headers: { 'accept-encoding': accepted } })
      expect([head.headers['content-length'], head.body.length]).toEqual([String(one.body.length), 0])
    }
  })

  it('has a document that is compressed too', async () => {
    const plain = await ask('/openapi.json')
    const zipped = await ask('/openapi.json', { headers: { 'accept-encoding': 'gzip' } })
    expect(zipped.headers).toMatchObject({
      'content-encoding': 'gzip',
      vary: expect.stringMatching(/accept-encoding/i),
    })
    expect(gunzipSync(zipped.body).equals(plain.body)).toBe(true)
  })
})
