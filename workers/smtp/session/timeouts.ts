import type { Socket } from 'node:net'
import type { ReceiverContext } from './context.ts'
import type { ErrorLimits } from './error-limits.ts'
import type { LineReader } from './line-reader.ts'

/** The session, as its pace sees it. */
export type TimedSession = {
  readonly receiver: ReceiverContext
  readonly isOver: boolean
  readonly intake: LineReader | undefined
  /** Replies that were not sent yet. */
  readonly owes: boolean
  /** Octets of a message are expected. */
  readonly flows: boolean
  /** What was waited for failed. */
  broken(error: unknown): void
  /** Sends what it owes. */
  flush(): void
}

/**
 * Who waits for whom. While a session waits for us, no command of it is read and its silence is not its own; while we wait
 * for the client, its time runs.
 */
export class Timeouts {
  readonly #session: TimedSession
  readonly #conduct: ErrorLimits
  /** When the client's silence ends the session; `Infinity` while it waits for us. */
  deadline = Number.POSITIVE_INFINITY
  /** Replies wait for their time. */
  isLate = false
  #holds = 0

  constructor(session: TimedSession, conduct: ErrorLimits) {
    this.#session = session
    this.#conduct = conduct
  }

  /** The client waits for us. */
  get holds(): boolean {
    return this.#holds > 0
  }

  /** The client has so many seconds from now. */
  allow(seconds: number): void {
    this.deadline = Date.now() + seconds * 1000
  }

  allowCommand(): void {
    this.allow(this.#session.receiver.policy.settings.advanced.commandTimeoutSeconds)
  }

  allowData(): void {
    this.allow(this.#session.receiver.policy.settings.advanced.dataTimeoutSeconds)
  }

  end(): void {
    this.deadline = Number.POSITIVE_INFINITY
  }

  /** No command is read until `work` settles and, past the soft error limit, the time of its reply has come. */
  wait(work: Promise<void>): void {
    this.#hold()
    work
      .catch((error) => this.#session.broken(error))
      .then(() => this.#untilTime())
      .then(() => {
        this.#session.flows ? this.allowData() : this.allowCommand()
        this.#release()
      })
  }

  /** Past the soft error limit what was said waits: this session alone, and its client's next commands with it. */
  slow(): void {
    if (this.#holds || !this.#session.owes || this.#session.isOver || this.#conduct.delaySeconds === 0) return
    this.isLate = true
    this.wait(Promise.resolve())
  }

  #untilTime(): Promise<void> | undefined {
    if (!this.#session.owes || this.#session.isOver) return undefined
    const { delaySeconds } = this.#conduct
    if (delaySeconds === 0) return undefined
    this.isLate = true
    return new Promise((resolve) => setTimeout(resolve, delaySeconds * 1000)).then(() => {
      this.isLate = false
      this.#session.flush()
    })
  }

  /** The client reads no replies: it says nothing more until it does. */
  untilDrained(socket: Socket): void {
    this.#hold()
    this.allowCommand()
    socket.once('drain', () => this.#release())
  }

  #hold(): void {
    this.#holds++
    this.deadline = Number.POSITIVE_INFINITY
    this.#session.intake?.hold()
  }

  #release(): void {
    this.#holds--
    if (this.#holds === 0) this.#session.intake?.release()
  }
}
