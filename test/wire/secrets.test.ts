import { randomBytes } from 'node:crypto'
import type { WireClient } from '@postern/smtp/test/wire-client.ts'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { until } from '../peers/peer.ts'
import { type Rsyslog, startRsyslog } from '../peers/rsyslog.ts'
import { homeDomain, livePostern } from './live.ts'
import { formsOf, written } from './secret-search.ts'

/** No secret may be in any file: searches every byte that Postern wrote for it, in plain text and in base64. */

let server: Rsyslog
beforeAll(async () => {
  server = await startRsyslog()
})
/** Words that cannot occur by chance. */
const secret = (what: string) => `${what}-${randomBytes(9).toString('hex')}`
const passwords = { ann: secret('ann'), wrong: secret('wrong'), late: secret('late'), early: secret('early') }
const live = livePostern({
  prepare: async (it) => {
    await homeDomain(it)
    await it.make('accounts', { address: 'sec@home.test', login: 'sec', secret: passwords.ann })
    await it.set('advanced', { allowPlainWithoutTls: true })
  },
  postern: () => ({ env: { POSTERN_SYSLOG: server.socket, POSTERN_LOG_LEVEL: 'debug' } }),
})
afterAll(() => server?.stop())

const base64 = (text: string) => Buffer.from(text).toString('base64')

/** Every way in which a password can be sent, right and wrong, in and out of sequence. */
async function logins(): Promise<void> {
  const { ann, wrong, late, early } = passwords
  const session = async (talk: (client: WireClient) => Promise<unknown>) => {
    const client = await live.connect()
    await client.expect(220)
    await talk(client)
    client.destroy()
  }
  const greeted = (talk: (client: WireClient) => Promise<unknown>) =>
    session(async (client) => {
      await client.ask('EHLO client.test')
      await talk(client)
    })
  for (const password of [ann, wrong]) {
    await greeted((client) => client.ask(`AUTH PLAIN ${base64(`\0sec\0${password}`)}`))
    await greeted((client) => client.ask(`auth plain ${base64(`sec\0sec\0${password}`)}`))
    await greeted(async (client) => {
      await client.say('AUTH PLAIN').expect(334)
      await client.ask(base64(`\0sec\0${password}`))
    })
    await greeted(async (client) => {
      await client.say('AUTH LOGIN').expect(334)
      await client.say(base64('sec')).expect(334)
      await client.ask(base64(password))
    })
    await greeted(async (client) => {
      await client.say(`AUTH LOGIN ${base64('sec')}`).expect(334)
      await client.ask(base64(password))
    })
    await greeted((client) => client.ask(`AUTH XOAUTH2 ${base64(`user=sec\x01auth=Bearer ${password}\x01\x01`)}`))
    await greeted((client) => client.ask(`AUTH OAUTHBEARER ${base64(`n,a=sec,\x01auth=Bearer ${password}\x01\x01`)}`))
    await greeted((client) => client.ask(`AUTH ${base64(password)}`))
    await greeted((client) => client.ask(`AUTH PLAIN ${password} ${base64(password)}`))
    // Not base64, and an unknown mechanism.
    await greeted((client) => client.ask(`AUTH PLAIN ${password}`))
    await greeted((client) => client.ask(`AUTH ${password} x`))
  }
  // AUTH is refused, and the client sends its password anyway.
  await greeted(async (client) => {
    await client.ask('AUTH CRAM-MD5')
    await client.ask(base64('sec'))
    await client.ask(base64(late))
    await client.ask(late)
  })
  await session(async (client) => {
    await client.ask(`AUTH LOGIN`)
    await client.ask(base64('sec'))
    await client.ask(base64(early))
    await client.ask(early)
  })
}

it.each([
  ['storage', {}],
  ['syslog', {}],
  ['logServer', { logServer: { host: '127.0.0.1', port: 0, tls: false } }],
])('level debug, destination %s: no password is written anywhere', async (destination, more) => {
  const logServer = 'logServer' in more ? { logServer: { ...more.logServer, port: server.port } } : {}
  await live.set('logging', { level: 'debug', destination, ...logServer })
  await logins()
  const last = await live.greeted()
  await last.ask(`NOOP finished${destination}`)
  await last.quit()
  const everything = async () => [...(await written(live.postern.dataDirectory)), ['syslog', server.lines().join('\n')]]
  // The dialogue is recorded. Otherwise the search would prove nothing.
  await until('the dialogue is written', async () =>
    (await everything()).some(([, text]) => text?.includes(`finished${destination}`)),
  )
  await until('storage has the failed logins', async () => (await live.postern.books()).eventsUnsent < 50)
  const all = [...(await everything()), ['stdout and stderr', live.postern.logs()]]
  expect(all.map(([, text]) => text).join('\n')).toContain('AUTH PLAIN ***')
  for (const [name, password] of Object.entries(passwords))
    for (const form of formsOf(password))
      for (const [where, text] of all) expect(text?.includes(form), `${name} as ${form} in ${where}`).toBe(false)
})
