import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type Script, TestServer } from '../test/server.ts'
import { SocketClock } from '../test/socket-clock.ts'
import { defaultTimeouts } from './connect-options.ts'
import { Connection } from './connection.ts'
import { type OutboundTransaction, transact } from './mail-transaction.ts'

/** The time-outs of RFC 5321 §4.5.3.2 are for the host's silence: while we prepare what comes next, none of them runs. */

// Pauses of ours are on the test's clock as well.
vi.mock(import('node:timers/promises'), async (original) => ({
  ...(await original()),
  setTimeout: ((ms: number) => clock.pass(ms)) as never,
}))

const open: { close(): Promise<void> }[] = []
let clock: SocketClock
beforeEach(() => {
  clock = new SocketClock()
})
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
  clock.restore()
})

const short = 60_000
const longer = 3 * short

/** So much time goes by while we are busy with something else. */
const pause = () => clock.pass(longer)

/** Time goes by until the other side has been given up. */
async function givenUp<T>(outcome: Promise<T>): Promise<T> {
  let ended = false
  void outcome.finally(() => {
    ended = true
  })
  while (!ended) {
    await clock.pass(short / 2)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  return outcome
}

async function toServer(script: Script = {}, wait: Partial<typeof defaultTimeouts> = {}) {
  const remote = await TestServer.start(script)
  const peer = { host: 'a.test', address: '127.0.0.1', port: remote.port }
  const brief = { ...defaultTimeouts, command: short, data: short, block: short, end: short, ...wait }
  const connection = await Connection.open({ peer, protocol: 'smtp', name: 'mail.test', tls: 'none', timeouts: brief })
  open.push(remote, { close: async () => connection.destroy() })
  return { remote, connection }
}

function message(text: () => AsyncIterable<string>, change: Partial<OutboundTransaction> = {}): OutboundTransaction {
  return {
    sender: 's@b.test',
    recipients: [{ address: 'u@a.test', original: 'u@a.test' }],
    bytes: 100,
    body: 'stream',
    whole: async () => buffer(text()),
    stream: () => Readable.from(text(), { objectMode: false }),
    eightBit: false,
    smtpUtf8: false,
    requireTls: 'no',
    pauseMs: 0,
    ...change,
  }
}

async function* quick() {
  yield 'Subject: x\r\n\r\nbody\r\n'
}

async function* slow() {
  await pause()
  yield 'Subject: x\r\n\r\n'
  await pause()
  yield 'body\r\n'
  await pause()
}

describe('our own pauses are not the silence of the host', () => {
  test.each(['stream', 'whole'] as const)('a message that is slow to be read (%s)', async (body) => {
    const { connection, remote } = await toServer()
    expect(await transact(connection, message(slow, { body }))).toMatchObject([{ kind: 'delivered' }])
    expect(remote.received[0]?.data).toBe('Subject: x\r\n\r\nbody\r\n')
  })

  test('what is prepared before MAIL: a conversion, a signature', async () => {
    const { connection } = await toServer()
    await pause()
    expect(await transact(connection, message(quick))).toMatchObject([{ kind: 'delivered' }])
    await pause()
    expect(await transact(connection, message(quick))).toMatchObject([{ kind: 'delivered' }])
  })

  test('the pause between two recipients', async () => {
    const { connection } = await toServer()
    const recipients = ['u@a.test', 'v@a.test'].map((address) => ({ address, original: address }))
    const outcomes = await transact(connection, message(quick, { recipients, pauseMs: longer }))
    expect(outcomes).toMatchObject([{ kind: 'delivered' }, { kind: 'delivered' }])
  })

  test('an answer that came while the event loop was busy', async () => {
    const { connection, remote } = await toServer({
      extensions: [],
      command: (line) => (line.startsWith('MAIL') ? 'silence' : undefined),
    })
    const outcomes = transact(connection, message(quick))
    await vi.waitUntil(() => remote.sessions[0]?.commands.some((line) => line.startsWith('MAIL')))
    // The time-out is over and the reply is here: both are found at once.
    await clock.pass(longer, () => remote.say('250 2.1.0 ok'))
    expect(await outcomes).toMatchObject([{ kind: 'delivered' }])
  })
})

describe('silence after a pause of ours still ends the connection', () => {
  const silentAt = (verb: string): Script => ({
    command: (line) => (line.startsWith(verb) && !line.startsWith('EHLO') ? 'silence' : undefined),
  })

  test.each<[string, Script]>([
    ['at MAIL', silentAt('MAIL')],
    ['at DATA', silentAt('DATA')],
    ['at the end of data', { end: () => 'silence' }],
  ])('%s', async (_where, script) => {
    const { connection } = await toServer({ extensions: [], ...script })
    await pause()
    expect(await givenUp(transact(connection, message(slow)))).toMatchObject([{ kind: 'lost' }])
    expect(connection.failure?.message).toContain('no answer within')
  })

  test('to an envelope that went ahead', async () => {
    const { connection } = await toServer(silentAt(''))
    connection.send(['MAIL FROM:<s@b.test>', 'RCPT TO:<u@a.test>', 'DATA'])
    await pause()
    expect(await givenUp(transact(connection, message(quick), { envelopeSent: true }))).toMatchObject([
      { kind: 'lost' },
    ])
    expect(connection.failure?.message).toContain('no answer within')
  })

  test('a host that reads no more of a large message', async () => {
    const { connection, remote } = await toServer({ command: (line) => (line === 'DATA' ? '354 go on' : undefined) })
    async function* large() {
      yield 'Subject: x\r\n\r\n'
      remote.readNoMore()
      for (let i = 0; i < 1000; i++) yield `${'x'.repeat(65_534)}\r\n`
    }
    await pause()
    expect(await givenUp(transact(connection, message(large)))).toMatchObject([{ kind: 'lost' }])
  })
})
