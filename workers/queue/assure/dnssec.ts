/// <reference path="../dns-packet.d.ts" />
import { randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { getServers } from 'node:dns'
import { connect, isIP } from 'node:net'
import { keepAlive } from '@postern/net/keep-alive.ts'
import packet, { type Answer } from 'dns-packet'
import { LRUCache } from 'lru-cache'
import { isUsable, type Tlsa } from '../client/certificate.ts'

/**
 * Answers of which the resolver says that they are authentic (the AD bit, RFC 4035 §3.2.3), which Node's own resolver does
 * not show. Only of use with a resolver that validates and that nobody can stand in front of: the environment says so.
 */

/** `secure`: signed and validated. `records` only of a secure answer; `base`: the name under which they were found. */
export type TlsaAnswer =
  | { kind: 'secure'; base: string; records: Tlsa[] }
  | { kind: 'insecure' }
  /** Neither yes nor no: mail for the host has to wait (RFC 7672 §2.1). */
  | { kind: 'not-known'; why: string }

type Question = 'MX' | 'A' | 'AAAA' | 'CNAME' | 'TLSA'
/** `name`: to which aliases led. */
type Answered = { secure: boolean; exists: boolean; name: string; tlsa: Tlsa[]; seconds: number }

const keepSeconds = 300
const tries = 2

export class DnssecResolver {
  readonly #servers: readonly string[]
  readonly #timeoutMs: number
  readonly #kept = new LRUCache<string, Promise<Answered>>({ max: 20_000 })

  /** `servers`: `address[:port]` each; empty: the system's. */
  constructor({ servers, timeoutMs = 3000 }: { servers: readonly string[]; timeoutMs?: number }) {
    this.#servers = servers.length > 0 ? servers : getServers()
    this.#timeoutMs = timeoutMs
  }

  /** Whether the MX of the domain, or that it has none, is authentic. Rejects when that is not known. */
  async hasSecureMx(domain: string): Promise<boolean> {
    return (await this.#ask(domain, 'MX')).secure
  }

  /** The TLSA records of a host's SMTP port, where its address is authentic, too (RFC 7672 §2.2). Never rejects. */
  async tlsa(host: string, port: number): Promise<TlsaAnswer> {
    try {
      for (const base of await this.#basesOf(host)) {
        const { secure, tlsa } = await this.#ask(`_${port}._tcp.${base}`, 'TLSA')
        if (secure && tlsa.length > 0) return { kind: 'secure', base, records: tlsa }
      }
      return { kind: 'insecure' }
    } catch (error) {
      return { kind: 'not-known', why: (error as Error).message }
    }
  }

  /**
   * Under which names TLSA records may stand (RFC 7672 §2.2.2): where aliases lead, if every step is authentic, and the host's own
   * name; only the latter if the alias itself is authentic and what it leads to is not.
   */
  async #basesOf(host: string): Promise<string[]> {
    const a = await this.#ask(host, 'A')
    const found = a.secure && !a.exists ? await this.#ask(host, 'AAAA') : a
    if (found.secure) return found.name === host.toLowerCase() ? [host] : [found.name, host]
    if (found.name === host.toLowerCase()) return []
    return (await this.#ask(host, 'CNAME')).secure ? [host] : []
  }

  forget(): void {
    this.#kept.clear()
  }

  #ask(name: string, type: Question): Promise<Answered> {
    const key = `${type} ${name}`
    const kept = this.#kept.get(key)
    if (kept) return kept
    const asked = this.#query(name, type)
    this.#kept.set(key, asked, { ttl: keepSeconds * 1000 })
    asked.then(
      ({ seconds }) => this.#kept.set(key, asked, { ttl: Math.max(1, seconds) * 1000 }),
      () => this.#kept.delete(key),
    )
    return asked
  }

  async #query(name: string, type: Question): Promise<Answered> {
    let failure = new Error('no DNS server is known')
    for (let i = 0; i < tries; i++) {
      for (const server of this.#servers) {
        try {
          return await ask(server, { name, type, timeoutMs: this.#timeoutMs })
        } catch (error) {
          failure = error as Error
        }
      }
    }
    throw failure
  }
}

type Ask = { name: string; type: Question; timeoutMs: number }

async function ask(server: string, { name, type, timeoutMs }: Ask): Promise<Answered> {
  const id = randomInt(65_536)
  const query = packet.encode({
    type: 'query',
    id,
    flags: packet.RECURSION_DESIRED | packet.AUTHENTIC_DATA,
    questions: [{ type, name }],
    additionals: [{ type: 'OPT', name: '.', udpPayloadSize: 1232, flags: 0, options: [] }],
  })
  const at = endpointOf(server)
  const isAnswer = (message: Buffer) => message.length >= 12 && message.readUInt16BE(0) === id
  let answer = packet.decode(await overUdp(query, { ...at, timeoutMs, isAnswer }))
  if (answer.flag_tc) answer = packet.decode(await overTcp(query, { ...at, timeoutMs }))
  const [question] = answer.questions
  if (question?.name.toLowerCase() !== name.toLowerCase() || question.type !== type)
    throw new Error(`${type} of ${name}: the answer is to another question`)
  if (answer.rcode !== 'NOERROR' && answer.rcode !== 'NXDOMAIN') throw new Error(`${type} of ${name}: ${answer.rcode}`)
  const records = answer.answers.filter((record) => record.type === type || record.type === 'CNAME')
  return {
    secure: answer.flag_ad,
    exists: records.some((record) => record.type === type),
    name: endOfAliases(name.toLowerCase(), answer.answers),
    tlsa: records.flatMap((record) => (record.type === 'TLSA' ? [tlsaOf(record.data)] : [])),
    seconds: Math.min(keepSeconds, ...records.map(({ ttl }) => ttl ?? 0)),
  }
}

const maxAliases = 16

function endOfAliases(from: string, answers: Answer[]): string {
  const aliases = new Map(
    answers.flatMap((record) => (record.type === 'CNAME' ? [[canonical(record.name), canonical(record.data)]] : [])),
  )
  let name = from
  for (let i = 0; i < maxAliases && aliases.has(name); i++) name = aliases.get(name) as string
  return name
}

const canonical = (name: string) => name.toLowerCase().replace(/\.$/, '')

function tlsaOf(data: { usage: number; selector: number; matchingType: number; certificate: Buffer }): Tlsa {
  return {
    usage: data.usage,
    selector: data.selector,
    matching: data.matchingType,
    data: Buffer.from(data.certificate),
  }
}

/** Records a client can use; some that it cannot, and none else, ask for TLS without proof (RFC 7672 §2.2). */
export function usable(records: readonly Tlsa[]): Tlsa[] {
  return records.filter(isUsable)
}

type At = { host: string; port: number; timeoutMs: number }

function endpointOf(server: string): { host: string; port: number } {
  if (isIP(server)) return { host: server, port: 53 }
  const [, host = server, port = '53'] = /^\[?([^\]]+?)\]?(?::(\d+))?$/.exec(server) ?? []
  return { host, port: Number(port) }
}

function overUdp(query: Buffer, at: At & { isAnswer(message: Buffer): boolean }): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(at.host.includes(':') ? 'udp6' : 'udp4')
    const end = (done: () => void) => {
      clearTimeout(timer)
      socket.close()
      done()
    }
    const timer = setTimeout(() => end(() => reject(new Error('the DNS server does not answer'))), at.timeoutMs)
    socket.on('error', (error) => end(() => reject(error)))
    socket.on('message', (message) => {
      if (at.isAnswer(message)) end(() => resolve(message))
    })
    // Connected: datagrams from elsewhere are not taken.
    socket.connect(at.port, at.host, () => socket.send(query))
  })
}

function overTcp(query: Buffer, { host, port, timeoutMs }: At): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, ...keepAlive })
    let got: Buffer = Buffer.alloc(0)
    socket.setTimeout(timeoutMs, () => socket.destroy(new Error('the DNS server does not answer')))
    socket.on('error', reject)
    socket.on('close', () => reject(new Error('the DNS server closed the connection')))
    socket.on('data', (chunk) => {
      got = Buffer.concat([got, chunk])
      if (got.length < 2 || got.length < got.readUInt16BE(0) + 2) return
      resolve(got.subarray(2))
      socket.destroy()
    })
    const length = Buffer.alloc(2)
    length.writeUInt16BE(query.length)
    socket.write(Buffer.concat([length, query]))
  })
}
