import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterEach, expect, test, vi } from 'vitest'
import { ControlPlane } from './control-plane.ts'

let server: Server | undefined
afterEach(() => void server?.close())

/** An API that answers `changes` with these lines. */
async function answering(lines: object[]): Promise<ControlPlane> {
  server = createServer((request, response) => {
    const enrolled = { workerId: 'smtp-1', accessToken: 'x', expiresIn: 3600 }
    const text = request.url?.startsWith('/v1/worker/changes')
      ? lines.map((line) => `${JSON.stringify(line)}\n`).join('')
      : JSON.stringify(enrolled)
    response.end(text)
  })
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return new ControlPlane(url, { token: 'a token of the test', service: 'smtp', name: 'smtp-1', version: '0' })
}

const serviceRow = (revision: number, desired: string) => ({
  revision,
  kind: 'service',
  id: 'smtp',
  value: { desired, generation: revision },
})
const end = { end: true }

test('a row that does not parse refuses the changes', async () => {
  const api = await answering([{ revision: 4, id: 'd' }, serviceRow(3, 'running'), serviceRow(4, 'asleep'), end])
  await expect(api.changes({ revision: 2, id: 'b' })).rejects.toThrow(/service smtp: desired/)
})

test('a later row of the same name heals one that does not parse; one of another name does not', async () => {
  const healed = await answering([{ revision: 4, id: 'd' }, serviceRow(3, 'asleep'), serviceRow(4, 'stopped'), end])
  expect(await healed.changes({ revision: 2, id: 'b' })).toEqual({
    revision: 4,
    id: 'd',
    changes: [serviceRow(4, 'stopped')],
  })
  server?.close()
  const other = await answering([
    { revision: 4, id: 'd' },
    serviceRow(3, 'asleep'),
    { ...serviceRow(4, 'stopped'), id: 'queue' },
    end,
  ])
  await expect(other.changes({ revision: 2, id: 'b' })).rejects.toThrow(/service smtp: desired/)
})

test('an answer without its end line is not used', async () => {
  const api = await answering([{ revision: 4, id: 'd' }, serviceRow(4, 'stopped')])
  await expect(api.changes({ revision: 2, id: 'b' })).rejects.toThrow(/incomplete/)
})

test('an answer that breaks off is the network at fault, not the settings', async () => {
  server = createServer((request, response) => {
    const enrolled = { workerId: 'smtp-1', accessToken: 'x', expiresIn: 3600 }
    if (!request.url?.startsWith('/v1/worker/snapshot')) return response.end(JSON.stringify(enrolled))
    response.write('{"revision":4,"id":"d"}\n')
    return setTimeout(() => response.destroy(), 50)
  })
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const api = new ControlPlane(url, { token: 'a token of the test', service: 'smtp', name: 'smtp-1', version: '0' })
  await expect(api.snapshot()).rejects.toMatchObject({ name: 'ControlPlaneError', status: 0 })
})

test('an answer may take as long as it likes while something comes, and is given up 15 s after the last byte', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const timers = vi.spyOn(globalThis, 'setTimeout')
  const renewed = () => timers.mock.calls.filter(([, ms]) => ms === 15_000).length
  // Without a timer: `expect.poll` would let time go by on the test's clock.
  const isRenewed = async (times: number) => {
    while (renewed() < times) await nextTurn()
  }
  let answer: ServerResponse | undefined
  server = createServer((request, response) => {
    const enrolled = { workerId: 'smtp-1', accessToken: 'x', expiresIn: 3600 }
    if (!request.url?.startsWith('/v1/worker/snapshot')) return response.end(JSON.stringify(enrolled))
    answer = response
    return response.write('{"revision":4,"id":"d"}\n')
  })
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const api = new ControlPlane(url, { token: 'a token of the test', service: 'smtp', name: 'smtp-1', version: '0' })
  try {
    // Begun by the request to enrol, by this one, and by its first bytes.
    const whole = api.snapshot()
    await isRenewed(3)
    vi.advanceTimersByTime(14_999)
    answer?.write('\n')
    await isRenewed(4)
    vi.advanceTimersByTime(14_999)
    answer?.end('{"end":true}\n')
    expect(await whole).toEqual({ revision: 4, id: 'd', rows: [] })

    const before = renewed()
    const silent = expect(api.snapshot()).rejects.toThrow('no data for 15 s')
    await isRenewed(before + 2)
    vi.advanceTimersByTime(15_000)
    await silent
  } finally {
    // Before the timers: it would put the test's clock back.
    timers.mockRestore()
    vi.useRealTimers()
    vi.restoreAllMocks()
  }
})

test.each([
  ['an hour forward', 3_600_000],
  ['an hour back', -3_600_000],
  ['a year forward', 365 * 86_400_000],
  ['a year back', -365 * 86_400_000],
])('the clock is set %s: a token that is refused with 401 is renewed, and not before', async (_, by) => {
  let enrolled = 0
  const valid = new Set<string>()
  server = createServer((request, response) => {
    if (request.url === '/v1/worker/enrol') {
      valid.add(`Bearer ${++enrolled}`)
      response.end(JSON.stringify({ workerId: 'smtp-1', accessToken: `${enrolled}`, expiresIn: 3600 }))
      return
    }
    if (!valid.has(request.headers.authorization ?? '')) response.statusCode = 401
    response.end('{"ids":[]}')
  })
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const api = new ControlPlane(url, { token: 'a token of the test', service: 'smtp', name: 'smtp-1', version: '0' })
  expect(await api.requests()).toEqual([])
  vi.useFakeTimers({ toFake: ['Date'] })
  try {
    vi.setSystemTime(Date.now() + by)
    expect(await api.requests()).toEqual([])
    expect(enrolled).toBe(1)
    valid.clear()
    expect(await Promise.all([api.requests(), api.requests(), api.requests()])).toEqual([[], [], []])
    expect(enrolled).toBe(2)
  } finally {
    vi.useRealTimers()
  }
})
