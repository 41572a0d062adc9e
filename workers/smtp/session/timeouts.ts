import type { Socket } from 'node:net'
import type { ErrorLimits } from './error-limits.ts'
import type { SessionView } from './view.ts'

/**
 * Deadlines and delays of one session. While the client waits for us no command is read and its silence does not count; while
 * we wait for the client its time runs.
 */
export class Timeouts {
  readonly #session: SessionView
  readonly #limits: ErrorLimits
  /** When the client's silence ends the session; `Infinity` while it waits for us. */
  deadline = Number.POSITIVE_INFINITY
  /** The replies are delayed by the soft error limit. */
  isDelayed = false
  #waits = 0

  constructor(session: SessionView, limits: ErrorLimits) {
    this.#session = session
    this.#limits = limits
  }

  /** The client waits for us. */
  get isWaiting(): boolean {
    return this.#waits > 0
  }

  /** The client has this long from now. */
  allow(seconds: number): void {
    this.deadline = performance.now() + seconds * 1000
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

  /** No command is read until `work` settles and, past the soft error limit, the delay of its reply is over. */
  wait(work: Promise<unknown>): void {
    this.#hold()
    work
      .catch((error) => this.#session.broken(error))
      .then(() => this.#delay())
      .then(() => {
        this.#session.phase === 'message' ? this.allowData() : this.allowCommand()
        this.#release()
      })
  }

  /** Past the soft error limit the replies wait, and the client's next commands with them; no other session does. */
  delayReplies(): void {
    const { hasReplies, isOver } = this.#session
    if (this.#waits || !hasReplies || isOver || this.#limits.delaySeconds === 0) return
    this.isDelayed = true
    this.wait(Promise.resolve())
  }

  #delay(): Promise<void> | undefined {
    if (!this.#session.hasReplies || this.#session.isOver) return undefined
    const { delaySeconds } = this.#limits
    if (delaySeconds === 0) return undefined
    this.isDelayed = true
    return new Promise((resolve) => setTimeout(resolve, delaySeconds * 1000)).then(() => {
      this.isDelayed = false
      this.#session.flush()
    })
  }

  /** The client reads no replies: no command is read until it does. */
  untilDrained(socket: Socket): void {
    this.#hold()
    this.allowCommand()
    socket.once('drain', () => this.#release())
  }

  #hold(): void {
    this.#waits++
    this.deadline = Number.POSITIVE_INFINITY
    this.#session.reader?.hold()
  }

  #release(): void {
    this.#waits--
    if (this.#waits === 0) this.#session.reader?.release()
  }
}
