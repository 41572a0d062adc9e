import { randomBytes } from 'node:crypto'
import type { WireClient } from '@postern/smtp/test/wire-client.ts'
import { describe, expect, it } from 'vitest'
import { until } from '../peers/peer.ts'
import { homeDomain, livePostern } from './live.ts'

/** Hostile input on port 25. Each gets a clear reply and an event, and the worker and its other sessions continue. */

const live = livePostern({ prepare: homeDomain })

let serial = 0
/** A separate address for each client, so that its events can be found. */
const stranger = () => `127.0.1.${++serial}`

async function leftEvent(ip: string, type = 'session.error') {
  return live.event(type, ({ client }) => (client as { ip: string }).ip === ip)
}

/** Returns all replies until the server closes or stays silent for this long. */
async function allReplies(client: WireClient, silentMs = 300) {
  const replies: string[] = []
  let last = performance.now()
  while (client.pending > 0 || (client.open && performance.now() - last < silentMs)) {
    if (client.pending === 0) await new Promise((resolve) => setTimeout(resolve, 10))
    else {
      replies.push((await client.reply()).raw)
      last = performance.now()
    }
  }
  return replies
}

async function nextIsServed() {
  const client = await live.greeted()
  await client.mail({ from: 'x@far.test', to: 'ann@home.test', content: 'Subject: honest\r\n' })
  await client.quit()
  await live.held.say('NOOP').expect(250)
}

describe('one hostile client after another', () => {
  it.each<[string, string, RegExp, string?]>([
    ['an unknown command', 'XYZZY\r\n', /^500 5\.5\.[12] /],
    ['an empty line', '\r\n', /^500 5\.5\.2 /],
    ['blanks', '     \r\n', /^500 5\.5\.2 /],
    ['control characters', '\x01\x02\x03\r\n', /^500 5\.5\.2 /],
    ['a NUL within a command', 'NO\0OP\r\n', /^500 5\.5\.2 /],
    ['bytes that are not UTF-8', 'VRFY \xff\xfe\r\n', /^500 5\.5\.2 /],
    ['a bare LF', 'NOOP\n', /^500 5\.5\.2 /],
    ['a line of 13 000 bytes', `NOOP ${'a'.repeat(13_000)}\r\n`, /^500 5\.5\.6 /],
    ['a line of a million bytes', `${'a'.repeat(1_000_000)}\r\n`, /^500 5\.5\.6 /],
    ['a MAIL of 2 000 bytes', `MAIL FROM:<${'a'.repeat(2000)}@b.test>\r\n`, /^50[0-3] 5\./],
    ['terminal escapes in an address', 'MAIL FROM:<\x1b[2Ja@b.test>\r\n', /^50[0-3] 5\./, 'command.refused'],
  ])('%s: a clear answer, and the session goes on', async (_name, bytes, answer, type = 'session.error') => {
    const ip = stranger()
    const client = await live.greeted({ from: ip })
    const { raw } = await client.write(bytes).reply()
    expect(raw).toMatch(answer)
    expect(raw).toMatch(/^[\x20-\x7e]+$/)
    await client.say('NOOP').expect(250)
    const event = await leftEvent(ip, type)
    expect(JSON.stringify(event)).not.toMatch(/[\x00-\x08\x0b-\x1f]|\\u00/)
    await nextIsServed()
  })

  it.each(['GET / HTTP/1.1', 'POST /v1/x HTTP/1.0', 'CONNECT far.test:25 HTTP/1.1', 'PRI * HTTP/2.0'])(
    '%s: refused and closed, its body is not read as commands',
    async (line) => {
      const ip = stranger()
      const client = await live.connect({ from: ip })
      client.say(line, 'Host: mail', '', 'EHLO evil.test', 'MAIL FROM:<x@far.test>', 'RCPT TO:<ann@home.test>')
      await client.expect(220)
      const reply = await client.expect([421, 500, 502, 554])
      expect(reply.enhanced).toMatch(/^[45]\./)
      if (reply.code !== 421) await client.expect(421)
      expect(await client.closed()).toBe('closed')
      expect(client.pending).toBe(0)
      await leftEvent(ip)
      await nextIsServed()
    },
  )

  it.each([1, 2, 3])('binary noise (%i)', async () => {
    const ip = stranger()
    const client = await live.connect({ from: ip })
    client.write(randomBytes(100_000)).write('\r\n')
    const replies = await allReplies(client)
    expect(replies[0]).toMatch(/^220 /)
    for (const reply of replies.slice(1)) expect(reply).toMatch(/^[45]\d\d [45]\.\d\.\d /)
    expect(replies.length).toBeGreaterThan(1)
    await leftEvent(ip)
    await nextIsServed()
  })

  it('a TLS handshake on the plain port', async () => {
    const ip = stranger()
    const client = await live.connect({ from: ip, first: Buffer.from('1603010200010001fc0303', 'hex') })
    await client.expect(220)
    client.write(randomBytes(500)).write('\r\n')
    const replies = await allReplies(client)
    for (const reply of replies) expect(reply).toMatch(/^[45]\d\d /)
    await nextIsServed()
  })

  it('ten thousand pieces of pipelined garbage: a bounded number of replies, 421 and the end', async () => {
    const ip = stranger()
    const client = await live.greeted({ from: ip })
    client.write('NONSENSE\r\n'.repeat(10_000))
    const replies = await allReplies(client)
    expect(replies.length).toBeLessThan(200)
    expect(replies.at(-1)).toMatch(/^421 4\.7\.0 /)
    expect(client.open).toBe(false)
    await leftEvent(ip)
    await nextIsServed()
  })

  it('a client that sends commands and reads no replies does not fill the memory', async () => {
    const client = await live.greeted({ from: stranger() })
    for (let i = 0; i < 50; i++) client.write('NOOP\r\n'.repeat(2000))
    await nextIsServed()
    client.reset()
    await nextIsServed()
  })
})

