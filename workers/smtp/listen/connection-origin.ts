import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import type { Listener } from '@postern/contract/facts.ts'
import { canonicalAddress } from '@postern/contract/network.ts'
import { wireReply } from '@postern/contract/reply-text.ts'
import type { Policy } from '@postern/policy/policy.ts'
import type { RecordEvent } from '@postern/runtime/worker.ts'
import { readProxyHeader } from './proxy-header.ts'
import type { Trusted } from './trusted.ts'

/** Where a connection came from and came in. */
export type Origin = {
  id: string
  listener: Listener
  /** Canonical address of the client, behind a balancer the one it named. */
  ip: string
  balancer?: string
  /** The address of ours that was connected to. */
  local?: string
}

/** Finds out who has connected. A trusted balancer must name its client; a PROXY header from anyone else is refused. */
export type IdentifyOptions = {
  policy: () => Policy
  trusted: () => Trusted
  record: RecordEvent
  receive: (socket: Socket, origin: Origin) => void
}

/** How long a balancer may take for its header; and how many sockets may be that far at once. */
const headerTimeoutMs = 5_000
const maxWaiting = 5_000
let waiting = 0

export function identifyClient(socket: Socket, listener: Listener, parts: IdentifyOptions): void {
  const peer = canonical(socket.remoteAddress ?? '')
  const local = canonical(socket.localAddress ?? '')
  // Gone before it was there: then Node knows no address any more.
  if (peer === null) return void socket.destroy()
  const origin: Origin = { id: sessionId(), listener, ip: peer, ...(local === null ? {} : { local }) }
  if (!parts.trusted().has(peer)) {
    parts.receive(socket, origin)
    return
  }
  if (waiting >= maxWaiting) return void sendOff(socket, listener === 'smtps' ? '' : wireReply('tooManySessions'))
  awaitHeader(socket, origin, parts)
}

/** Few addresses make most connections, and reading one costs more than finding it. */
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

function awaitHeader(socket: Socket, origin: Origin, parts: IdentifyOptions): void {
  let come: Buffer = Buffer.alloc(0)
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
    refuseHeader(socket, { origin, detail }, parts)
  }
  const read = () => {
    for (let chunk = socket.read() as Buffer | null; chunk !== null; chunk = socket.read() as Buffer | null)
      come = come.length === 0 ? chunk : Buffer.concat([come, chunk])
    const header = readProxyHeader(come)
    if (header.kind === 'incomplete') return
    if (header.kind === 'error') return refuse(header.detail)
    done()
    const rest = come.subarray(header.octets)
    if (rest.length > 0) socket.unshift(rest)
    parts.receive(socket, named(origin, header))
  }
  const timer = setTimeout(() => refuse('none in time'), headerTimeoutMs)
  socket.on('readable', read).on('error', quit).on('close', quit).on('end', quit)
}

function named(origin: Origin, { source, destination }: { source?: string; destination?: string }): Origin {
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
  sendOff(socket, reply)
}

/** Reply and FIN; what still comes is read and dropped, because a reset would take the reply with it. */
function sendOff(socket: Socket, reply: string): void {
  socket.on('error', () => {})
  socket.end(reply, 'latin1')
  socket.resume()
  setTimeout(() => socket.destroy(), 1_000).unref()
}
