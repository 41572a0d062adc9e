import { createServer, type Socket } from 'node:net'
import { TestServer } from '@postern/queue/test/server.ts'
import { Testbed, until } from '@postern/queue/test/testbed.ts'

/**
 * Measures local mail, and mail to a host that answers, beside mail for hosts that accept connections and say nothing.
 * `node test/bench/tarpits.ts [tarpits] [messages for them]`. Exits with 1 if a local message takes a second or longer.
 */
const [tarpits = 200, messages = 1000] = process.argv.slice(2).map(Number)
const probes = 50
let worstLocal = 0
const good = await TestServer.start({}, '127.0.5.1')
const silent = await Promise.all(Array.from({ length: tarpits }, (_, i) => tarpit(addressOf(i), good.port)))
const rows = { advanced: { drainTimeoutSeconds: 2 } }
const bed = await Testbed.open(rows, { outboundPort: good.port })

console.log(`without tarpits: ${await measured()}`)
const started = performance.now()
for (let i = 0; i < messages; i++) await bed.send([`u${i}@[${addressOf(i % tarpits)}]`])
const beside = await measured()
console.log(`beside ${messages} messages for ${tarpits} tarpits: ${beside}`)
const heard = () => silent.filter(({ connections }) => connections() > 0).length
await until('every tarpit has a connection', () => heard() === tarpits, 60_000)
console.log(`every tarpit had a connection after ${seconds(started)} s; ${bed.queue.status().waitingForHosts} wait`)
const stopping = performance.now()
await bed.stopQueue()
console.log(`a stop with a drain time of 2 s took ${seconds(stopping)} s; ${bed.fatal.length} failures`)
await bed.close()
await good.close()
for (const each of silent) each.close()
process.exitCode = worstLocal >= 1000 ? 1 : 0

function addressOf(i: number): string {
  return `127.0.${6 + Math.floor(i / 250)}.${1 + (i % 250)}`
}

async function tarpit(address: string, port: number) {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => void sockets.add(socket.on('error', () => {}).resume()))
  await new Promise<void>((resolve) => server.listen(port, address, resolve))
  const close = () => {
    for (const socket of sockets) socket.destroy()
    server.close()
  }
  return { connections: () => sockets.size, close }
}

/** Milliseconds from 250 to delivered, one message after the other. */
async function measured(): Promise<string> {
  const local: number[] = []
  const remote: number[] = []
  for (let i = 0; i < probes; i++) {
    local.push(await took('sender@sender.test'))
    remote.push(await took('jane@[127.0.5.1]'))
  }
  worstLocal = Math.max(...local)
  return `a mailbox ${figures(local)}, a host that answers ${figures(remote)}`
}

async function took(to: string): Promise<number> {
  const id = await bed.send([to])
  const sent = performance.now()
  await until(`delivered to ${to}`, () => bed.of('delivery.delivered', id).length === 1, 120_000)
  return performance.now() - sent
}

function figures(times: number[]): string {
  const sorted = times.toSorted((a, b) => a - b)
  return `${Math.round(sorted[sorted.length >> 1] as number)} ms (at most ${Math.round(sorted.at(-1) as number)})`
}

function seconds(since: number): string {
  return ((performance.now() - since) / 1000).toFixed(1)
}
