import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { serveHealth } from './health.ts'

test('answers on the port it is given, whatever the service does, and nothing else', async () => {
  let state = 'running'
  const server = await serveHealth({ env: { POSTERN_HEALTH_PORT: '0' }, observed: () => state })
  const { port, address } = server!.address() as AddressInfo
  const ask = (path: string, method = 'GET') => fetch(`http://127.0.0.1:${port}${path}`, { method })
  try {
    expect(address).toBe('127.0.0.1')
    expect(await (await ask('/healthz')).json()).toEqual({ observed: 'running' })
    state = 'stopped'
    const stopped = await ask('/healthz')
    expect([stopped.status, await stopped.json()]).toEqual([200, { observed: 'stopped' }])
    expect((await ask('/')).status).toBe(404)
    expect((await ask('/healthz', 'POST')).status).toBe(404)
  } finally {
    server!.close()
  }
})

test('without a port there is none', async () => {
  expect(await serveHealth({ env: {}, observed: () => 'running' })).toBeUndefined()
})

test.each(['x', '70000', '-1', '1.5'])('port %s is refused by name', async (port) => {
  await expect(serveHealth({ env: { POSTERN_HEALTH_PORT: port }, observed: () => '' })).rejects.toThrow(
    `POSTERN_HEALTH_PORT is "${port}"`,
  )
})
