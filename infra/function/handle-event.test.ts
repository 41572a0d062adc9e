import { describe, expect, test } from 'vitest'
import { withClientAddress } from './client-address.ts'
import { handleEvent } from './handle-event.ts'
import { loadSecrets } from './secrets.ts'

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
  const ip = (event: ReturnType<typeof request>) => event.requestContext.http.sourceIp

  test('is who the CDN says, if the request has the CDN’s token', () => {
    expect(ip(withClientAddress(request(fromEdge), 'right'))).toBe('203.0.113.9')
  })
  test.each([
    ['a wrong token', { ...fromEdge, 'x-postern-edge': 'wrong' }, 'right'],
    ['no token', { 'x-postern-visitor': '203.0.113.9' }, 'right'],
    ['a token but no address', { 'x-postern-edge': 'right' }, 'right'],
    ['no token configured', fromEdge, undefined],
  ])('is the caller itself with %s', (_, headers, token) => {
    expect(ip(withClientAddress(request(headers), token))).toBe('192.0.2.1')
  })
  test('leaves neither header for the API, and does not change the event', () => {
    const event = request(fromEdge)
    for (const token of ['right', 'wrong'])
      expect(withClientAddress(event, token).headers).toEqual({ host: 'api.example.org' })
    expect(event).toEqual(request(fromEdge))
  })
})

describe('an event', () => {
  const report = { resent: 0, liveWorkers: 2, lagSeconds: 1.5, oldestWaitingSeconds: 0 }
  const run = async (event: unknown, result: unknown) => {
    const seen: unknown[] = []
    const lines: string[] = []
    const api = async (given: unknown) => {
      seen.push(given)
      return result
    }
    const answered = await handleEvent(event, {}, { api, edgeToken: 'right', print: (line) => lines.push(line) })
    return { seen, lines, answered }
  }

  test('over HTTP goes to the API, whose answer is returned', async () => {
    const { seen, lines, answered } = await run(request(), { statusCode: 200 })
    expect(seen).toEqual([request()])
    expect(answered).toEqual({ statusCode: 200 })
    expect(lines).toEqual([])
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
  const read = async (arn: string) => `value of ${arn}`

  test('are put into the environment under their names', async () => {
    const environment: NodeJS.ProcessEnv = {
      POSTERN_SECRETS: '{"POSTERN_DATA_KEY":"arn:1","POSTERN_EDGE_TOKEN":"arn:2"}',
    }
    await loadSecrets(environment, read)
    expect(environment).toMatchObject({ POSTERN_DATA_KEY: 'value of arn:1', POSTERN_EDGE_TOKEN: 'value of arn:2' })
  })
  test.each([undefined, 'null', '[', '{"PATH":"arn:1"}', '{"POSTERN_DATA_KEY":7}'])('%s is refused', async (text) => {
    const environment = text === undefined ? {} : { POSTERN_SECRETS: text }
    await expect(loadSecrets(environment, read)).rejects.toThrow()
  })
  test('that cannot be read stop the function', async () => {
    const refuse = () => Promise.reject(new Error('AccessDenied'))
    await expect(loadSecrets({ POSTERN_SECRETS: '{"POSTERN_DATA_KEY":"arn:1"}' }, refuse)).rejects.toThrow(
      'AccessDenied',
    )
  })
})
