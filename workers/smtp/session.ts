import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { Listener, SessionFacts } from '@postern/contract/facts.ts'
import type { ReplyName } from '@postern/contract/replies.ts'
import type { Reason, ReplyValues, Verdict } from '@postern/contract/verdict.ts'
import { decideConnect } from '@postern/policy/decide.ts'
import { SMTPConnection } from 'smtp-server/lib/smtp-connection.js'
import { plainLine } from './commands/command.ts'
import { commands, notImplemented, otherProtocol } from './commands/table.ts'
import { type About, type Dialogue, hostName } from './dialogue.ts'
import { clientRecord, cut, verdictRecord } from './happenings.ts'
import { Intake, type LineFault, longestLine, type Reader } from './intake.ts'
import type { MessageBody } from './message-body.ts'
import type { Receiver } from './receiver.ts'
import { acceptMessage, newBody } from './reception.ts'
import type { Transaction } from './transaction.ts'
import { wireLines, wireReply } from './wire.ts'

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

/** Protocol errors of one session that become events; the rest is counted. */
const faultsTold = 10
/** Protocol errors in a row after which a client is not one of mail. */
const faultsBorne = 50
/** A message must bring so many octets within the data time-out, or it counts as silence. */
const progressOctets = 512

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
  readonly house: Receiver
  readonly facts: SessionFacts
  transaction: Transaction | undefined
  extended = false
  expect: ((line: string) => void) | undefined
  /** When the client's silence ends the session; `Infinity` while it waits for us. */
  deadline = Number.POSITIVE_INFINITY
  #out = ''
  #body: MessageBody | undefined
  #progress = 0
  #holds = 0
  #faults = 0
  #faultsInRow = 0
  #counted = false
  #leaving = false

  constructor(house: Receiver, socket: Socket, origin: Origin) {
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

  /** Greets at once, or refuses; a pregreet test is a rule of its own and not a delay for everybody. */
  override init(): void {
    const { house, facts } = this
    this.#counted = true
    const here = house.enter(facts.ip)
    this._setListeners(() => {
      const { policy } = house
      const verdict = decideConnect({ ...this.refresh(), ...here }, policy)
      if (!this.settle(verdict)) return this.leave()
      if (house.stopping) return this.stop()
      const message = policy.settings.advanced.helloMessage || 'ESMTP Postern'
      this.reply('banner', { hostname: hostName(policy, house.machine), message })
      this.#flush()
      this.#await(policy.settings.advanced.commandTimeoutSeconds)
    })
  }

  /** Time-outs are ours: one look at all sessions now and then, instead of a timer in each socket. */
  override _armTimeout(): void {}

  startTls(): void {
    this.#flush()
    this.upgrade(
      () => {},
      () => {
        this.transaction = undefined
        this.expect = undefined
        this.extended = false
        this.facts.helo = undefined
        this.facts.login = undefined
        this.#secured()
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
    try {
      if (this.expect) {
        const { expect } = this
        this.expect = undefined
        expect(text)
      } else this.#command(text)
    } catch (error) {
      this.#broken(error)
    }
    // DATA has set the time-out of a message.
    if (!this.#holds && !this.#body) this.#await(this.house.policy.settings.advanced.commandTimeoutSeconds)
  }

  badLine(fault: LineFault): void {
    this.expect = undefined
    this.fault(lineFaults[fault].reply, { detail: lineFaults[fault].detail })
  }

  #command(text: string): void {
    const blank = text.indexOf(' ')
    const verb = (blank === -1 ? text : text.slice(0, blank)).toUpperCase()
    const argument = blank === -1 ? '' : text.slice(blank + 1).trimEnd()
    const command = commands.get(verb)
    if (!command) {
      this.#unknown(verb, text)
      return
    }
    if (text.length > command.longest - 2) {
      this.fault('lineTooLong', { detail: `a ${verb} line is too long` })
      return
    }
    if (command.argument === 'none' && argument !== '') {
      this.fault('argumentError', { values: { detail: 'none expected' }, detail: `${verb} with an argument` })
      return
    }
    if (command.argument === 'required' && argument === '') {
      this.fault('argumentError', { values: { detail: command.syntax }, detail: `${verb} without an argument` })
      return
    }
    if (command.afterHello && this.facts.helo === undefined) {
      this.fault('helloRequired', { reason: 'bad-sequence', detail: `${verb} before HELO` })
      return
    }
    this.#faultsInRow = 0
    command.run(this, argument)
  }

  #unknown(verb: string, text: string): void {
    if (otherProtocol.test(text)) {
      this.fault('commandUnknown', { detail: `another protocol: ${text}` })
      this.leave()
      return
    }
    if (text.length > plainLine - 2 && text.length <= longestLine) {
      this.fault('lineTooLong', { detail: 'an unknown command that is too long' })
      return
    }
    if (notImplemented.has(verb)) {
      this.fault('commandNotImplemented', { detail: `${verb} is not implemented` })
      return
    }
    this.fault(/^[A-Z]{3,12}$/.test(verb) ? 'commandUnknown' : 'syntaxError', { detail: text })
  }

  // ── Replies: the one place that writes ─────────────────────────────────────────────────────────────────────────────

  refresh(): SessionFacts {
    this.facts.now = Date.now()
    this.facts.tlsAvailable = this.house.tlsAvailable
    return this.facts
  }

  reply(name: ReplyName, values?: ReplyValues): void {
    this.#out += wireReply(name, values)
  }

  write(text: string): void {
    this.#out += text
  }

  settle(verdict: Verdict, about: About = {}): boolean {
    const { outcome } = verdict
    if (outcome.kind === 'proceed') return true
    if (outcome.kind === 'answer') {
      this.#out += wireLines(outcome.replies)
      return false
    }
    const reply = wireReply(outcome.reply, outcome.values)
    this.#out += reply
    this.#record(verdict, reply, about)
    if (outcome.close) this.leave()
    return false
  }

  #record(verdict: Verdict, reply: string, { sender, recipient, login, mechanism }: About): void {
    const { record, counters } = this.house
    const refused = { client: clientRecord(this.facts), verdict: verdictRecord(verdict, reply) }
    if (verdict.stage === 'connect') {
      counters.sessions_refused_total++
      record('session.refused', refused)
      return
    }
    if (verdict.stage === 'auth' && verdict.rule === 'auth-credentials') {
      counters.auth_failed_total++
      record('auth.failed', { ...refused, login: cut(login ?? '', 320), mechanism: mechanism ?? '' })
      return
    }
    counters.commands_refused_total++
    record('command.refused', {
      ...refused,
      ...(sender === undefined ? {} : { sender: cut(sender, 320) }),
      ...(recipient === undefined ? {} : { recipient: cut(recipient, 320) }),
    })
  }

  fault(
    name: ReplyName,
    { values, reason = 'protocol-error', detail }: { values?: ReplyValues; reason?: Reason; detail: string },
  ): void {
    const reply = wireReply(name, values)
    this.#out += reply
    this.house.counters.protocol_errors_total++
    this.#faultsInRow++
    if (this.#faults++ < faultsTold) this.#tell(reason, detail, reply)
    if (this.#faultsInRow < faultsBorne) return
    this.reply('tooManyErrors')
    this.leave()
  }

  #tell(reason: Reason, detail: string, reply: string): void {
    this.house.record('session.error', {
      client: clientRecord(this.facts),
      reason,
      detail: cut(detail, 500),
      reply: cut(reply.trimEnd(), 600),
    })
  }

  /** smtp-server writes through here; nothing of it that still could is let through. */
  override send(): void {
    this.reply('internalError')
    this.leave()
  }

  #broken(error: unknown): void {
    const detail = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
    this.transaction = undefined
    this.#dropBody()
    this.reply('internalError')
    this.#tell('internal-error', detail, wireReply('internalError'))
    this.house.trouble(error)
  }

  #flush(): void {
    const out = this.#out
    if (out === '') return
    this.#out = ''
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
      .then(() => {
        this.#await(this.house.policy.settings.advanced.commandTimeoutSeconds)
        this.#release()
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
    if (this.#leaving && !this.transaction && !this.#holds && !this._closing) {
      this.stop()
      return
    }
    this.#flush()
  }

  #await(seconds: number): void {
    this.deadline = Date.now() + seconds * 1000
  }

  /** The client was silent for too long. */
  timeOut(): void {
    if (this._closing || this._upgrading) {
      this._socket.destroy()
      return
    }
    const name = this.#body ? 'dataTimeout' : 'commandTimeout'
    this.house.counters.timeouts_total++
    this.#tell('timeout', this.#body ? 'silent within a message' : 'no command in time', wireReply(name))
    this.reply(name)
    this.leave()
  }

  /** The service stops: now when idle, else when the transaction has its end. */
  stop(): void {
    this.#leaving = true
    if (this.transaction || this.#holds || this._closing || this._upgrading) return
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
    this.leave()
    if (this._upgrading) this._socket.destroy()
  }

  leave(): void {
    this.deadline = Number.POSITIVE_INFINITY
    this.#dropBody()
    this.transaction = undefined
    if (this._closing || this._closed) return
    this.#flush()
    this.close()
  }

  ended(): void {
    if (!this.#holds) this.leave()
  }

  override _onClose(): void {
    const closed = this._closed
    super._onClose()
    if (closed) return
    this.deadline = Number.POSITIVE_INFINITY
    this.#dropBody()
    this.transaction = undefined
    if (this.#counted) this.house.gone(this.facts.ip)
  }

  // ── The message ────────────────────────────────────────────────────────────────────────────────────────────────────

  readBody(): void {
    this.#body = newBody(this.house, this.transaction as Transaction)
    this.#progress = 0
    this.#intake!.inBody = true
    this.#await(this.house.policy.settings.advanced.dataTimeoutSeconds)
  }

  body(chunk: Buffer): number {
    const body = this.#body as MessageBody
    const { used, wait } = body.take(chunk)
    if (used !== -1) {
      this.#intake!.inBody = false
      this.wait(this.#finish(body))
      return used
    }
    if (wait) this.wait(wait)
    else if (body.size - this.#progress >= progressOctets) {
      this.#progress = body.size
      this.#await(this.house.policy.settings.advanced.dataTimeoutSeconds)
    }
    return used
  }

  async #finish(body: MessageBody): Promise<void> {
    const transaction = this.transaction as Transaction
    const close = await acceptMessage(this, transaction, body)
    this.#body = undefined
    this.transaction = undefined
    if (close) this.leave()
  }

  #dropBody(): void {
    this.#body?.drop()
    this.#body = undefined
  }
}
