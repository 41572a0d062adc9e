import { describe, expect, test } from 'vitest'
import { isFromCdn, withClientAddress } from './client-address.ts'
import { handleEvent } from './handle-event.ts'
import { acceptedValues, Secrets } from './secrets.ts'

/** A request from API Gateway, payload 2.0, without the fields that are not read here. */
const request = (headers: Record<string, string> = {}) => ({
  version: '2.0',
  routeKey: 'ANY /v1/{proxy+}',
  rawPath: '/v1/me',
  headers: { host: 'api.example.org', ...headers },
  requestContext: { http: { method: 'GET', path: '/v1/me', sourceIp: '192.0.2.1' } },
})

describe('the visitor', () => {
  const fromEdge = { 'x-postern-edge': 'right', 'x-postern-visitor': '203.0.113.9' }
  const seen = (headers: Record<string, string>, tokens: string[]) =>
    withClientAddress(request(headers), isFromCdn(request(headers), tokens))
  const ip = (...asked: Parameters<typeof seen>) => seen(...asked).requestContext.http.sourceIp

  test('is who the CDN says, if the request has the CDN’s token', () => {
    expect(ip(fromEdge, ['right'])).toBe('203.0.113.9')
    expect(ip(fromEdge, ['newer', 'right'])).toBe('203.0.113.9')
  })
  test.each([
    ['a wrong token', { ...fromEdge, 'x-postern-edge': 'wrong' }, ['right', 'former']],
    ['no token', { 'x-postern-visitor': '203.0.113.9' }, ['right']],
    ['a token but no address', { 'x-postern-edge': 'right' }, ['right']],
    ['no token configured', fromEdge, []],
  ])('is the caller itself with %s', (_, headers, tokens) => {
    expect(ip(headers, tokens)).toBe('192.0.2.1')
  })
  test('leaves neither header for the API, and does not change the event', () => {
    const event = request(fromEdge)
    for (const fromCdn of [true, false])
      expect(withClientAddress(event, fromCdn).headers).toEqual({ host: 'api.example.org' })
    expect(event).toEqual(request(fromEdge))
  })
})

describe('an event', () => {
  const report = { resent: 0, liveWorkers: 2, lagSeconds: 1.5, oldestWaitingSeconds: 0 }
  const run = async (event: unknown, result: unknown, edgeTokens: string[] = []) => {
    const seen: unknown[] = []
    const lines: string[] = []
    const api = async (given: unknown) => {
      seen.push(given)
      return result
    }
    const print = (line: string) => lines.push(line)
    const reread = async () => edgeTokens.push('newer')
    const answered = await handleEvent(event, {}, { api, edgeTokens: () => edgeTokens, reread, print })
    return { seen, lines, answered }
  }

  test('over HTTP goes to the API, whose answer is returned', async () => {
    const { seen, lines, answered } = await run(request(), { statusCode: 200 })
    expect(seen).toEqual([request()])
    expect(answered).toEqual({ statusCode: 200 })
    expect(lines).toEqual([])
  })
  test('for people is refused without the CDN’s token, before the API sees it', async () => {
    for (const headers of [{}, { 'x-postern-edge': 'wrong' }] as Record<string, string>[]) {
      const { seen, answered } = await run(request(headers), { statusCode: 200 }, ['right'])
      expect([seen, answered]).toEqual([[], expect.objectContaining({ statusCode: 403 })])
    }
    const worker = { ...request(), rawPath: '/v1/worker/report' }
    expect((await run(worker, { statusCode: 200 }, ['right'])).answered).toEqual({ statusCode: 200 })
  })
  test('with an unknown token of the CDN is answered if the secrets, read again, have it', async () => {
    const rotated = request({ 'x-postern-edge': 'newer', 'x-postern-visitor': '203.0.113.9' })
    const { seen } = await run(rotated, { statusCode: 200 }, ['right'])
    expect(seen).toMatchObject([{ requestContext: { http: { sourceIp: '203.0.113.9' } } }])
  })
  test('for the sweep prints the numbers that the alarms read', async () => {
    const { seen, lines } = await run({ schedule: 'sweep' }, report)
    expect(seen).toEqual([{ schedule: 'sweep' }])
    expect(lines.map((line) => JSON.parse(line))).toEqual([{ sweep: report }])
  })
  test.each(['merge', 'compaction', 'retention'])('for the %s prints nothing', async (schedule) => {
    expect((await run({ schedule }, undefined)).lines).toEqual([])
  })
  test('for the sweep without a report is an error', async () => {
    await expect(run({ schedule: 'sweep' }, undefined)).rejects.toThrow()
  })
  test.each([[{ schedule: 'dance' }], [{}], [null], ['sweep'], [{ schedule: 'sweep', more: 1 }]])(
    '%j is refused',
    async (event) => {
      await expect(run(event, report)).rejects.toThrow('neither an HTTP request nor a scheduled task')
    },
  )
})

