import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, test } from 'vitest'
import { type Script, TestServer } from '../test/server.ts'
import { defaultTimeouts } from './connect-options.ts'
import { Connection } from './connection.ts'
import { type Transaction, transact } from './mail-transaction.ts'

/** The time-outs of RFC 5321 §4.5.3.2 are for the host's silence: while we prepare what comes next, none of them runs. */

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
})

const short = 400
const longer = 3 * short

async function toServer(script: Script = {}, wait: Partial<typeof defaultTimeouts> = {}) {
  const remote = await TestServer.start(script)
  const peer = { host: 'a.test', address: '127.0.0.1', port: remote.port }
  const brief = { ...defaultTimeouts, command: short, data: short, block: short, end: short, ...wait }
  const connection = await Connection.open({ peer, protocol: 'smtp', name: 'mail.test', tls: 'none', timeouts: brief })
  open.push(remote, { close: async () => connection.destroy() })
  return { remote, connection }
}

function message(text: () => AsyncIterable<string>, change: Partial<Transaction> = {}): Transaction {
  return {
    sender: 's@b.test',
    recipients: [{ address: 'u@a.test', original: 'u@a.test' }],
    octets: 100,
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
  await sleep(longer)
  yield 'Subject: x\r\n\r\n'
  await sleep(longer)
  yield 'body\r\n'
  await sleep(longer)
}

describe('our own pauses are not the silence of the host', () => {
  test.each(['stream', 'whole'] as const)('a message that is slow to be read (%s)', async (body) => {
    const { connection, remote } = await toServer()
    expect(await transact(connection, message(slow, { body }))).toMatchObject([{ kind: 'delivered' }])
    expect(remote.received[0]?.data).toBe('Subject: x\r\n\r\nbody\r\n')
  })

  test('what is prepared before MAIL: a conversion, a signature', async () => {
    const { connection } = await toServer()
    await sleep(longer)
    expect(await transact(connection, message(quick))).toMatchObject([{ kind: 'delivered' }])
    await sleep(longer)
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
    await sleep(short / 2)
    remote.say('250 2.1.0 ok')
    // The time-out is over and the reply is here: both are found at once.
    block(longer)
    expect(await outcomes).toMatchObject([{ kind: 'delivered' }])
  })
})

function block(ms: number): void {
  for (const end = performance.now() + ms; performance.now() < end; );
}

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
    await sleep(longer)
    expect(await transact(connection, message(slow))).toMatchObject([{ kind: 'lost' }])
    expect(connection.failure?.message).toContain('no answer within')
  })

  test('to an envelope that went ahead', async () => {
    const { connection } = await toServer(silentAt(''))
    connection.send(['MAIL FROM:<s@b.test>', 'RCPT TO:<u@a.test>', 'DATA'])
    await sleep(longer)
    expect(await transact(connection, message(quick), { envelopeSent: true })).toMatchObject([{ kind: 'lost' }])
    expect(connection.failure?.message).toContain('no answer within')
  })

  test('a host that reads no more of a large message', async () => {
    const { connection, remote } = await toServer({ command: (line) => (line === 'DATA' ? '354 go on' : undefined) })
    async function* large() {
      yield 'Subject: x\r\n\r\n'
      remote.readNoMore()
      for (let i = 0; i < 1000; i++) yield `${'x'.repeat(65_534)}\r\n`
    }
    await sleep(longer)
    expect(await transact(connection, message(large))).toMatchObject([{ kind: 'lost' }])
  })
})
