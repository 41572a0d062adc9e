import { TestServer } from '@postern/queue/test/server.ts'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Dns, startDns } from '../peers/dns.ts'
import { until } from '../peers/peer.ts'
import { homeDomain, livePostern } from './live.ts'

/** Domains whose MX accepts connections and says nothing: neither other mail nor a stop waits for them. */

const domains = Array.from({ length: 40 }, (_, i) => `silent${i}.test`)
let dns: Dns
let silent: TestServer
beforeAll(async () => {
  silent = await TestServer.start({ greeting: 'silence' }, '127.0.0.2')
  const far = Object.fromEntries(domains.map((name) => [name, { a: ['127.0.0.2'] }]))
  dns = await startDns({ names: far })
})
afterAll(async () => {
  await silent?.close()
  await dns?.stop()
})

const live = livePostern({
  postern: () => ({ dns: dns.server, outboundPort: silent.port }),
  prepare: async (live) => {
    await homeDomain(live)
    // The stop at the end of this file must end all of them within this time.
    await live.set('advanced', { drainTimeoutSeconds: 1 })
  },
})

async function send(to: string): Promise<string> {
  const client = await live.greeted()
  const content = `From: Ann <ann@home.test>\r\nSubject: x\r\n\r\nhello\r\n`
  const { raw, code } = await client.mail({ from: 'ann@home.test', to, content })
  expect(code, raw).toBe(250)
  await client.quit()
  return /[0-9a-f-]{36}/.exec(raw)?.[0] ?? raw
}

it('delivers local mail beside more silent hosts than there are concurrency slots', async () => {
  for (const domain of domains) await send(`jane@${domain}`)
  await until('silent hosts are being waited for', () => silent.sessions.length >= 30, { withinMs: 30_000 })
  const id = await send('ann@home.test')
  await live.arrived('ann@home.test', 1)
  const delivered = await live.event('delivery.delivered', ({ messageId }) => messageId === id)
  expect(delivered).toBeDefined()
  const { items } = await live.api.get<{ items: { type: string }[] }>('/v1/events?type=delivery.deferred')
  expect(items).toEqual([])
})

it('stops deliveries within the drain time, and leaves them for the next start', async () => {
  await send('jane@silent0.test')
  await until('it is being waited for', () => silent.sessions.length > 0)
  const pid = live.pid('queue')
  process.kill(pid, 'SIGTERM')
  await live.event('delivery.deferred', ({ cause }) => cause === 'stopped')
  await until('it ends with 0', () => /exited with 0/.test(live.postern.logs()))
})
