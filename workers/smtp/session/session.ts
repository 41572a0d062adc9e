import type { Socket } from 'node:net'
import type { HackAttempt } from '@postern/contract/offences.ts'
import type { ReplyName } from '@postern/contract/replies.ts'
import type { ReplyValues, Verdict } from '@postern/contract/verdict.ts'
import { type DataSession, MessageData } from '../message/data.ts'
import { DialogueLog } from '../record/dialogue-log.ts'
import { SessionFactsRecorder } from '../record/session-facts.ts'
import { WatchedRules } from '../record/watched-rules.ts'
import { CommandReader, type CommandSession } from './command-reader.ts'
import { Connection, type Origin, type ReceiverServer } from './connection.ts'
import { type About, type Fault, hostName, type SessionContext } from './context.ts'
import { ErrorLimits } from './error-limits.ts'
import { isTalk, startSession } from './greeting.ts'
import { type LineConsumer, type LineFault, LineReader } from './line-reader.ts'
import { Replies } from './replies.ts'
import { wireReply } from './reply-text.ts'
import { Timeouts } from './timeouts.ts'
import { type Transaction, watchedIn } from './transaction.ts'

/** A client that goes away within a handshake shows no end; only time does. */
const handshakeSeconds = 10

const noMarks: SessionContext['marks'] = { connect: [], hello: [], auth: [] }

/**
 * One client's session: what comes goes to its room, what is said is written here, and here it ends. Its lines are a `CommandReader`,
 * its messages are `MessageData`, who waits for whom is its `Timeouts`, its socket the `Connection` below.
 */
export class Session extends Connection implements SessionContext, LineConsumer, CommandSession, DataSession {
  readonly recorder: SessionFactsRecorder
  readonly pace: Timeouts
  readonly #answers: Replies
  readonly #conduct: ErrorLimits
  readonly #watched: WatchedRules
  readonly #tap: DialogueLog
  readonly #hearing: CommandReader
  readonly #mail: MessageData
  marks = noMarks
  transaction: Transaction | undefined
  extended = false
  expect: ((line: string) => void) | undefined
  #counted = false
  #leaving = false
  #expelled = false
  #greeted = false
  /** The client sends no more. */
  #ended = false

