import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { Listener, SessionFacts } from '@postern/contract/facts.ts'
import type { HackAttempt } from '@postern/contract/offences.ts'
import type { ReplyName } from '@postern/contract/replies.ts'
import type { ReplyValues, Verdict } from '@postern/contract/verdict.ts'
import type { Policy } from '@postern/policy/policy.ts'
import type { SMTPServer } from 'smtp-server'
import { SMTPConnection } from 'smtp-server/lib/smtp-connection.js'
import { Answers, type Fault } from './answers.ts'
import { Chunk, type Inflow } from './chunk.ts'
import { understand } from './commands/understand.ts'
import { Conduct } from './conduct.ts'
import { type About, type Dialogue, type House, hostName } from './dialogue.ts'
import { cut } from './happenings.ts'
import { Intake, type LineFault, type Reader } from './intake.ts'
import { type MessageBody, mostRead } from './message-body.ts'
import { isTalk, openSession } from './opening.ts'
import { acceptMessage, judgeSoFar, newBody, octetsKept } from './reception.ts'
import { Tap } from './tap.ts'
import { type Transaction, watchedIn } from './transaction.ts'
import { wireReply } from './wire.ts'
import { Witness } from './witness.ts'

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

/** The receiver, as a session sees it. */
export type Station = SMTPServer &
  House & {
    readonly stopping: boolean
    /** Counts a session in. @returns what the connect rules ask, this one included */
    enter(ip: string): { sessionsOpen: number; sessionsFromAddress: number }
    gone(ip: string): void
    /** Something that no client can help. */
    trouble(error: unknown): void
  }

/** A message must bring so many octets within the data time-out, or it counts as silence. */
const progressOctets = 512
/** A client that goes away within a handshake shows no end; only time does. */
const handshakeSeconds = 10

const noMarks: Dialogue['marks'] = { connect: [], hello: [] }

const lineFaults: Record<LineFault, { reply: ReplyName; detail: string }> = {
  'too-long': { reply: 'lineTooLong', detail: 'a command line is too long' },
  'bare-line-feed': { reply: 'bareLineFeedInCommand', detail: 'a command line with a bare CR or LF' },
  'nul-octet': { reply: 'syntaxError', detail: 'a command line with a NUL octet' },
  'not-utf8': { reply: 'syntaxError', detail: 'a command line that is neither ASCII nor UTF-8' },
}

/**
 * One client's connection. Of smtp-server's connection it keeps the socket's life: errors, half-open ends, the change to
 * TLS. Lines, commands, replies, messages and time-outs are ours: no text of smtp-server reaches the wire.
 */
export class Session extends SMTPConnection implements Dialogue, Reader {
  readonly house: Station
  readonly facts: SessionFacts
  readonly witness: Witness
  readonly #answers: Answers
  readonly #conduct: Conduct
  readonly #tap: Tap
  marks = noMarks
  transaction: Transaction | undefined
  extended = false
  expect: ((line: string) => void) | undefined
  /** When the client's silence ends the session; `Infinity` while it waits for us. */
  deadline = Number.POSITIVE_INFINITY
  #body: MessageBody | undefined
  /** Where message octets go while they come. */
  #inflow: Inflow | undefined
  #inflowEnded: ((wait?: Promise<void>) => void) | undefined
  #progress = 0
  #holds = 0
  /** Empty lines with which the client began; -1 once it said something else. */
  #emptyFirst = 0
  #counted = false
  #handshake: Socket | undefined
  #leaving = false
  /** Replies wait for their time. */
  #late = false
  #expelled = false
  #spokeOfAuth = false
  #greeted = false
  /** The client sends no more. */
  #ended = false

  constructor(house: Station, socket: Socket, origin: Origin) {
    super(house, socket, { id: origin.id, remoteAddress: origin.ip })
    this.house = house
    this.facts = {
      now: Date.now(),
      listener: origin.listener,
      ip: origin.ip,
      ...(origin.balancer === undefined ? {} : { balancer: origin.balancer }),
      ...(origin.local === undefined ? {} : { local: origin.local }),
      machine: house.machine,
      tlsAvailable: house.tlsAvailable,
    }
    this.#answers = new Answers(house, this.facts)
    this.#conduct = new Conduct(house, this.facts)
    this.witness = new Witness(house.facts)
    this.#tap = new Tap(house, this.facts, origin.id)
    if (origin.listener === 'smtps') this.#secured()
  }

