import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import { expect, it } from 'vitest'
import { clientAddressBehind } from './client-address.ts'

async function asked(proxies: string[], forwarded?: string): Promise<string> {
  const app = new Hono().get('/', (context) => context.text(String(clientAddressBehind(proxies)(context))))
  const server = serve({ fetch: app.fetch, hostname: '127.0.0.1', port: 0 })
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as { port: number }
  const headers = forwarded === undefined ? {} : { 'x-forwarded-for': forwarded }
  try {
    return await (await fetch(`http://127.0.0.1:${port}/`, { headers })).text()
  } finally {
    server.close()
  }
}

it.each<[string, string[], string | undefined, string]>([
  ['nobody is a proxy: the header is a lie', [], '192.0.2.7', '127.0.0.1'],
  ['a proxy of ours names the client', ['127.0.0.0/8'], '192.0.2.7', '192.0.2.7'],
  ['what stands before it was written by a stranger', ['127.0.0.1'], '198.51.100.1, 192.0.2.7', '192.0.2.7'],
  ['through two proxies of ours', ['127.0.0.1', '10.0.0.0/8'], '192.0.2.7, 10.1.2.3', '192.0.2.7'],
  ['IPv6', ['127.0.0.1'], '2001:DB8::7', '2001:db8::7'],
  ['no address', ['127.0.0.1'], 'unknown', '127.0.0.1'],
  ['no header', ['127.0.0.1'], undefined, '127.0.0.1'],
])('%s', async (_name, proxies, forwarded, expected) => {
  expect(await asked(proxies, forwarded)).toBe(expected)
})
