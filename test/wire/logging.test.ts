import { execFileSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Page, RecordedEvent } from '@postern/contract/views.ts'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { selfSigned } from '../peers/certificate.ts'
import { until } from '../peers/peer.ts'
import { type Rsyslog, startRsyslog } from '../peers/rsyslog.ts'
import { homeDomain, livePostern, password } from './live.ts'

/** Each destination, level and format, changed on running workers, with a real syslog daemon and log server. */

let local: Rsyslog
let server: Rsyslog
const certificate = selfSigned(['localhost'])

beforeAll(async () => {
  local = await startRsyslog()
  server = await startRsyslog({ tls: true, certificate: await certificate })
})
const live = livePostern({
  prepare: async (it) => {
    await homeDomain(it)
    await it.set('advanced', { allowPlainWithoutTls: true })
  },
  postern: () => ({ env: { POSTERN_SYSLOG: local.socket, NODE_EXTRA_CA_CERTS: server.trust } }),
})
afterAll(async () => {
  await local?.stop()
  await server?.stop()
})

const toServer = (port = server.port) => ({
  destination: 'logServer',
  logServer: { host: 'localhost', port, tls: true },
})

let sent = 0
/** Sends one message and causes one refusal, both with a unique word to search for. */
async function traffic(): Promise<string> {
  const word = `w${++sent}x${process.pid}`
  const before = (await live.postern.books()).total
  const client = await live.greeted()
  await client.say(`MAIL FROM:<${word}@far.test>`).expect(250)
  await client.say('RCPT TO:<nobody@home.test>').expect(550)
  await client.say('RCPT TO:<ann@home.test>').expect(250)
  await client.say('DATA').expect(354)
  await client.write(`Subject: secret${word}\r\n\r\n.\r\n`).expect(250)
  await client.quit()
  await until('storage has all of it', async () => {
    const { received, delivered } = (await live.postern.books()).total
    return received > before.received && delivered > before.delivered
  })
  return word
}

const logged = async (query: Record<string, string>) =>
  (await live.api.get<Page<RecordedEvent>>('/v1/events', { limit: 200, ...query })).items
const found = (where: Rsyslog, word: string) => where.lines().filter((line) => line.includes(word))
const has = (where: Rsyslog, word: string, least = 1) =>
  until(`${least} lines with ${word}`, () => found(where, word).length >= least).catch((error) => {
    throw new Error(`${error.message}; there are:\n${where.lines().slice(-20).join('\n')}`)
  })

