import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { zstdCompressSync } from 'node:zlib'

/**
 * A process for bundled-api.test.ts: starts the bundled function in the current directory, stores two events, searches
 * for them and compacts them. Prints what it found as JSON.
 */

type Answer = { statusCode: number; body: string; isBase64Encoded: boolean }
type Handler = (event: unknown, context?: unknown) => Promise<Answer>
type Asked = { body?: object; token?: string; query?: string }

const begin = performance.now()
const { handler }: { handler: Handler } = await import(join(process.cwd(), 'index.mjs'))
const context = { getRemainingTimeInMillis: () => 60_000 }

async function ask<T>(method: string, path: string, { body, token, query = '' }: Asked = {}): Promise<T> {
  const isBatch = body instanceof Uint8Array
  const event = {
    version: '2.0',
    routeKey: 'ANY /v1/{proxy+}',
    rawPath: path,
    rawQueryString: query,
    headers: {
      host: 'api.example.org',
      'content-type': isBatch ? 'application/zstd' : 'application/json',
      ...(token ? { authorization: `Bearer ${token}` } : {}),
    },
    requestContext: {
      http: { method, path, protocol: 'HTTP/1.1', sourceIp: '198.51.100.7', userAgent: 'test' },
      stage: '$default',
    },
    ...(body === undefined ? {} : { body: isBatch ? Buffer.from(body).toString('base64') : JSON.stringify(body) }),
    isBase64Encoded: isBatch,
  }
  const answer = await handler(event, context)
  const text = answer.isBase64Encoded ? Buffer.from(answer.body, 'base64').toString() : answer.body
  if (answer.statusCode !== 200) throw new Error(`${method} ${path}: ${answer.statusCode} ${text}`)
  return JSON.parse(text) as T
}

type Token = { accessToken: string }
const isLoaded = () => readFileSync('/proc/self/maps', 'utf8').includes('libduckdb')

const owner = { email: process.env.POSTERN_ADMIN_EMAIL, password: process.env.POSTERN_ADMIN_PASSWORD }
const { accessToken: person } = await ask<Token>('POST', '/v1/auth/token', { body: owner })
const firstAnswerMs = performance.now() - begin

const enrolment = { token: process.env.POSTERN_QUEUE_ENROL_TOKEN, service: 'queue', name: 'queue-1', version: '1' }
const { accessToken: worker } = await ask<Token>('POST', '/v1/worker/enrol', { body: enrolment })
const hour = new Date(Math.floor(Date.now() / 3_600_000 - 3) * 3_600_000).toISOString()
const lines = [1, 2].map((n) =>
  JSON.stringify({ n, at: hour, type: 'message.released', messageId: 'x', by: `op ${n}` }),
)
const { acknowledged } = await ask<{ acknowledged: number }>('POST', '/v1/worker/events', {
  token: worker,
  query: 'log=0123456789ab&after=0&first=1&last=2',
  body: zstdCompressSync(`${lines.join('\n')}\n`),
})
for (const schedule of ['sweep', 'merge']) await handler({ schedule }, context)
const loadedBefore = isLoaded()

const search = async () => {
  const asked = { token: person, query: 'type=message.released' }
  return (await ask<{ items: { n: number }[] }>('GET', '/v1/events', asked)).items.map(({ n }) => n)
}
const searchBegin = performance.now()
const found = await search()
const firstSearchMs = performance.now() - searchBegin
const loadedAfter = isLoaded()
await handler({ schedule: 'compaction' }, context)
const foundCompacted = await search()
const maxMegabytes = process.resourceUsage().maxRSS / 1000

console.log(
  JSON.stringify({
    result: { acknowledged, loadedBefore, found, loadedAfter, foundCompacted, hour },
    figures: { firstAnswerMs, firstSearchMs, maxMegabytes },
  }),
)
process.exit(0)