  /** Called by smtp-server's constructor, before our own fields are there. */
  override _createParser(): Intake {
    return new Intake(this)
  }

  get #intake(): Intake | undefined {
    return (this._parser as Intake | false) || undefined
  }

  // ── Beginning ──────────────────────────────────────────────────────────────────────────────────────────────────────

  override init(): void {
    this.#counted = true
    const here = this.house.enter(this.facts.ip)
    this.#tap.opened()
    this._setListeners(() => openSession(this, here))
  }

  talked(): boolean {
    const unread = this.#intake?.unread
    return unread !== undefined && isTalk(unread)
  }

  greet(): void {
    const { policy, machine, stopping } = this.house
    this.#greeted = true
    if (stopping) {
      this.stop()
      return
    }
    const message = policy.settings.advanced.helloMessage || 'ESMTP Postern'
    this.reply('banner', { hostname: hostName(policy, machine), message })
    this.#flush()
    this.#await(policy.settings.advanced.commandTimeoutSeconds)
  }

  mark(verdict: Verdict): void {
    const { stage } = verdict
    if (stage !== 'connect' && stage !== 'hello') return
    const said = watchedIn(verdict)
    if (said.length > 0 || this.marks[stage].length > 0) this.marks = { ...this.marks, [stage]: said }
  }

  /**
   * Time-outs are ours: one look at all sessions now and then, instead of a timer in each socket. smtp-server calls this with
   * the new socket when a handshake begins; that one, and not the one below it, is what may be destroyed during it.
   */
  override _armTimeout(handshake?: Socket): void {
    this.#handshake = handshake
    // The ports keep half-open ends open, for replies that are still owed. Nobody is owed the rest of a handshake.
    handshake?.once('end', () => {
      if (this._upgrading) handshake.destroy()
    })
  }

  #destroy(): void {
    const socket = this._upgrading && this.#handshake ? this.#handshake : this._socket
    socket.destroy()
  }

  startTls(): void {
    this.#flush()
    this.upgrade(
      () => {},
      () => {
        this.forget()
        this.expect = undefined
        this.extended = false
        this.facts.helo = undefined
        this.marks = { ...this.marks, hello: noMarks.hello }
        this.facts.login = undefined
        this.#secured()
        this.#await(this.house.policy.settings.advanced.commandTimeoutSeconds)
      },
    )
  }

  #secured(): void {
    const socket = this._socket as TLSSocket
    const { servername } = socket as { servername?: string | false }
    this.secure = true
    this.facts.tls = {
      version: socket.getProtocol() ?? 'TLS',
      cipher: socket.getCipher().name,
      ...(servername ? { serverName: cut(servername, 255) } : {}),
    }
    this.house.counters.tls_sessions_total++
  }

  // ── Lines ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  line(text: string): void {
    this.#tap.heard(text, this.expect !== undefined)
    try {
      if (this.expect) {
        const { expect } = this
        this.expect = undefined
        expect(text)
      } else this.#command(text)
    } catch (error) {
      this.#broken(error)
    }
    this.#slow()
    // DATA has set the time-out of a message.
    if (!this.#holds && !this.#inflow) this.#await(this.#patience())
  }

  #patience(): number {
    const { commandTimeoutSeconds } = this.house.policy.settings.advanced
    return this._upgrading ? Math.min(handshakeSeconds, commandTimeoutSeconds) : commandTimeoutSeconds
  }

  badLine(fault: LineFault, text = ''): void {
    this.expect = undefined
    // Two empty lines and a NUL: so begins a PROXY header of version 2.
    if (fault === 'nul-octet' && this.#emptyFirst === 2) {
      this.#proxyLied()
      return
    }
    this.fault(lineFaults[fault].reply, { detail: lineFaults[fault].detail })
    if (text !== '') this.#judged(this.#conduct.gibberish(text))
    this.#slow()
  }

  #command(text: string): void {
    const understood = understand(text, { greeted: this.facts.helo !== undefined, secretive: this.#spokeOfAuth })
    this.#emptyFirst = text === '' && this.#emptyFirst === this.#answers.faults ? this.#emptyFirst + 1 : -1
    switch (understood.kind) {
      case 'command':
        if (understood.command.verb === 'AUTH') this.#spokeOfAuth = true
        this.#answers.understood()
        if (this.#judged(this.#conduct.command(understood.command.verb))) break
        understood.command.run(this, understood.argument)
        break
      case 'proxy':
        this.#proxyLied()
        break
      case 'fault': {
        if (/^AUTH/i.test(text)) this.#spokeOfAuth = true
        const { reply, values, detail, sequence, end } = understood
        this.fault(reply, { detail, ...(values && { values }), ...(sequence && { reason: 'bad-sequence' }) })
        if (end) {
          this.#conduct.attempted('other-protocol', detail)
          this.leave()
        } else this.#judged(this.#conduct.gibberish(text))
      }
    }
  }

  /** Only a balancer that is named in advanced.proxyProtocol is believed, and its header never comes this far. */
  #proxyLied(): void {
    this.fault('proxyError', {
      values: { ip: this.facts.ip },
      detail: 'PROXY header from an address that is not trusted',
    })
    this.leave()
  }

  // ── Replies: the one place that writes ─────────────────────────────────────────────────────────────────────────────

  refresh(): SessionFacts {
    this.facts.now = Date.now()
    this.facts.tlsAvailable = this.house.tlsAvailable
    return this.facts
  }

  reply(name: ReplyName, values?: ReplyValues): void {
    this.#answers.reply(name, values)
  }

  write(text: string): void {
    this.#answers.write(text)
  }

  settle(verdict: Verdict, about: About = {}): boolean {
    const settled = this.#answers.settle(verdict, about)
    if (settled === 'end') this.leave()
    if (settled !== 'proceed' && verdict.stage !== 'connect') this.#judged(this.#conduct.refused(verdict, about))
    return settled === 'proceed'
  }

  fault(name: ReplyName, why: Fault): void {
    if (this.#answers.fault(name, why)) {
      this.#conduct.attempted('command-flood', 'nothing but protocol errors')
      this.leave()
    }
    this.#judged(this.#conduct.erred())
  }

  attempted(attempt: HackAttempt, evidence: string): boolean {
    return this.#conduct.attempted(attempt, evidence) !== undefined
  }

  /** Says why the session ends, when it does. A session that ends already has said it. */
  #judged(verdict: Verdict | undefined): boolean {
    if (!verdict || this._closing || this._closed) return verdict !== undefined
    if (this.#answers.settle(verdict, {}) === 'end') this.leave()
    return true
  }

  /** Its address was blocked: it ends now, or when the message that is coming in has its answer. */
  expel(): void {
    this.#expelled = true
    if (this.#body || this.#holds || this._closing) return
    if (this._upgrading) {
      this.#destroy()
      return
    }
    this.reply('addressBlocked')
    this.leave()
  }

  /** smtp-server writes through here; nothing of it that still could is let through. */
  override send(): void {
    this.reply('internalError')
    this.leave()
  }

  #broken(error: unknown): void {
    const detail = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
    this.forget()
    this.reply('internalError')
    this.#answers.tell('internal-error', detail, wireReply('internalError'))
    this.house.trouble(error)
  }

  #flush(): void {
    if (this.#late && !this._closing) return
    const out = this.#answers.take()
    if (out === '') return
    this.#tap.said(out)
    const socket = this._socket
    if (this._upgrading || !socket.writable) return
    // A client that sends commands and reads no replies must not fill our memory.
    if (!socket.write(out, 'latin1') && !this._closing) this.#untilDrained(socket)
  }

  #untilDrained(socket: Socket): void {
    this.#hold()
    this.#await(this.house.policy.settings.advanced.commandTimeoutSeconds)
    socket.once('drain', () => this.#release())
  }

  // ── Waiting ────────────────────────────────────────────────────────────────────────────────────────────────────────

  wait(work: Promise<void>): void {
    this.#hold()
    work
      .catch((error) => this.#broken(error))
      .then(() => this.#untilTime())
      .then(() => {
        this.#await(this.house.policy.settings.advanced.commandTimeoutSeconds)
        this.#release()
      })
  }

  /** Past the soft error limit what was said waits: this session alone, and its client's next commands with it. */
  #slow(): void {
    if (this.#conduct.delaySeconds === 0 || this.#holds || this.#inflow || this._closing || this._closed) return
    this.#late = true
    this.wait(Promise.resolve())
  }

  #untilTime(): Promise<void> | undefined {
    const { delaySeconds } = this.#conduct
    if (delaySeconds === 0 || this._closing || this._closed) return undefined
    this.#late = true
    return new Promise((resolve) => setTimeout(resolve, delaySeconds * 1000)).then(() => {
      this.#late = false
    })
  }

  #hold(): void {
    this.#holds++
    this.deadline = Number.POSITIVE_INFINITY
    this.#intake?.hold()
  }

  #release(): void {
    this.#holds--
    if (this.#holds === 0) this.#intake?.release()
  }

  /** Everything that has come is answered: the replies go out in one write (RFC 2920 §3.2). */
  pause(): void {
    if (this.#expelled && !this.#holds && !this.#body && !this._closing) {
      this.expel()
      return
    }
    if (this.#leaving && !this.transaction && !this.#holds && !this._closing) {
      this.stop()
      return
    }
    if (this.#ended && !this.#holds) this.leave()
    else this.#flush()
  }

  #await(seconds: number): void {
    this.deadline = Date.now() + seconds * 1000
  }

  /** The client was silent for too long. */
  timeOut(): void {
    if (this._closing || this._upgrading) {
      this.#destroy()
      return
    }
    const name = this.#inflow ? 'dataTimeout' : 'commandTimeout'
    this.house.counters.timeouts_total++
    this.#answers.tell('timeout', this.#inflow ? 'silent within a message' : 'no command in time', wireReply(name))
    this.reply(name)
    this.leave()
  }

  /** The service stops: now when idle, else when the transaction has its end. */
  stop(): void {
    this.#leaving = true
    // Before the banner nothing is in progress, whatever is waited for.
    if (this.transaction || (this.#holds && this.#greeted) || this._closing) return
    if (this._upgrading) {
      this.#destroy()
      return
    }
    this.reply('serviceStopping', { hostname: hostName(this.house.policy, this.house.machine) })
    this.leave()
  }

  /** It was asked to stop, and goes on after all. */
  stay(): void {
    this.#leaving = false
  }

  /** The time to finish is over. */
  leaveNow(): void {
    this.reply('serviceStopping', { hostname: hostName(this.house.policy, this.house.machine) })
    if (this._upgrading) this.#destroy()
    else this.leave()
  }

  leave(): void {
    this.deadline = Number.POSITIVE_INFINITY
    this.forget()
    if (this._closing || this._closed) return
    this.#late = false
    this.#flush()
    this.close()
  }

  /** After QUIT nothing more comes (RFC 5321 §4.1.1.10): once the reply is out there is no half-closed connection to keep. */
  bye(): void {
    this.#flush()
    const socket = this._socket
    // Nothing waits to be written, and no TLS has a farewell of its own: one system call ends it, and no timer watches that.
    if (!this._upgrading && !this.facts.tls && socket.writableLength === 0) {
      this.deadline = Number.POSITIVE_INFINITY
      this.forget()
      this._closing = true
      if (this.#intake) this.#intake.isClosed = true
      socket.destroy()
      return
    }
    this.leave()
    if (!this._upgrading) socket.destroySoon()
  }

  ended(): void {
    this.#ended = true
    const hasNothingToSay = !this.#greeted && this.#intake?.unread === undefined
    if (!this.#holds || hasNothingToSay) this.leave()
  }

  override _onClose(): void {
    const closed = this._closed
    super._onClose()
    if (closed) return
    this.deadline = Number.POSITIVE_INFINITY
    this.forget()
    this.witness.close()
    if (this.#counted) this.house.gone(this.facts.ip)
    this.#tap.closed()
  }

  // ── The message ────────────────────────────────────────────────────────────────────────────────────────────────────

  readBody(): void {
    const body = newBody(this.house, this.transaction as Transaction, true)
    this.#body = body
    this.#flowInto(body, () => this.wait(this.#finish(body)))
  }

  readChunk({ octets, last }: { octets: number; last: boolean }, refuse?: () => void): void {
    const policy = this.transaction?.policy ?? this.house.policy
    if (octets > mostRead(octetsKept(policy))) this.#tooMuch(octets, policy)
    else if (refuse) this.#flowInto(new Chunk(octets, undefined), refuse, octets)
    else {
      const transaction = this.transaction as Transaction
      transaction.chunked = true
      this.#body ??= newBody(this.house, transaction, false)
      const body = this.#body
      const ended = (wait?: Promise<void>) =>
        last ? this.wait(this.#finishChunks(body, wait)) : this.#chunkTaken(body, { octets, wait })
      this.#flowInto(new Chunk(octets, body), ended, octets)
    }
  }

  #flowInto(inflow: Inflow, ended: (wait?: Promise<void>) => void, octets = Number.POSITIVE_INFINITY): void {
    if (octets === 0) {
      ended()
      return
    }
    this.#inflow = inflow
    this.#inflowEnded = ended
    this.#progress = 0
    this.#intake!.inBody = true
    this.#await(this.house.policy.settings.advanced.dataTimeoutSeconds)
  }

  body(octets: Buffer): number {
    const inflow = this.#inflow
    // Nobody waits for it, and it is no command.
    if (!inflow) return octets.length
    const { used, wait } = inflow.take(octets)
    if (used !== -1) {
      this.#intake!.inBody = false
      this.#inflow = undefined
      this.#inflowEnded?.(wait)
      if (!this.#holds && !this._closing) this.#await(this.#patience())
      return used
    }
    if (inflow.endless) {
      this.#tooMuch(inflow.size, this.house.policy)
      return octets.length
    }
    if (wait) this.wait(wait)
    else if (inflow.size - this.#progress >= progressOctets) {
      this.#progress = inflow.size
      this.#await(this.house.policy.settings.advanced.dataTimeoutSeconds)
    }
    return used
  }

  /** So far past the limit that it is not read for the sake of a polite answer. */
  #tooMuch(octets: number, { settings }: Policy): void {
    const limit = settings.general.maxMessageBytes
    const detail = `a message of more than ${octets} octets, without end`
    this.fault('messageTooLarge', { values: { limit }, reason: 'too-large', detail })
    this.leave()
  }

  /** A chunk that is not the last: it is acknowledged, or what is wrong so far is said now (RFC 3030 §2). */
  #chunkTaken(body: MessageBody, { octets, wait }: { octets: number; wait: Promise<void> | undefined }): void {
    if (wait) {
      this.wait(wait.then(() => this.#chunkTaken(body, { octets, wait: undefined })))
      return
    }
    if (this._closing || body !== this.#body) return
    const judged = judgeSoFar(this, this.transaction as Transaction, body)
    if (judged === 'on') this.reply('chunkTaken', { octets })
    else this.forget()
    if (judged === 'close') this.leave()
  }

  async #finishChunks(body: MessageBody, wait: Promise<void> | undefined): Promise<void> {
    await wait
    await body.finish()
    if (body === this.#body) await this.#finish(body)
  }

  async #finish(body: MessageBody): Promise<void> {
    const transaction = this.transaction as Transaction
    const close = await acceptMessage(this, transaction, body)
    this.#tap.messages++
    this.#body = undefined
    this.transaction = undefined
    if (close) this.leave()
  }

  forget(): void {
    this.transaction = undefined
    this.#inflow = undefined
    this.#body?.drop()
    this.#body = undefined
  }
}