// [logging.destination, logging.logServer, logging.level, logging.format]
describe('destination', () => {
  it('none: nothing is searchable, and queue, trace and books still work', async () => {
    await live.set('logging', { destination: 'none' })
    const before = await live.postern.books()
    const word = await traffic()
    expect(await logged({ q: word })).toEqual([])
    expect(found(local, word)).toEqual([])
    const after = await live.postern.books()
    expect(after.total.balance).toBe(0)
    expect(after.total.received).toBe(before.total.received + 1)
    expect(after.total.delivered).toBe(before.total.delivered + 1)
    // The queue page: a message that waits is there, with its trace.
    await live.change(() => live.api.post('/v1/services/queue/stop'))
    const client = await live.greeted()
    await client.mail({ from: `${word}@far.test`, to: 'ann@home.test', content: 'Subject: waits\r\n' })
    const waiting = () => live.api.get<Page<{ id: string; sender: string }>>('/v1/queue', { limit: 50 })
    await until('it is in the queue', async () => (await waiting()).items.some(({ sender }) => sender.includes(word)))
    const id = (await waiting()).items.find(({ sender }) => sender.includes(word))?.id
    const message = await live.api.get<{ trace: RecordedEvent[] }>(`/v1/messages/${id}`)
    expect(message.trace[0]).toMatchObject({ type: 'message.accepted' })
    expect(message.trace[0]?.text).toContain(word)
    await live.change(() => live.api.post('/v1/services/queue/start'))
    await until('it is delivered', async () => (await live.postern.books()).total.queued === 0)
    await live.set('logging', { destination: 'storage' })
    expect((await logged({ q: await traffic() })).length).toBeGreaterThan(1)
  })

  it('syslog: a real daemon has every event, and storage none', async () => {
    await live.set('logging', { destination: 'syslog' })
    const word = await traffic()
    await has(local, word, 2)
    const [refused] = found(local, word).filter((line) => line.includes('command.refused'))
    expect(refused).toMatch(/^mail notice postern-smtp-1 /)
    const event = JSON.parse(refused?.slice(refused.indexOf('{')) ?? '')
    expect(event).toMatchObject({ worker: 'smtp-1', type: 'command.refused', recipient: 'nobody@home.test' })
    await until('the queue logs there as well', () =>
      local.lines().some((line) => line.includes('postern-queue-1') && line.includes('delivery.delivered')),
    )
    expect(await logged({ q: word })).toEqual([])
  })

  it('logServer: RFC 5424 over TLS, and back to storage', async () => {
    await live.set('logging', toServer())
    const word = await traffic()
    await has(server, word, 2)
    expect(found(server, word).some((line) => /^mail info postern-smtp-1 message\.accepted \{/.test(line))).toBe(true)
    await live.set('logging', { destination: 'storage' })
    const other = await traffic()
    expect(found(server, other)).toEqual([])
    expect((await logged({ q: other })).length).toBeGreaterThan(1)
  })

  it('logServer over TCP without TLS', async () => {
    await live.set('logging', {
      destination: 'logServer',
      logServer: { host: '127.0.0.1', port: local.port, tls: false },
    })
    await has(local, await traffic(), 2)
  })

  it('a server with an untrusted certificate gets nothing', async () => {
    const other = await startRsyslog({ tls: true })
    try {
      await live.set('logging', toServer(other.port))
      await traffic()
      expect(other.lines()).toEqual([])
    } finally {
      await other.stop()
    }
  })

  it('a log server that dies never slows mail; buffered lines arrive when it is back', async () => {
    await live.set('logging', toServer())
    await has(server, await traffic(), 2)
    const { port } = server
    await server.stop()
    const startedAt = performance.now()
    const words = [await traffic(), await traffic(), await traffic()]
    expect(performance.now() - startedAt).toBeLessThan(10_000)
    server = await startRsyslog({ tls: true, port, certificate: await certificate })
    for (const word of words) await has(server, word, 2)
  })
})

describe('level', () => {
  it('off: nothing; normal: no sessions; verbose: every connection; debug: the dialogue', async () => {
    await live.set('logging', { level: 'off' })
    const quiet = await traffic()
    expect(await logged({ q: quiet })).toEqual([])
    await live.set('logging', { level: 'normal' })
    const before = await logged({ type: 'session.' })
    await traffic()
    expect((await logged({ type: 'session.' })).length).toBe(before.length)

    await live.set('logging', { level: 'verbose' })
    const verbose = await traffic()
    await live.event('session.closed', ({ messages }) => messages === 1)
    await live.event('session.opened')
    expect((await logged({ q: verbose, type: 'session.dialogue' })).length).toBe(0)

    await live.set('logging', { level: 'debug' })
    const word = await traffic()
    await until('the dialogue is stored', async () =>
      (await logged({ type: 'session.dialogue' })).some(({ text }) => text.includes('221')),
    )
    const lines = (await logged({ type: 'session.dialogue', q: word })).map(({ text }) => text)
    expect(lines.some((text) => text.includes(`said: MAIL FROM:<${word}@far.test>`))).toBe(true)
    expect(lines.join()).not.toContain(`secret${word}`)
    const client = await live.greeted()
    await client.say(`AUTH PLAIN ${Buffer.from(`\0ann\0${password}`).toString('base64')}`).expect(235)
    const said = await live.event('session.dialogue', ({ text }) => text.includes('said: AUTH PLAIN'))
    expect(said.text).toContain('AUTH PLAIN ***')
  })
})

describe('format', () => {
  it('classic: one line per event, which pflogsumm counts', async () => {
    await live.set('logging', { destination: 'syslog', format: 'classic' })
    const start = local.lines().length
    const word = await traffic()
    await has(local, word, 2)
    await until('the delivery is there', () => local.lines().slice(start).join('\n').includes('status=sent'))
    const texts = local
      .lines()
      .slice(start)
      .map((line) => line.split(' ').slice(4).join(' ').trim())
    for (const text of texts) expect(text).toMatch(/^\d\d:\d\d \d\d:\d\d SMTP(D|-)\([\w]+\) \[[\d.-]+\] \S/)
    const report = await pflogsumm(texts)
    expect(report).toMatch(/^\s+1\s+received$/m)
    expect(report).toMatch(/^\s+1\s+delivered$/m)
    expect(report).toMatch(/^\s+1\s+rejected/m)
    expect(report).toContain('ann@home.test')
  })
})

/** Runs the command in README, "Logging". */
async function pflogsumm(lines: string[]): Promise<string> {
  const readme = await readFile(join(import.meta.dirname, '../../README.md'), 'utf8')
  const command = /^sed -nE [\s\S]*?pflogsumm$/m.exec(readme)?.[0].replace(' /var/log/mail.log', '') ?? 'false'
  return execFileSync('bash', ['-c', command], { input: `${lines.join('\n')}\n`, encoding: 'utf8' })
}
