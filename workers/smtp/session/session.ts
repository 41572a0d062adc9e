import type { Socket } from 'node:net'
import type { DataFacts } from '@postern/contract/facts.ts'
import { hostNameOf } from '@postern/contract/host-name.ts'
import type { HackAttempt } from '@postern/contract/offences.ts'
import type { ReplyName } from '@postern/contract/replies.ts'
import type { DataVerdict, ReplyValues, Verdict } from '@postern/contract/verdict.ts'
import type { SMTPServer } from 'smtp-server'
import type { ProtocolError, SessionStage, StageStep } from '../commands/command.ts'
import { commands } from '../commands/table.ts'
import type { Origin } from '../listen/connection-origin.ts'
import type { FactsOf } from '../lookups/required-lookups.ts'
import { type Transaction, watchedRules } from '../message/transaction.ts'
import { SessionFactsRecorder } from '../record/session-facts.ts'
import { type About, SessionLog } from '../record/session-log.ts'
import { CommandReader } from './command-reader.ts'
import { Connection } from './connection.ts'
import type { ReceiverContext } from './context.ts'
import { ErrorLimits } from './error-limits.ts'
import { isEarlyTalk, startSession } from './greeting.ts'
import { type LineConsumer, type LineFault, LineReader } from './line-reader.ts'
import { MessageReader } from './message-reader.ts'
import type { Exit } from './phase.ts'
import { Replies } from './replies.ts'
import { decideStage } from './stages.ts'
import { Timeouts } from './timeouts.ts'
import type { SessionView } from './view.ts'

/** A client that goes away within a handshake shows no end; only time does. */
const handshakeSeconds = 10

const noRules = { connect: [], hello: [], auth: [] } as const
const none: readonly string[] = []

/**
 * One client's session: hands lines and bytes to its readers, writes the replies, and ends. The order of things is in
 * `phase.ts`.
 */
export class Session extends Connection implements SessionView, LineConsumer {
  readonly recorder: SessionFactsRecorder
  readonly timeouts: Timeouts
  readonly #replies: Replies
  readonly #limits: ErrorLimits
  readonly #log: SessionLog
  readonly #commands: CommandReader
  readonly #messages: MessageReader
  #rules: { readonly [stage in 'connect' | 'hello' | 'auth']: readonly string[] } = noRules
  #response: ((line: string) => void) | undefined
  #exit: Exit | undefined
  /** The client sends no more. */
  #hasInputEnded = false
  transaction: Transaction | undefined
  extended = false

  constructor(receiver: ReceiverContext & SMTPServer, socket: Socket, origin: Origin) {
    super(receiver, socket, origin)
    this.#log = new SessionLog(receiver, this.facts, { session: origin.id, isVerb: (verb) => commands.has(verb) })
    this.#replies = new Replies(this.#log)
    this.recorder = new SessionFactsRecorder(receiver.facts)
    this.#limits = new ErrorLimits(receiver, this.facts, { log: this.#log, recorder: this.recorder })
    this.timeouts = new Timeouts(this, this.#limits)
    this.#commands = new CommandReader(this, this.#replies, this.#limits)
    this.#messages = new MessageReader(this)
  }

  protected override createReader(): LineReader {
    return new LineReader(this)
  }

  get isWaiting(): boolean {
    return this.timeouts.isWaiting
  }

  get hasReplies(): boolean {
    return this.#replies.waiting
  }

  get #hostname(): string {
    const { policy, machine } = this.receiver
    return hostNameOf(policy.settings.general.hostname, machine)
  }

  // ── Beginning ──────────────────────────────────────────────────────────────────────────────────────────────────────

  override init(): void {
    this.enter('greeting')
    const counts = this.receiver.enter(this.facts.ip)
    this.#log.opened()
    this.listen(() => startSession(this, counts))
  }

  get hasTalkedEarly(): boolean {
    const unread = this.reader?.unread
    return unread !== undefined && isEarlyTalk(unread)
  }