describe('secrets', () => {
  const arns = '{"POSTERN_DATA_KEY":"arn:1","POSTERN_EDGE_TOKEN":"arn:2"}'
  /** `stored`: what Secrets Manager has, `arn:1 AWSCURRENT` → value. */
  function open(stored: Record<string, string>) {
    const environment: NodeJS.ProcessEnv = { POSTERN_SECRETS: arns }
    const clock = { now: 1_000_000 }
    const asked: string[] = []
    const read = async (arn: string, stage: string) => {
      asked.push(`${arn} ${stage}`)
      if (stored.away) throw new Error('AccessDenied')
      return stored[`${arn} ${stage}`]
    }
    return { environment, clock, asked, secrets: new Secrets({ environment, read, now: () => clock.now }) }
  }
  const first = { 'arn:1 AWSCURRENT': 'key', 'arn:2 AWSCURRENT': 'a' }
  const edge = (environment: NodeJS.ProcessEnv) => acceptedValues(environment, 'POSTERN_EDGE_TOKEN')

  test('are put into the environment under their names', async () => {
    const { environment, secrets } = open(first)
    await secrets.load()
    expect(environment).toMatchObject({ POSTERN_DATA_KEY: 'key', POSTERN_EDGE_TOKEN: 'a' })
    expect(edge(environment)).toEqual(['a'])
  })
  test('that were rotated are read after five minutes, and both values are accepted', async () => {
    const stored: Record<string, string> = { ...first }
    const { environment, clock, asked, secrets } = open(stored)
    await secrets.load()
    Object.assign(stored, { 'arn:2 AWSCURRENT': 'b', 'arn:2 AWSPREVIOUS': 'a', 'arn:1 AWSCURRENT': 'another key' })
    clock.now += 299_000
    asked.length = 0
    await secrets.refresh()
    expect([asked, edge(environment)]).toEqual([[], ['a']])
    clock.now += 1_000
    await secrets.refresh()
    expect(edge(environment)).toEqual(['b', 'a'])
    // Only tokens are rotated.
    expect([environment.POSTERN_DATA_KEY, asked]).toEqual(['key', ['arn:2 AWSCURRENT', 'arn:2 AWSPREVIOUS']])
  })
  test('are read again at once when one was refused, but not often', async () => {
    const { environment, clock, asked, secrets } = open(first)
    await secrets.load()
    asked.length = 0
    await secrets.reread()
    expect(asked).toEqual([])
    clock.now += 10_000
    await Promise.all([secrets.reread(), secrets.reread()])
    expect([asked.length, edge(environment)]).toEqual([2, ['a']])
  })
  test('stay as they were while they cannot be read, and are tried again', async () => {
    const stored: Record<string, string> = { ...first }
    const { environment, clock, asked, secrets } = open(stored)
    await secrets.load()
    stored.away = 'yes'
    clock.now += 300_000
    asked.length = 0
    await secrets.refresh()
    await secrets.refresh()
    expect([edge(environment), asked.length]).toEqual([['a'], 2])
    Object.assign(stored, { away: '', 'arn:2 AWSCURRENT': 'b' })
    clock.now += 10_000
    await secrets.refresh()
    expect(edge(environment)).toEqual(['b'])
  })
  test.each([undefined, 'null', '[', '{"PATH":"arn:1"}', '{"POSTERN_DATA_KEY":7}'])('%s is refused', (text) => {
    const environment = text === undefined ? {} : { POSTERN_SECRETS: text }
    expect(() => new Secrets({ environment, read: async () => 'x', now: () => 0 })).toThrow()
  })
  test('that cannot be read stop the function', async () => {
    await expect(open({ away: 'yes' }).secrets.load()).rejects.toThrow('AccessDenied')
  })
})
