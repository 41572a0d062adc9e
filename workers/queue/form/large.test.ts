import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { afterEach, expect, test } from 'vitest'
import { envelopeFor, Testbed, until } from '../test/testbed.ts'

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
})

const MiB = 1 << 20

function attachment(bytes: number): Buffer {
  const line = Buffer.from(Array.from({ length: 250 }, (_, i) => 128 + (i % 127)))
  return Buffer.concat(Array.from({ length: Math.ceil(bytes / 252) }, () => [line, Buffer.from('\r\n')]).flat())
}

const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

/** What was sent of the attachment. */
function decoded(data: Buffer): Buffer {
  const [, part = ''] = data.toString('latin1').split('Content-Transfer-Encoding: base64\r\n\r\n')
  return Buffer.from(part.slice(0, part.indexOf('\r\n\r\n--a--')), 'base64')
}

/** An SMTP server without 8BITMIME that keeps bodies in pieces: `TestServer` joins them at each piece. */
async function startRemote() {
  const received: { mail: string; data: Buffer }[] = []
  const server = createServer((socket) => {
    let mail = ''
    let body: Buffer[] | undefined
    socket.write('220 test ESMTP\r\n')
    socket.on('data', (chunk) => {
      if (body) {
        body.push(chunk)
        if (!chunk.subarray(-5).equals(Buffer.from('\r\n.\r\n'))) return
        received.push({ mail, data: Buffer.concat(body) })
        body = undefined
        socket.write('250 2.0.0 taken\r\n')
        return
      }
      for (const line of chunk.toString('latin1').split('\r\n').slice(0, -1)) {
        if (line.startsWith('MAIL')) mail = line
        if (line === 'DATA') body = []
        socket.write(
          line === 'DATA' ? '354 go on\r\n' : line.startsWith('EHLO') ? '250-test\r\n250 PIPELINING\r\n' : '250 ok\r\n',
        )
      }
    })
    socket.on('error', () => {})
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const close = async () => void server.close()
  return { received, route: { type: 'smtp', host: '127.0.0.1', port, tls: 'none' }, close }
}

test('large 8-bit mail for a host without 8BITMIME: decodes to what it was, and local mail does not wait for it', {
  timeout: 240_000,
}, async () => {
  const remote = await startRemote()
  open.push(remote)
  const box = await Testbed.open({
    accounts: ['ann@b.test'],
    domains: [
      { name: 'a.test', route: remote.route },
      { name: 'b.test', route: { type: 'maildir' } },
    ],
  })
  open.push(box)
  const file = attachment(6 * MiB)
  const head =
    'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: application/x\r\n\r\n'
  const body = Buffer.concat([Buffer.from(head), file, Buffer.from('\r\n--a--\r\n')])
  const delay = monitorEventLoopDelay({ resolution: 5 })
  const before = process.memoryUsage().rss
  delay.enable()
  for (let i = 0; i < 4; i++) {
    await box.receiver.write({ envelope: envelopeFor(['jane@a.test'], { body: '8bitmime' }), body })
  }
  const began = performance.now()
  await box.send(['ann@b.test'])
  await until('the small one is there', async () => (await box.mailOf('ann@b.test')).length === 1, 60_000)
  const waited = performance.now() - began
  await until('the large ones are there', () => remote.received.length === 4, 120_000)
  delay.disable()
  console.log(
    `4 × ${(body.length / MiB).toFixed(0)} MiB: local mail after ${waited.toFixed(0)} ms, event loop stopped for ${(delay.max / 1e6).toFixed(0)} ms at most (this process is the remote, too), ${((process.memoryUsage().rss - before) / MiB).toFixed(0)} MiB more memory`,
  )
  for (const { data, mail } of remote.received) {
    expect(digest(decoded(data))).toBe(digest(file))
    expect(mail).not.toContain('BODY=')
  }
})
