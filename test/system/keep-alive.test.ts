import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { promisify } from 'node:util'
import { allowedAddressesOf } from '@postern/net/http/allowed-addresses.ts'
import { CheckedHosts } from '@postern/net/http/checked-hosts.ts'
import { Poster } from '@postern/net/http/post.ts'
import { type ConnectOptions, defaultTimeouts } from '@postern/queue/client/connect-options.ts'
import { Connection } from '@postern/queue/client/connection.ts'
import { LogServerSink } from '@postern/runtime/logging/log-server.ts'
import { callOut } from '@postern/smtp/lookups/callout-dialogue.ts'
import { afterEach, beforeEach, expect, test } from 'vitest'

/** A NAT forgets a silent connection after minutes, so every outbound connection has a keep-alive timer in the kernel. */

const run = promisify(execFile)
let server: Server
let came: Socket[]
beforeEach(async () => {
  came = []
  server = createServer((socket) => {
    came.push(socket)
    socket.on('error', () => {})
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
})
afterEach(() => {
  for (const socket of came) socket.destroy()
  server.close()
})

const at = () => ({ host: '127.0.0.1', port: (server.address() as AddressInfo).port })
const dial = (protocol: ConnectOptions['protocol'], tls: ConnectOptions['tls']): ConnectOptions => {
  const { host, port } = at()
  return { peer: { host, address: host, port }, protocol, name: 'mail.test', tls, timeouts: defaultTimeouts }
}

const connections: [string, () => unknown][] = [
  ['SMTP', () => Connection.open(dial('smtp', 'opportunistic'))],
  ['SMTP under TLS', () => Connection.open(dial('smtp', 'implicit'))],
  ['LMTP', () => Connection.open(dial('lmtp', 'none'))],
  [
    'a callout',
    () =>
      callOut({
        host: { ...at(), tls: 'none', protocol: 'smtp' } as never,
        ip: '127.0.0.1',
        name: 'mail.test',
        recipient: 'jane@a.test',
        timeoutMs: 60_000,
      }),
  ],
  ['the log server', () => new LogServerSink({ ...at(), tls: false }, () => {})],
  ['the log server under TLS', () => new LogServerSink({ ...at(), tls: true }, () => {})],
  [
    'a webhook',
    () =>
      new Poster(new CheckedHosts(allowedAddressesOf(['127.0.0.0/8']), () => Promise.resolve(['127.0.0.1']))).post({
        url: `http://127.0.0.1:${at().port}/`,
        headers: {},
        length: 0,
        body: async function* () {},
        timeoutMs: 60_000,
        maxAnswer: 100,
      }),
  ],
  ['the control plane', () => fetch(`http://127.0.0.1:${at().port}/`)],
]

test.each(connections)('%s: within 60 s', async (_name, open) => {
  const opened = Promise.resolve(open()).catch(() => {})
  await expect.poll(() => came.length).toBe(1)
  await expect.poll(() => timerOf(came[0] as Socket)).toMatch(/^keepalive,(\d{1,2}sec|1min|\d+(\.\d+)?ms),/)
  came[0]?.destroy()
  await opened
})

/** Returns the kernel's timer for the client's end. */
async function timerOf(socket: Socket): Promise<string> {
  const { stdout } = await run('ss', ['-tnoH', 'sport', '=', `:${socket.remotePort}`])
  return /timer:\(([^)]*)\)/.exec(stdout)?.[1] ?? stdout
}
