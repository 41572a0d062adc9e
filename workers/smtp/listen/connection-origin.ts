import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import type { Listener } from '@postern/contract/facts.ts'
import { canonicalAddress } from '@postern/contract/ip-address.ts'
import { wireReply } from '@postern/contract/reply-text.ts'
import type { Policy } from '@postern/policy/policy.ts'
import type { RecordEvent } from '@postern/runtime/worker.ts'
import { readProxyHeader } from './proxy-header.ts'
import type { TrustedProxies } from './trusted-proxies.ts'

/** Where a connection came from, and through which listener. */
export type Origin = {
  id: string
  listener: Listener
  /** Canonical address of the client; behind a balancer the one that the PROXY header names. */
  ip: string
  balancer?: string
  /** The address of ours that the client connected to. */
  local?: string
}

/** Finds out who has connected. A trusted balancer must name its client; a PROXY header from anyone else is refused. */
export type IdentifyOptions = {
  policy: () => Policy
  trusted: () => TrustedProxies
  record: RecordEvent
  receive: (socket: Socket, origin: Origin) => void
}

/** How long a balancer may take for its header, and how many sockets may wait for one. */
const headerTimeoutMs = 5_000
const maxWaiting = 5_000
let waiting = 0

export function identifyClient(socket: Socket, listener: Listener, options: IdentifyOptions): void {
  const peer = canonical(socket.remoteAddress ?? '')
  const local = canonical(socket.localAddress ?? '')
  // The client has gone already: then Node knows no address.
  if (peer === null) return void socket.destroy()
  const origin: Origin = { id: sessionId(), listener, ip: peer, ...(local === null ? {} : { local }) }
  if (!options.trusted().has(peer)) {
    options.receive(socket, origin)
    return
  }
  if (waiting >= maxWaiting) return void refuseSocket(socket, listener === 'smtps' ? '' : wireReply('tooManySessions'))
  awaitHeader(socket, origin, options)
}

/** Few addresses make most connections, and a look-up is cheaper than parsing. */
const seen = new Map<string, string | null>()
const maxSeen = 4096

function canonical(text: string): string | null {
  const known = seen.get(text)
  if (known !== undefined) return known
  const address = canonicalAddress(text)
  if (seen.size >= maxSeen) seen.clear()
  seen.set(text, address)
  return address
}

let serial = 0
const processId = randomBytes(4).toString('hex')

function sessionId(): string {
  serial++
  return `${processId}-${serial.toString(36)}`
}

function awaitHeader(socket: Socket, origin: Origin, options: IdentifyOptions): void {
  let received: Buffer = Buffer.alloc(0)
  waiting++
  const done = () => {
    waiting--
    clearTimeout(timer)
    socket.off('readable', read).off('error', quit).off('close', quit).off('end', quit)
  }
  const quit = () => {
    done()
    socket.on('error', () => {})
    socket.destroy()
  }
  const refuse = (detail: string) => {
    done()
    refuseHeader(socket, { origin, detail }, options)
  }
  const read = () => {
    for (let chunk = socket.read() as Buffer | null; chunk !== null; chunk = socket.read() as Buffer | null)
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
    const header = readProxyHeader(received)
    if (header.kind === 'incomplete') return
    if (header.kind === 'error') return refuse(header.detail)
    done()
    const rest = received.subarray(header.length)
    if (rest.length > 0) socket.unshift(rest)
    options.receive(socket, withClient(origin, header))
  }
  const timer = setTimeout(() => refuse('none in time'), headerTimeoutMs)
  socket.on('readable', read).on('error', quit).on('close', quit).on('end', quit)
}

function withClient(origin: Origin, { source, destination }: { source?: string; destination?: string }): Origin {
  const ip = canonicalAddress(source ?? '')
  if (ip === null) return origin
  const local = canonicalAddress(destination ?? '')
  return { ...origin, ip, balancer: origin.ip, ...(local === null ? {} : { local }) }
}

function refuseHeader(
  socket: Socket,
  { origin, detail }: { origin: Origin; detail: string },
  { record }: IdentifyOptions,
): void {
  const reply = wireReply('proxyRequired')
  record('session.error', {
    client: { ip: origin.ip },
    reason: 'protocol-error',
    detail: `PROXY header from a trusted balancer: ${detail}`,
    reply: reply.trimEnd(),
  })
  refuseSocket(socket, reply)
}

/** Reply and FIN. What still comes is read and dropped: a reset would discard the reply. */
function refuseSocket(socket: Socket, reply: string): void {
  socket.on('error', () => {})
  socket.end(reply, 'latin1')
  socket.resume()
  setTimeout(() => socket.destroy(), 1_000).unref()
}
