import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import type { Location } from '@postern/spool/spool.ts'
import { Remembered } from './result-cache.ts'
import type { Setup, ThreadRequest, ThreadResponse } from './thread-messages.ts'
import type { Question, VerifyResult } from './verify.ts'

/**
 * Verifies messages on its own threads, so that no event loop waits for a signature. It starts a few threads, the first
 * with the first message. A limited number of messages is verified at once; the others queue. A message that takes too
 * long, or whose thread dies, has no result: the caller gets an error, and other messages are affected only briefly.
 */

export type VerifierTimeouts = {
  /** Milliseconds for one message, from the start of its verification. */
  message: number
  /** A thread that has work but sends nothing for this long is ended. */
  thread: number
}

export const defaultTimeouts: VerifierTimeouts = { message: 30_000, thread: 20_000 }

/** Limit for each thread. It is high because the DNS is slow. */
const maxConcurrent = 64
/** Maximum number of a message's pieces that are at the thread at once. */
const maxPiecesInFlight = 16

export class VerifierBusy extends Error {
  override readonly name = 'VerifierBusy'
}

export type VerifierOptions = Setup & {
  threads?: number
  /** Further messages in the queue are rejected with VerifierBusy. Absent: no limit. */
  maxWaiting?: number
  timeouts?: VerifierTimeouts
}

export type Stored = { location: Location; bytes: number; message?: Buffer | undefined }

type Task = {
  start(thread: VerifierThread, id: number): void
  end(outcome: VerifyResult | Error): void
  more: () => void
  timer: NodeJS.Timeout | undefined
}

export class Verifier {
  readonly #options: VerifierOptions
  readonly #maxThreads: number
  readonly #timeouts: VerifierTimeouts
  readonly #threads: VerifierThread[] = []
  readonly #results = new Remembered()
  #queue: Task[] = []
  #closed = false

  constructor(options: VerifierOptions) {
    this.#options = options
    this.#maxThreads = options.threads ?? Math.max(1, Math.min(4, availableParallelism() - 1))
    this.#timeouts = options.timeouts ?? defaultTimeouts
  }

  /** Number of queued messages. */
  get waiting(): number {
    return this.#queue.length
  }

  /** Returns a result that needs no look at the message: only the author's domain matters, and it was checked recently. */
  known(question: Question): VerifyResult | undefined {
    return this.#results.find(question)
  }

