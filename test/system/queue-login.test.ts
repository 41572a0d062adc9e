import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer, type Server, type TLSSocket } from 'node:tls'
import { type ConnectOptions, defaultTimeouts } from '@postern/queue/client/connect-options.ts'
import { Connection } from '@postern/queue/client/connection.ts'
import { ConnectionFailure } from '@postern/queue/client/connection-failure.ts'
import { Pool } from '@postern/queue/client/pool.ts'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { type Authority, startAuthority } from '../peers/authority.ts'

/** Login at a gateway: tries the mechanisms that both sides support, one after another. */

let authority: Authority
let certificate: { cert: string; key: string }
let server: Server | undefined
beforeAll(async () => {
  authority = await startAuthority()
  certificate = await authority.issue(['gateway.test'])
})
afterAll(() => authority?.remove())
afterEach(() => {
  server?.close()
})

type Gateway = {
  offer: string[]
  /** The reply to an AUTH command or to the response to a challenge. `drop`: closes afterwards. */
  answer(line: string): string
}

/** @returns the lines that came, by session */
async function gateway({ offer, answer }: Gateway): Promise<{ port: number; sessions: string[][] }> {
  const sessions: string[][] = []
  server = createServer(certificate, (socket) => serve(socket, sessions, { offer, answer }))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { port: (server.address() as AddressInfo).port, sessions }
}

function serve(socket: TLSSocket, sessions: string[][], { offer, answer }: Gateway): void {
  const lines: string[] = []
  sessions.push(lines)
  socket.on('error', () => {})
  socket.write('220 gateway.test ESMTP\r\n')
  let rest = ''
  socket.on('data', (chunk) => {
    const parts = (rest + chunk).split('\r\n')
    rest = parts.pop() ?? ''
    for (const line of parts) {
      lines.push(line)
      const isEhlo = line.startsWith('EHLO')
      const said = isEhlo
        ? ['250-gateway.test', ...offer.map((text) => `250-${text}`), '250 OK'].join('\r\n')
        : answer(line)
      socket.write(`${said.replace(/ drop$/, '')}\r\n`)
      if (said.endsWith(' drop')) socket.end()
    }
  })
}

const auth = { user: 'relay', secret: 'tr0ub4dor' }
const base64 = (text: string) => Buffer.from(text).toString('base64')

function dialTo(port: number): ConnectOptions {
  const peer = { host: 'gateway.test', address: '127.0.0.1', port }
  return { peer, protocol: 'smtp', name: 'mail.test', tls: 'implicit', auth, timeouts: defaultTimeouts }
}

const refusesPlain = (said: string) => (line: string) => {
  if (line.startsWith('AUTH PLAIN')) return said
  if (line === 'AUTH LOGIN' || line === base64(auth.user)) return '334 VXNlcm5hbWU6'
  return line === base64(auth.secret) ? '235 2.7.0 welcome' : '500 what?'
}

test.each([
  '535 5.7.8 bad credentials',
  '504 5.5.4 unrecognized mechanism',
  '534 5.7.9 too weak',
  '538 5.7.11 encryption required',
  '530 5.7.0 something first',
  '535 5.7.8 bad credentials drop',
])('PLAIN answered %s: LOGIN is tried', async (said) => {
  const { port, sessions } = await gateway({ offer: ['AUTH PLAIN LOGIN'], answer: refusesPlain(said) })
  const connection = await new Pool().open(dialTo(port))
  expect(connection.stage).toBe('mail')
  connection.destroy()
  const asked = sessions.flat().flatMap((line) => /^AUTH (\w+)/.exec(line)?.[1] ?? [])
  expect(asked.filter((mechanism) => mechanism === 'PLAIN')).toHaveLength(1)
  expect(asked.at(-1)).toBe('LOGIN')
})

test.each([[['AUTH=LOGIN']], [['AUTH LOGIN', 'AUTH=LOGIN']], [['AUTH=LOGIN', 'AUTH CRAM-MD5']], [['auth login']]])(
  'offered as %s: LOGIN',
  async (offer) => {
    const { port } = await gateway({ offer, answer: refusesPlain('504 no') })
    const connection = await Connection.open(dialTo(port))
    expect(connection.alive).toBe(true)
    connection.destroy()
  },
)

async function failureOf(given: Gateway): Promise<{ failure: ConnectionFailure; sessions: string[][] }> {
  const { port, sessions } = await gateway(given)
  const failure = await new Pool().open(dialTo(port)).then(
    () => expect.unreachable(),
    (error: unknown) => error,
  )
  expect(failure).toBeInstanceOf(ConnectionFailure)
  return { failure: failure as ConnectionFailure, sessions }
}

test('if all are refused, one sentence says what was tried and the replies, without the secret', async () => {
  const offer = ['AUTH PLAIN LOGIN']
  const quoting = `535 5.7.8 no: ${base64(`\0${auth.user}\0${auth.secret}`)} ${auth.secret}`
  const answer = (line: string) => (line === 'AUTH LOGIN' ? '334 VXNlcm5hbWU6' : quoting)
  const { failure } = await failureOf({ offer, answer })
  expect(failure.stage).toBe('auth')
  expect(failure.text).toBe(
    'gateway.test refuses the login of relay: AUTH PLAIN: 535 5.7.8 no: *** ***; AUTH LOGIN: 535 5.7.8 no: *** ***',
  )
})

test('a server that closes after each refusal is asked once for each mechanism', async () => {
  const answer = (line: string) => (line === 'AUTH LOGIN' ? '334 VXNlcm5hbWU6' : '535 5.7.8 no drop')
  const { failure, sessions } = await failureOf({ offer: ['AUTH PLAIN LOGIN'], answer })
  expect(failure.text).toContain('AUTH PLAIN: 535 5.7.8 no')
  expect(sessions.length).toBeLessThanOrEqual(3)
})

test.each(['454 4.7.0 try later', '421 4.3.2 closing drop'])('%s: no other mechanism is tried', async (said) => {
  const { failure, sessions } = await failureOf({ offer: ['AUTH PLAIN LOGIN'], answer: () => said })
  expect(failure.text).toBe(said.replace(' drop', ''))
  expect(sessions.flat().filter((line) => line.startsWith('AUTH'))).toHaveLength(1)
})

test('if no mechanism is known, names those offered', async () => {
  const { failure } = await failureOf({ offer: ['AUTH CRAM-MD5 GSSAPI'], answer: () => '500 what?' })
  expect(failure.text).toBe('gateway.test offers neither AUTH PLAIN nor LOGIN, but AUTH CRAM-MD5 GSSAPI')
})

test('cancels PLAIN after an invalid challenge, and tries LOGIN', async () => {
  const answer = (line: string) =>
    line.startsWith('AUTH PLAIN') ? '334 eA==' : line === '*' ? '501 5.7.0 cancelled' : refusesPlain('')(line)
  const { port, sessions } = await gateway({ offer: ['AUTH PLAIN LOGIN'], answer })
  const connection = await Connection.open(dialTo(port))
  connection.destroy()
  expect(sessions[0]).toContain('*')
})
