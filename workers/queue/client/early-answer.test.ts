import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { Readable } from 'node:stream'
import { expect, test } from 'vitest'
import { defaultTimeouts } from './connect-options.ts'
import { Connection } from './connection.ts'
import { transact } from './mail-transaction.ts'

/** The memory of a message that was sent is given back when all of it has left, whenever the answer comes. */

/** More than the kernel keeps for a connection. */
const message = () => Buffer.from(`Subject: early\r\n\r\n${`${'x'.repeat(76)}\r\n`.repeat(400_000)}the end\r\n`)

/** A server that answers a message at once, or when it has read it. */
async function start(answers: 'at once' | 'in time') {
  const heard: Buffer[] = []
  const state = { resume: () => {}, ended: false }
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.write('220 early.test\r\n')
    let inBody = false
    socket.on('data', (chunk) => {
      if (inBody) {
        heard.push(chunk)
        state.ended = chunk.subarray(-5).equals(Buffer.from('\r\n.\r\n'))
        if (state.ended && answers === 'in time') socket.write('250 2.0.0 taken\r\n')
      } else if (chunk.includes('DATA')) {
        inBody = true
        if (answers === 'at once') {
          socket.pause()
          state.resume = () => socket.resume()
          setTimeout(() => socket.write('250 2.0.0 taken unread\r\n'), 200)
        }
        socket.write('354 go on\r\n')
      } else socket.write('250 ok\r\n')
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const peer = { host: 'a.test', address: '127.0.0.1', port: (server.address() as AddressInfo).port }
  const options = { peer, protocol: 'smtp', name: 'mail.test', tls: 'none', timeouts: defaultTimeouts } as const
  const connection = await Connection.open(options)
  const close = () => {
    connection.destroy()
    server.close()
  }
  return { connection, heard, state, close }
}

async function send(connection: Connection, sent: Buffer) {
  return transact(connection, {
    sender: 's@b.test',
    recipients: [{ address: 'u@a.test', original: 'u@a.test' }],
    bytes: sent.length,
    body: 'whole',
    whole: async () => sent,
    stream: () => Readable.from([]),
    eightBit: false,
    smtpUtf8: false,
    requireTls: 'no',
    pauseMs: 0,
  })
}

test('a message whose answer comes first stays in memory, and arrives whole', async () => {
  const { connection, heard, state, close } = await start('at once')
  const sent = message()
  const { length } = sent
  expect(await send(connection, sent)).toMatchObject([{ kind: 'delivered' }])
  expect(sent).toHaveLength(length)
  state.resume()
  await expect.poll(() => state.ended, { timeout: 20_000 }).toBe(true)
  expect(Buffer.concat(heard).subarray(0, length).equals(message())).toBe(true)
  close()
})

test('a message whose answer comes in time is given back', async () => {
  const { connection, close } = await start('in time')
  const sent = message()
  expect(await send(connection, sent)).toMatchObject([{ kind: 'delivered' }])
  expect(sent).toHaveLength(0)
  close()
})