  /**
   * Verifies a stored message. `message`: the whole message, if it is in memory; otherwise a thread reads it. Rejects
   * if the message cannot be read or takes too long, or if the thread dies; with VerifierBusy if the queue is full.
   */
  async stored(question: Question, { location, bytes, message }: Stored): Promise<VerifyResult> {
    const result = await this.#put((thread, id) => {
      // A copy, because transferring a view would transfer its whole underlying buffer.
      if (message) thread.send({ kind: 'whole', id, question, message: new Uint8Array(message) })
      else thread.send({ kind: 'stored', id, question, location, bytes })
    })
    this.#results.keep(question, result)
    return result
  }

  /** Verifies a message that is handed over. It is read no faster than it is verified. */
  streamed(question: Question, message: AsyncIterable<Buffer>): Promise<VerifyResult> {
    return this.#put((thread, id, task) => {
      thread.send({ kind: 'sent', id, question })
      void feed(message, { thread, id, task })
    })
  }

  #put(begin: (thread: VerifierThread, id: number, task: Task) => void): Promise<VerifyResult> {
    const { maxWaiting = Number.POSITIVE_INFINITY } = this.#options
    if (this.#closed) return Promise.reject(new Error('the verifier is closed'))
    if (this.#queue.length >= maxWaiting) return Promise.reject(new VerifierBusy('the queue is full'))
    return new Promise((resolve, reject) => {
      const task: Task = {
        start: (thread, id) => begin(thread, id, task),
        end: (outcome) => (outcome instanceof Error ? reject(outcome) : resolve(outcome)),
        more: () => {},
        timer: undefined,
      }
      this.#queue.push(task)
      this.#next()
    })
  }

  #next(): void {
    while (this.#queue.length > 0) {
      const thread = this.#freeThread()
      if (!thread) return
      thread.take(this.#queue.shift() as Task)
    }
  }

  /** Returns the thread with the least work. Starts another one if all are busy. */
  #freeThread(): VerifierThread | undefined {
    let best: VerifierThread | undefined
    for (const thread of this.#threads) if (thread.busy < (best?.busy ?? maxConcurrent)) best = thread
    if ((!best || best.busy > 0) && this.#threads.length < this.#maxThreads) best = this.#startThread()
    return best
  }

  #startThread(): VerifierThread {
    const thread = new VerifierThread(this.#options, this.#timeouts, {
      freed: () => this.#next(),
      gone: () => {
        this.#threads.splice(this.#threads.indexOf(thread), 1)
        if (!this.#closed) this.#next()
      },
    })
    this.#threads.push(thread)
    return thread
  }

  /** Closes the threads. Messages in progress get no result. */
  async close(): Promise<void> {
    this.#closed = true
    for (const task of this.#queue.splice(0)) task.end(new Error('the verifier is closed'))
    await Promise.all(this.#threads.map((thread) => thread.end()))
  }
}

/** One thread and its work. */
class VerifierThread {
  readonly #thread: Worker
  readonly #timeouts: VerifierTimeouts
  readonly #tasks = new Map<number, Task>()
  readonly #events: { freed(): void; gone(): void }
  readonly #watch: NodeJS.Timeout
  #outbox: ThreadRequest[] = []
  #lastId = 0
  #lastMessageAt = 0

  constructor({ servers, spool }: Setup, timeouts: VerifierTimeouts, events: { freed(): void; gone(): void }) {
    const workerData: Setup = { servers, ...(spool === undefined ? {} : { spool }) }
    this.#events = events
    this.#timeouts = timeouts
    this.#thread = new Worker(new URL('./thread.ts', import.meta.url), { workerData })
    this.#thread.unref()
    this.#thread.on('message', (several: ThreadResponse[]) => this.#receive(several))
    this.#thread.on('error', () => {})
    this.#thread.on('exit', () => this.#exited())
    this.#watch = setInterval(() => this.#checkStuck(), timeouts.thread / 4)
    this.#watch.unref()
  }

  get busy(): number {
    return this.#tasks.size
  }

  take(task: Task): void {
    const id = ++this.#lastId
    if (this.#tasks.size === 0) this.#lastMessageAt = performance.now()
    this.#tasks.set(id, task)
    task.timer = setTimeout(() => {
      this.send({ kind: 'dropped', id })
      this.#settle(id, new Error('took too long'))
    }, this.#timeouts.message)
    task.start(this, id)
  }

  /** Sends several requests together. */
  send(request: ThreadRequest): void {
    if (this.#outbox.length === 0)
      queueMicrotask(() => {
        this.#thread.postMessage(this.#outbox)
        this.#outbox = []
      })
    this.#outbox.push(request)
  }

  #receive(several: ThreadResponse[]): void {
    this.#lastMessageAt = performance.now()
    for (const response of several) {
      if (response.kind === 'more') this.#tasks.get(response.id)?.more()
      else this.#settle(response.id, response.kind === 'verified' ? response.result : new Error(response.error))
    }
    this.#events.freed()
  }

  #settle(id: number, outcome: VerifyResult | Error): void {
    const task = this.#tasks.get(id)
    if (!task) return
    this.#tasks.delete(id)
    clearTimeout(task.timer)
    task.end(outcome)
    task.more()
  }

  has(id: number): boolean {
    return this.#tasks.has(id)
  }

  /** Ends a stuck thread. The DNS may be slow, but a thread that waits for it still sends something from time to time. */
  #checkStuck(): void {
    const isStuck = this.#tasks.size > 0 && performance.now() - this.#lastMessageAt > this.#timeouts.thread
    if (isStuck) void this.#thread.terminate()
  }

  #exited(): void {
    clearInterval(this.#watch)
    for (const id of [...this.#tasks.keys()]) this.#settle(id, new Error('its thread ended'))
    this.#events.gone()
  }

  async end(): Promise<void> {
    await this.#thread.terminate()
  }
}

async function feed(
  message: AsyncIterable<Buffer>,
  { thread, id, task }: { thread: VerifierThread; id: number; task: Task },
): Promise<void> {
  try {
    let pieces: Uint8Array[] = []
    for await (const piece of message) {
      // A copy, because transferring a view would transfer its whole underlying buffer.
      pieces.push(new Uint8Array(piece))
      if (pieces.length < maxPiecesInFlight) continue
      const more = new Promise<void>((resolve) => {
        task.more = resolve
      })
      thread.send({ kind: 'piece', id, pieces, last: false })
      pieces = []
      await more
      if (!thread.has(id)) return
    }
    thread.send({ kind: 'piece', id, pieces, last: true })
  } catch {
    // A message that cannot be read here also fails where it is stored. The thread is informed, and its answer settles
    // the task.
    thread.send({ kind: 'dropped', id })
  }
}