  greet(): void {
    const { policy, stopping } = this.receiver
    this.enter('commands')
    if (stopping) {
      this.stop()
      return
    }
    const message = policy.settings.advanced.helloMessage || 'ESMTP Postern'
    this.reply('banner', { hostname: this.#hostname, message })
    this.flush()
    this.timeouts.allowCommand()
  }

  startTls(): void {
    this.flush()
    this.secureWith(() => {
      this.forget()
      this.extended = false
      this.facts.helo = undefined
      this.#rules = { ...noRules, connect: this.#rules.connect }
      this.facts.login = undefined
      this.timeouts.allowCommand()
    })
  }

  // ── Decisions ──────────────────────────────────────────────────────────────────────────────────────────────────────

  decide<S extends SessionStage>(stage: S, facts: FactsOf[S], step: StageStep<S>): void {
    decideStage(this, stage, facts, step)
  }

  settle(verdict: Verdict, about: About = {}): boolean {
    this.#log.watched(verdict)
    const settled = this.#replies.settle(verdict, about)
    if (settled === 'end') this.leave()
    if (settled !== 'proceed' && verdict.stage !== 'connect') this.judge(this.#limits.refused(verdict, about))
    return settled === 'proceed'
  }

  get rules(): readonly string[] {
    const { connect, hello, auth } = this.#rules
    return connect.length + hello.length + auth.length === 0 ? none : [...connect, ...hello, ...auth]
  }

  noteRules(verdict: Verdict): void {
    const { stage } = verdict
    this.#log.watched(verdict)
    if (stage !== 'connect' && stage !== 'hello' && stage !== 'auth') return
    const notes = watchedRules(verdict)
    if (notes.length > 0 || this.#rules[stage].length > 0) this.#rules = { ...this.#rules, [stage]: notes }
  }

  loggedIn(login: string, mechanism: string): void {
    this.facts.login = login
    this.#log.loggedIn(login, mechanism)
  }

  protocolError(name: ReplyName, error: ProtocolError): void {
    const isFlood = this.#replies.protocolError(name, error)
    if (isFlood && this.judge(this.#limits.hackAttempt('command-flood', 'nothing but protocol errors'))) return
    this.judge(this.#limits.protocolError(error.line))
  }

  hackAttempt(attempt: HackAttempt, evidence: string): boolean {
    return this.#limits.hackAttempt(attempt, evidence) !== undefined
  }

  /** A session that ends already has given its reason. */
  judge(verdict: Verdict | undefined): boolean {
    if (!verdict || this.isOver) return verdict !== undefined
    if (this.#replies.settle(verdict, {}) === 'end') this.leave()
    return true
  }

  // ── Lines ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  line(text: string): void {
    this.#log.received(text, this.phase === 'response')
    try {
      const response = this.#takeResponse()
      if (response) response(text)
      else this.#commands.command(text)
    } catch (error) {
      this.broken(error)
    }
    this.timeouts.delayReplies()
    // DATA has set the time-out of a message.
    if (!this.isWaiting && this.phase !== 'message') this.awaitCommand()
  }

  badLine(fault: LineFault, text = ''): void {
    this.#takeResponse()
    this.#commands.badLine(fault, text)
    this.timeouts.delayReplies()
  }

  awaitResponse(take: (line: string) => void): void {
    this.#response = take
    this.enter('response')
  }

  #takeResponse(): ((line: string) => void) | undefined {
    if (this.phase !== 'response') return undefined
    this.enter('commands')
    return this.#response
  }

  awaitCommand(): void {
    const { commandTimeoutSeconds } = this.receiver.policy.settings.advanced
    this.timeouts.allow(
      this.phase === 'handshake' ? Math.min(handshakeSeconds, commandTimeoutSeconds) : commandTimeoutSeconds,
    )
  }

  awaitData(): void {
    this.timeouts.allowData()
  }

  delayReplies(): void {
    this.timeouts.delayReplies()
  }

  // ── Replies: the one place that writes ─────────────────────────────────────────────────────────────────────────────

  reply(name: ReplyName, values?: ReplyValues): void {
    this.#replies.reply(name, values)
  }

  write(text: string): void {
    this.#replies.write(text)
  }

  broken(error: unknown): void {
    const detail = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
    this.forget()
    this.#log.error('internal-error', detail, this.#replies.reply('internalError'))
    this.receiver.trouble(error)
  }

  protected override failed(): void {
    this.reply('internalError')
    this.leave()
  }

  flush(): void {
    if (this.timeouts.isDelayed && this.phase !== 'closing') return
    const out = this.#replies.take()
    if (out === '') return
    this.#log.sent(out)
    const { socket } = this
    if (this.phase === 'handshake' || !socket.writable) return
    // A client that sends commands and reads no replies must not fill our memory.
    if (!socket.write(out, 'latin1') && this.phase !== 'closing') this.timeouts.untilDrained(socket)
  }

  wait(work: Promise<unknown>): void {
    this.timeouts.wait(work)
  }

  /** Everything that has come is answered: the replies go out in one write (RFC 2920 §3.2). */
  pause(): void {
    if (this.isWaiting || this.phase === 'closing') this.flush()
    else if (this.#exit === 'blocked' && !this.#messages.isUnanswered) this.expel()
    else if (this.#exit === 'stopping' && !this.transaction) this.stop()
    else if (this.#hasInputEnded) this.leave()
    else this.flush()
  }

  // ── The end ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The client was silent for too long. */
  timeOut(): void {
    if (this.isOver || this.phase === 'handshake') {
      this.destroySocket()
      return
    }
    const [name, detail] =
      this.phase === 'message'
        ? (['dataTimeout', 'silent within a message'] as const)
        : (['commandTimeout', 'no command in time'] as const)
    this.#log.timedOut(detail, this.#replies.reply(name))
    this.leave()
  }

  /** Its address was blocked: the session ends now, or when the message that is coming in has its answer. */
  expel(): void {
    this.#exit = 'blocked'
    if (this.#messages.isUnanswered || this.isWaiting || this.phase === 'closing') return
    if (this.phase === 'handshake') {
      this.destroySocket()
      return
    }
    this.reply('addressBlocked')
    this.leave()
  }

  /** The service stops: the session ends now when idle, else when the transaction has its end. */
  stop(): void {
    this.#exit ??= 'stopping'
    // Before the banner nothing is in progress, whatever is waited for; nor is it where a reply is only delayed.
    const isBusy = this.isWaiting && !this.timeouts.isDelayed && this.isGreeted
    if (this.transaction || isBusy || this.phase === 'closing') return
    this.leaveNow()
  }

  /** The service goes on after all. */
  stay(): void {
    if (this.#exit === 'stopping') this.#exit = undefined
  }

  /** The service stops, and the time to finish is over. */
  leaveNow(): void {
    if (this.phase === 'handshake') {
      this.destroySocket()
      return
    }
    this.reply('serviceStopping', { hostname: this.#hostname })
    this.leave()
  }

  leave(): void {
    const { isGreeted } = this
    this.timeouts.end()
    this.forget()
    if (this.isOver) return
    this.timeouts.isDelayed = false
    // A refusal in place of the banner says it already, and a client that sends no more needs no 421.
    if (isGreeted && !this.#hasInputEnded && !this.#replies.saidGoodbye)
      this.reply('closing', { hostname: this.#hostname })
    this.flush()
    this.close()
  }

  override close(): void {
    this.enter('closing')
    super.close()
  }

  /** After QUIT nothing more comes (RFC 5321 §4.1.1.10): once the reply is out, no half-closed connection is kept. */
  quit(): void {
    this.flush()
    // Nothing waits to be written, and there is no TLS to be closed: one system call ends it, and no timer watches that.
    if (this.phase !== 'handshake' && !this.facts.tls && this.socket.writableLength === 0) {
      this.timeouts.end()
      this.forget()
      this.enter('closing')
      this.destroyAtOnce()
      return
    }
    this.leave()
    this.socket.destroySoon()
  }

  ended(): void {
    this.#hasInputEnded = true
    const hasNothingToSay = !this.isGreeted && this.reader?.unread === undefined
    if (!this.isWaiting || hasNothingToSay) this.leave()
  }

  protected override closed(): void {
    const wasCounted = this.phase !== 'new'
    this.enter('closed')
    this.timeouts.end()
    this.forget()
    this.recorder.close()
    if (wasCounted) this.receiver.gone(this.facts.ip)
    this.#log.closed()
  }

  // ── The message ────────────────────────────────────────────────────────────────────────────────────────────────────

  readBody(): void {
    this.#messages.readBody()
  }

  readChunk(chunk: { bytes: number; last: boolean }, refuse?: () => void): void {
    this.#messages.readChunk(chunk, refuse)
  }

  body(chunk: Buffer): number {
    return this.#messages.take(chunk)
  }

  messageDecided(facts: DataFacts, verdict: DataVerdict): void {
    this.recorder.data(facts)
    this.#log.watched(verdict)
  }

  refuseMessage(transaction: Transaction, verdict: Verdict, size: number): void {
    const { outcome } = verdict
    if (outcome.kind !== 'refuse') return
    const { sender, recipients } = transaction
    const reply = this.#replies.reply(outcome.reply, outcome.values)
    this.#log.messageRefused(verdict, reply, { sender, recipients, size })
  }

  messageEnded(): void {
    this.#log.messages++
  }

  forget(): void {
    this.transaction = undefined
    this.#messages.forget()
  }
}
