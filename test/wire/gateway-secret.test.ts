import { randomBytes } from 'node:crypto'
import { stat } from 'node:fs/promises'
import type { Page, RecordedEvent } from '@postern/contract/views.ts'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Authority, startAuthority } from '../peers/authority.ts'
import { type Dns, startDns } from '../peers/dns.ts'
import { until } from '../peers/peer.ts'
import { type SmtpServerPeer, startSmtpServer } from '../peers/smtp-server.ts'
import { homeDomain, livePostern } from './live.ts'
import { formsOf, written } from './secret-search.ts'

/**
 * With the logging level debug, the dialogue of the Queue Manager with the remote host is recorded, but never the
 * gateway's secret: every byte that Postern wrote is searched for it. The gateway repeats a wrong password in its
 * refusal.
 */

const secret = { right: `right-${randomBytes(9).toString('hex')}`, wrong: `wrong-${randomBytes(9).toString('hex')}` }
let authority: Authority
let dns: Dns
const gateways = new Map<string, SmtpServerPeer>()
beforeAll(async () => {
  authority = await startAuthority()
  dns = await startDns({ names: { 'gateway.test': { a: ['127.0.0.1'] } } })
  const certificate = await authority.issue(['gateway.test'])
  for (const method of ['PLAIN', 'LOGIN']) {
    const login = { user: 'postern', secret: secret.right, methods: [method] }
    gateways.set(method, await startSmtpServer({ host: '127.0.0.1', port: 0, certificate, login }))
  }
})
afterAll(async () => {
  for (const gateway of gateways.values()) await gateway.stop()
  await dns?.stop()
  await authority?.remove()
})

const live = livePostern({
  prepare: homeDomain,
  postern: () => ({
    env: { POSTERN_LOG_LEVEL: 'debug', POSTERN_CA_FILE: authority.file, POSTERN_DNS_SERVERS: dns.server },
  }),
})

const dialogue = async (word: string) =>
  (await live.api.get<Page<RecordedEvent>>('/v1/events', { type: 'outbound.dialogue', q: word, limit: 200 })).items

async function send(word: string): Promise<void> {
  const client = await live.greeted()
  await client.mail({
    from: `${word}@home.test`,
    to: `${word}@far.test`,
    content: `Subject: ${word}\r\n\r\nbody${word}`,
  })
  await client.quit()
}

it.each(['PLAIN', 'LOGIN'])('AUTH %s: the dialogue is logged at debug, the secret nowhere', async (method) => {
  const { port, taken } = gateways.get(method) as SmtpServerPeer
  const gateway = { host: 'gateway.test', port, tls: 'require', user: 'postern' }

  await live.set('logging', { level: 'verbose' })
  await live.set('general', { gateway: { ...gateway, secret: secret.right } })
  const quiet = `quiet${method.toLowerCase()}`
  await send(quiet)
  await until('the gateway has it', () => taken.some(({ from }) => from.startsWith(quiet)))

  await live.set('logging', { level: 'debug' })
  const word = `loud${method.toLowerCase()}`
  await live.set('queue', { reuseConnections: false })
  await send(word)
  await until('the gateway has it', () => taken.some(({ from }) => from.startsWith(word)))
  await until('the dialogue is stored', async () => (await dialogue(word)).length >= 2)
  await live.set('general', { gateway: { ...gateway, secret: secret.wrong } })
  await send(`${word}2`)
  const refused = await live.event('delivery.deferred', ({ text }) => text.includes(`${word}2`))
  expect(refused.text).toContain('not known: postern with ***, ***')
  await until('the refusal is stored', async () => (await dialogue('535')).length > 0)

  const lines = (await dialogue('gateway.test')).map(({ text }) => text)
  expect(lines.some((text) => text.includes(`was told: MAIL FROM:<${word}@home.test>`))).toBe(true)
  expect(lines.some((text) => text.includes(`was told: RCPT TO:<${word}@far.test>`))).toBe(true)
  expect(lines.some((text) => /said: 250[ -]/.test(text))).toBe(true)
  expect(lines.some((text) => text.includes(method === 'PLAIN' ? 'was told: AUTH PLAIN ***' : 'was told: ***'))).toBe(
    true,
  )
  expect(lines.join('\n')).not.toContain(`body${word}`)
  expect(lines.join('\n')).not.toContain(`<${quiet}@`)
  expect(lines.some((text) => /was told: \(a message of \d+ bytes\)/.test(text))).toBe(true)

  // A worker's own copy of the settings, readable by nobody else, has to hold what it logs in with.
  const settings = /worker\/[\w-]+\/settings[\w.-]*$/
  const files = await written(live.postern.dataDirectory)
  for (const [path] of files.filter(([path]) => settings.test(path)))
    expect((await stat(path)).mode & 0o777).toBe(0o600)
  const all = [...files.filter(([path]) => !settings.test(path)), ['stdout and stderr', live.postern.logs()]]
  for (const [name, each] of Object.entries(secret))
    for (const form of formsOf(each))
      for (const [where, text] of all) expect(text?.includes(form), `${name} as ${form} in ${where}`).toBe(false)
})
