import { connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { TestServer } from '@postern/queue/test/server.ts'
import { createTransport } from 'nodemailer'
import { freePort, until } from '../../peers/peer.ts'
import type { Kind, World } from '../round.ts'

/** Faults of the remote host while mail flows. */

const host = '127.0.0.1'

async function listen(take: (socket: Socket) => void): Promise<{ port: number; close: () => void }> {
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}).on('close', () => sockets.delete(socket)))
    take(socket)
  })
  const port = await freePort(host)
  await new Promise<void>((resolve) => server.listen(port, host, resolve))
  return {
    port,
    close: () => {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}

const local = 'ann@home.test'

/** @returns how many messages the mailbox of a local person has */
async function localMail({ postern }: World): Promise<number> {
  return (await postern.mail(local)).length
}

async function makeMailbox({ postern: { api, settle } }: World): Promise<void> {
  const { items } = await api.get<{ items: { name: string }[] }>('/v1/domains')
  if (items.some(({ name }) => name === 'home.test')) return
  await api.post('/v1/domains', { name: 'home.test', route: { type: 'maildir' } })
  const { revision } = await api.post<{ revision: number }>('/v1/accounts', { address: local, secret: 'correct horse' })
  await settle(revision)
}

const tarpit: Kind = {
  name: 'a remote host that never answers, beside local mail',
  disturb: async (world) => {
    await makeMailbox(world)
    const silent = await TestServer.start({ greeting: 'silence' }, host)
    try {
      await world.sendTo(silent.port)
      await sleep(1_500)
      const before = await localMail(world)
      const { host, smtpPort: port } = world.postern
      const transport = createTransport({ host, port, ignoreTLS: true })
      await transport.sendMail({ from: 'bob@far.test', to: local, subject: 'local', text: 'x' })
      transport.close()
      await until(
        'local mail arrives although the remote host is silent',
        async () => (await localMail(world)) > before,
        {
          withinMs: 30_000,
        },
      )
    } finally {
      // Mail that waits for a reply of the silent host continues when its connection ends.
      await world.letGo()
      await silent.close()
    }
  },
}

/** At most this many bytes pass in each direction before the connection is cut. */
const maxBytesBeforeCut = 6_000

const cut: Kind = {
  name: 'connections cut at a random byte',
  disturb: async (world) => {
    const proxy = await listen((inbound) => cutSomewhere(inbound, world.sinkPort))
    try {
      await world.sendTo(proxy.port)
      await sleep(2_500)
    } finally {
      await world.letGo()
      proxy.close()
    }
  },
}

/** Forwards bytes in small pieces, until a random number has passed in one direction, then sends FIN or RST. */
function cutSomewhere(inbound: Socket, port: number): void {
  const outbound = connect({ host, port })
  const side = Math.random() < 0.5 ? inbound : outbound
  const reset = Math.random() < 0.5
  let left = Math.floor(Math.random() * maxBytesBeforeCut)
  const end = () => {
    for (const socket of [inbound, outbound]) reset ? socket.resetAndDestroy() : socket.destroySoon()
  }
  const pass = (from: Socket, to: Socket) =>
    from.on('data', (bytes: Buffer) => {
      if (from !== side) return void to.write(bytes)
      to.write(bytes.subarray(0, left))
      left -= bytes.length
      if (left <= 0) end()
    })
  pass(inbound, outbound)
  pass(outbound, inbound)
  for (const socket of [inbound, outbound]) socket.on('error', end).on('end', end)
}

export const remotes = [tarpit, cut]