  constructor(receiver: ReceiverServer, socket: Socket, origin: Origin) {
    super(receiver, socket, origin)
    this.#answers = new Replies(receiver, this.facts)
    this.#watched = new WatchedRules(receiver, this.facts)
    this.recorder = new SessionFactsRecorder(receiver.facts)
    this.#conduct = new ErrorLimits(receiver, this.facts, { watched: this.#watched, recorder: this.recorder })
    this.pace = new Timeouts(this, this.#conduct)
    this.#hearing = new CommandReader(this, this.#answers, this.#conduct)
    this.#mail = new MessageData(this)
    this.#tap = new DialogueLog(receiver, this.facts, origin.id)
  }

  /** Called by smtp-server's constructor, before our own fields are there. */
  override _createParser(): LineReader {
    return new LineReader(this)
  }

  get intake(): LineReader | undefined {
    return (this._parser as LineReader | false) || undefined
  }

  // ── Beginning ──────────────────────────────────────────────────────────────────────────────────────────────────────

  override init(): void {
    this.#counted = true
    const here = this.receiver.enter(this.facts.ip)
    this.#tap.opened()
    this._setListeners(() => startSession(this, here))
  }

  talked(): boolean {
    const unread = this.intake?.unread
    return unread !== undefined && isTalk(unread)
  }

  greet(): void {
    const { policy, machine, stopping } = this.receiver
    this.#greeted = true
    if (stopping) {
      this.stop()
      return
    }
    const message = policy.settings.advanced.helloMessage || 'ESMTP Postern'
    this.reply('banner', { hostname: hostName(policy, machine), message })
    this.flush()
    this.pace.allowCommand()
  }

  watch(verdict: Verdict): void {
    this.#watched.tell(verdict)
  }

  mark(verdict: Verdict): void {
    const { stage } = verdict
    this.watch(verdict)
    if (stage !== 'connect' && stage !== 'hello' && stage !== 'auth') return
    const said = watchedIn(verdict)
    if (said.length > 0 || this.marks[stage].length > 0) this.marks = { ...this.marks, [stage]: said }
  }

  startTls(): void {
    this.flush()
    this.secureWith(() => {
      this.forget()
      this.expect = undefined
      this.extended = false
      this.facts.helo = undefined
      this.marks = { ...noMarks, connect: this.marks.connect }
      this.facts.login = undefined
      this.pace.allowCommand()
    })
  }

  // ── Lines ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  line(text: string): void {
    this.#tap.heard(text, this.expect !== undefined)
    try {
      if (this.expect) {
        const { expect } = this
        this.expect = undefined
        expect(text)
      } else this.#hearing.command(text)
    } catch (error) {
      this.broken(error)
    }
    this.pace.slow()
    // DATA has set the time-out of a message.
    if (!this.pace.holds && !this.#mail.flows) this.awaitCommand()
  }

  awaitCommand(): void {
    const { commandTimeoutSeconds } = this.receiver.policy.settings.advanced
    this.pace.allow(this._upgrading ? Math.min(handshakeSeconds, commandTimeoutSeconds) : commandTimeoutSeconds)
  }

  get owes(): boolean {
    return this.#answers.waiting
  }

  get flows(): boolean {
    return this.#mail.flows
  }

  badLine(fault: LineFault, text = ''): void {
    this.expect = undefined
    this.#hearing.badLine(fault, text)
    this.pace.slow()
  }

  // ── Replies: the one place that writes ─────────────────────────────────────────────────────────────────────────────

  reply(name: ReplyName, values?: ReplyValues): void {
    this.#answers.reply(name, values)
  }

  write(text: string): void {
    this.#answers.write(text)
  }

  settle(verdict: Verdict, about: About = {}): boolean {
    this.watch(verdict)
    const settled = this.#answers.settle(verdict, about)
    if (settled === 'end') this.leave()
    if (settled !== 'proceed' && verdict.stage !== 'connect') this.judge(this.#conduct.refused(verdict, about))
    return settled === 'proceed'
  }

  fault(name: ReplyName, why: Fault): void {
    const isFlood = this.#answers.fault(name, why)
    if (isFlood && this.judge(this.#conduct.attempted('command-flood', 'nothing but protocol errors'))) return
    this.judge(this.#conduct.erred(why.line))
  }

  attempted(attempt: HackAttempt, evidence: string): boolean {
    return this.#conduct.attempted(attempt, evidence) !== undefined
  }

  /** Says why the session ends, when it does. A session that ends already has said it. */
  judge(verdict: Verdict | undefined): boolean {
    if (!verdict || this.isOver) return verdict !== undefined
    if (this.#answers.settle(verdict, {}) === 'end') this.leave()
    return true
  }

  /** Its address was blocked: it ends now, or when the message that is coming in has its answer. */
  expel(): void {
    this.#expelled = true
    if (this.#mail.isUnanswered || this.pace.holds || this._closing) return
    if (this._upgrading) {
      this.destroy()
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

  broken(error: unknown): void {
    const detail = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
    this.forget()
    this.reply('internalError')
    this.#answers.tell('internal-error', detail, wireReply('internalError'))
    this.receiver.trouble(error)
  }

  flush(): void {
    if (this.pace.isLate && !this._closing) return
    const out = this.#answers.take()
    if (out === '') return
    this.#tap.said(out)
    const socket = this._socket
    if (this._upgrading || !socket.writable) return
    // A client that sends commands and reads no replies must not fill our memory.
    if (!socket.write(out, 'latin1') && !this._closing) this.pace.untilDrained(socket)
  }

  wait(work: Promise<void>): void {
    this.pace.wait(work)
  }

  /** Everything that has come is answered: the replies go out in one write (RFC 2920 §3.2). */
  pause(): void {
    if (this.#expelled && !this.pace.holds && !this.#mail.isUnanswered && !this._closing) {
      this.expel()
      return
    }
    if (this.#leaving && !this.transaction && !this.pace.holds && !this._closing) {
      this.stop()
      return
    }
    if (this.#ended && !this.pace.holds) this.leave()
    else this.flush()
  }

  // ── The end ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The client was silent for too long. */
  timeOut(): void {
    if (this._closing || this._upgrading) {
      this.destroy()
      return
    }
    const name = this.#mail.flows ? 'dataTimeout' : 'commandTimeout'
    this.receiver.counters.timeouts_total++
    this.#answers.tell('timeout', this.#mail.flows ? 'silent within a message' : 'no command in time', wireReply(name))
    this.reply(name)
    this.leave()
  }

  /** The service stops: now when idle, else when the transaction has its end. */
  stop(): void {
    this.#leaving = true
    // Before the banner nothing is in progress, whatever is waited for; nor is it where a reply only waits for its time.
    const works = this.pace.holds && !this.pace.isLate && this.#greeted
    if (this.transaction || works || this._closing) return
    if (this._upgrading) {
      this.destroy()
      return
    }
    this.reply('serviceStopping', { hostname: hostName(this.receiver.policy, this.receiver.machine) })
    this.leave()
  }

  /** It was asked to stop, and goes on after all. */
  stay(): void {
    this.#leaving = false
  }

  /** The time to finish is over. */
  leaveNow(): void {
    this.reply('serviceStopping', { hostname: hostName(this.receiver.policy, this.receiver.machine) })
    if (this._upgrading) this.destroy()
    else this.leave()
  }

  leave(): void {
    this.pace.end()
    this.forget()
    if (this.isOver) return
    this.pace.isLate = false
    // A greeting that is a refusal says it already, and a client that sends no more is asked to leave by nobody.
    if (this.#greeted && !this.#ended && !this.#answers.hasSaidGoodbye)
      this.reply('closing', { hostname: hostName(this.receiver.policy, this.receiver.machine) })
    this.flush()
    this.close()
  }

  /** After QUIT nothing more comes (RFC 5321 §4.1.1.10): once the reply is out there is no half-closed connection to keep. */
  bye(): void {
    this.flush()
    const socket = this._socket
    // Nothing waits to be written, and no TLS has a farewell of its own: one system call ends it, and no timer watches that.
    if (!this._upgrading && !this.facts.tls && socket.writableLength === 0) {
      this.pace.end()
      this.forget()
      this._closing = true
      if (this.intake) this.intake.isClosed = true
      socket.destroy()
      return
    }
    this.leave()
    if (!this._upgrading) socket.destroySoon()
  }

  ended(): void {
    this.#ended = true
    const hasNothingToSay = !this.#greeted && this.intake?.unread === undefined
    if (!this.pace.holds || hasNothingToSay) this.leave()
  }

  override _onClose(): void {
    const closed = this._closed
    super._onClose()
    if (closed) return
    this.pace.end()
    this.forget()
    this.recorder.close()
    if (this.#counted) this.receiver.gone(this.facts.ip)
    this.#tap.closed()
  }

  // ── The message ────────────────────────────────────────────────────────────────────────────────────────────────────

  readBody(): void {
    this.#mail.readBody()
  }

  readChunk(chunk: { octets: number; last: boolean }, refuse?: () => void): void {
    this.#mail.readChunk(chunk, refuse)
  }

  body(octets: Buffer): number {
    return this.#mail.take(octets)
  }

  countMessage(): void {
    this.#tap.messages++
  }

  forget(): void {
    this.transaction = undefined
    this.#mail.forget()
  }
}
