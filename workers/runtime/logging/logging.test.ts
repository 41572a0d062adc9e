import type { AddressInfo } from 'node:net'
import { createServer, type Server, type Socket } from 'node:net'
import { defaultSettings, type LoggingSettings } from '@postern/contract/settings.ts'
import { afterEach, describe, expect, it } from 'vitest'
import { Logging } from './logging.ts'

const client = { ip: '192.0.2.1' }
const opened: { close(): unknown }[] = []
afterEach(async () => {
  for (const one of opened.splice(0)) await one.close()
})

function logging(settings: Partial<LoggingSettings>) {
  const kept: { type: string; log: boolean; fields: object }[] = []
  const events = {
    unsent: 0,
    keep: (type: string, fields: object, log: boolean) => void kept.push({ type, log, fields }),
  }
  const made = new Logging({
    worker: 'smtp-1',
    service: 'smtp',
    events: events as never,
    syslog: '/nowhere',
    failed: () => {},
  })
  const take = (more: Partial<LoggingSettings>) => made.take({ ...defaultSettings().logging, ...more })
  take(settings)
  opened.push(made)
  return { made, kept, events, take }
}

function record({ made }: ReturnType<typeof logging>) {
  made.record('worker.stopped', { service: 'smtp', cause: 'SIGTERM' })
  made.record('auth.succeeded', { client, login: 'ann', mechanism: 'PLAIN' })
  made.record('session.opened', { client, session: 's', listener: 'smtp' })
  made.record('session.dialogue', { client, session: 's', from: 'client', text: 'NOOP' })
}

async function serve(take: (socket: Socket) => void): Promise<{ server: Server; port: number }> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}))
    take(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  opened.push({
    close: () => {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  })
  return { server, port: (server.address() as AddressInfo).port }
}

describe('what storage is given', () => {
  it.each([
    ['storage', 'off', ['worker.stopped false']],
    ['storage', 'normal', ['worker.stopped true', 'auth.succeeded true']],
    ['storage', 'verbose', ['worker.stopped true', 'auth.succeeded true', 'session.opened true']],
    [
      'storage',
      'debug',
      ['worker.stopped true', 'auth.succeeded true', 'session.opened true', 'session.dialogue true'],
    ],
    ['none', 'debug', ['worker.stopped false']],
    ['syslog', 'debug', ['worker.stopped false']],
  ] as const)('%s, %s', (destination, level, expected) => {
    const it = logging({ destination, level })
    record(it)
    expect(it.kept.map(({ type, log }) => `${type} ${log}`)).toEqual(expected)
    expect(it.made.wants('session.dialogue')).toBe(level === 'debug' && destination !== 'none')
  })

  it('sessions and dialogue faster than storage takes them are left out, and nothing else', () => {
    const it = logging({ level: 'debug' })
    it.events.unsent = 60_000
    record(it)
    expect(it.kept.map(({ type }) => type)).toEqual(['worker.stopped', 'auth.succeeded'])
  })
})

describe('a log server', () => {
  it('that comes late has every line once, in order', async () => {
    let text = ''
    const { server, port } = await serve((socket) => socket.on('data', (chunk) => (text += String(chunk))))
    await new Promise((resolve) => server.close(resolve))
    const it = logging({ destination: 'logServer', logServer: { host: '127.0.0.1', port, tls: false } })
    for (let i = 0; i < 50; i++) it.made.record('auth.succeeded', { client, login: `u${i}-`, mechanism: 'PLAIN' })
    await new Promise((resolve) => setTimeout(resolve, 300))
    server.listen(port, '127.0.0.1')
    await expect.poll(() => text.includes('u49-'), { timeout: 30_000 }).toBe(true)
    // RFC 6587 §3.4.1: bytes, a space, the message.
    const logins: string[] = []
    for (let rest = Buffer.from(text); rest.length > 0; ) {
      const blank = rest.indexOf(32)
      const length = Number(rest.subarray(0, blank))
      const message = rest.subarray(blank + 1, blank + 1 + length).toString()
      expect(message).toMatch(/^<22>1 \d{4}-\S+Z \S+ postern-smtp-1 \d+ auth\.succeeded - \{/)
      logins.push(JSON.parse(message.slice(message.indexOf('{'))).login)
      rest = rest.subarray(blank + 1 + length)
    }
    expect(logins).toEqual(Array.from({ length: 50 }, (_, i) => `u${i}-`))
  })

  it('that takes nothing costs a bounded number of lines, and what is lost is counted', async () => {
    const { port } = await serve((socket) => socket.pause())
    const it = logging({ destination: 'logServer', logServer: { host: '127.0.0.1', port, tls: false } })
    const lines = 60_000
    const before = process.memoryUsage().heapUsed
    const recordHalf = () => {
      for (let i = 0; i < lines / 2; i++)
        it.made.record('auth.succeeded', { client, login: `user-${i}`, mechanism: 'PLAIN' })
    }
    const start = process.threadCpuUsage()
    recordHalf()
    const first = process.threadCpuUsage(start)
    recordHalf()
    const both = process.threadCpuUsage(start)
    // CPU time, not that of other work: a line that is dropped costs no more than one that is kept.
    expect(both.user).toBeLessThan(first.user * 5 + 50_000)
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(120 * 1024 * 1024)
    await it.made.close()
    const lost = it.kept.filter(({ type }) => type === 'log.dropped').map(({ fields }) => fields as { count: number })
    expect(lost.reduce((sum, { count }) => sum + count, 0)).toBeGreaterThan(30_000)
    expect(it.made.metrics.log_lines_dropped_total).toBeGreaterThan(30_000)
    expect(it.kept.filter(({ type }) => type === 'log.dropped').every(({ log }) => log)).toBe(true)
  }, 60_000)
})

it('a destination that changes leaves the old one and opens the new', async () => {
  const seen = ['', '']
  const ports = await Promise.all(
    [0, 1].map((i) => serve((socket) => socket.on('data', (chunk) => (seen[i] += String(chunk))))),
  )
  const to = (i: number) => ({
    destination: 'logServer' as const,
    logServer: { host: '127.0.0.1', port: ports[i]?.port ?? 0, tls: false },
  })
  const it = logging(to(0))
  record(it)
  await expect.poll(() => seen[0]).toContain('auth.succeeded')
  it.take({ ...to(1), format: 'classic' })
  record(it)
  await expect.poll(() => seen[1]).toMatch(/\d\d:\d\d \d\d:\d\d SMTPD\(smtp1\) \[192\.0\.2\.1\] sasl_method=PLAIN/)
  it.take({ destination: 'none' })
  record(it)
  expect(it.kept.at(-1)?.log).toBe(false)
})

describe('a log that cannot be reached', () => {
  it('is told without a line to write, until another is chosen', () => {
    const log = logging({ destination: 'syslog' })
    expect(log.made.trouble).toBe('there is no /nowhere')
    log.take({ destination: 'storage' })
    expect(log.made.trouble).toBeUndefined()
  })

  it('is told of a log server, until it is there', async () => {
    const { server, port } = await serve(() => {})
    server.close()
    await new Promise((resolve) => server.once('close', resolve))
    const { made } = logging({ destination: 'logServer', logServer: { host: '127.0.0.1', port, tls: false } })
    await expect.poll(() => made.trouble, { timeout: 30_000 }).toMatch(/^127\.0\.0\.1:\d+: connect ECONNREFUSED/)
    server.listen(port, '127.0.0.1')
    await expect.poll(() => made.trouble, { timeout: 30_000 }).toBeUndefined()
  })
})