describe('connections that end in the middle', () => {
  const sessions = async () => (await live.postern.workers()).find(({ service }) => service === 'smtp')?.sessions

  it('half-closed after a command: the reply is still sent, then the session ends', async () => {
    const client = await live.greeted()
    client.say('NOOP').end()
    await client.expect(250)
    expect(await client.closed()).toBe('closed')
  })

  it('half-closed or broken within a message: no part of it is stored', async () => {
    const before = (await live.postern.quiet()).total.received
    for (const how of ['end', 'reset'] as const) {
      const client = await live.greeted()
      await client.say('MAIL FROM:<x@far.test>').expect(250)
      await client.say('RCPT TO:<ann@home.test>').expect(250)
      await client.say('DATA').expect(354)
      client.write('Subject: half\r\n\r\nhalf of it\r\n')
      if (how === 'end') client.end()
      else client.reset()
      if (how === 'end') expect(await client.closed()).toBeDefined()
    }
    await nextIsServed()
    // The served message is in the books. The two partial ones would be there before it.
    await until('the books have it', async () => (await live.postern.quiet()).total.received > before)
    expect((await live.postern.quiet()).total.received).toBe(before + 1)
  })

  it('a hundred clients that say nothing or vanish leave no session behind', async () => {
    const silent = await Promise.all(Array.from({ length: 100 }, (_, i) => live.connect({ from: `127.0.2.${i + 1}` })))
    for (const [i, client] of silent.entries()) {
      if (i % 3 === 0) client.reset()
      else if (i % 3 === 1) client.end()
      else client.destroy()
    }
    await until('only the held session is left', async () => (await sessions()) === 1, {
      withinMs: 15_000,
      everyMs: 200,
    })
    await nextIsServed()
  })
})

it('the worker never stopped, and the books balance', async () => {
  expect((await live.postern.quiet()).total.balance).toBe(0)
  const { items } = await live.api.get<{ items: { service: string }[] }>('/v1/events', { type: 'worker.started' })
  expect(items.filter(({ service }) => service === 'smtp')).toHaveLength(1)
  expect(live.postern.logs()).not.toMatch(/uncaught|unhandled/i)
})
