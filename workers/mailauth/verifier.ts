import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import type { Location } from '@postern/spool/spool.ts'
import { Remembered } from './result-cache.ts'
import type { Asked, Said, Setup } from './thread-messages.ts'
import type { Examined, Question } from './verify.ts'

/**
 * Examines messages on threads of its own, so that no event loop waits for a signature. A few threads, begun when the first
 * message comes; so many messages at once, and the others in line. A message that takes too long, or with which its thread
 * dies, is not known: that is an error to whoever asked, and never touches another message for long.
 */

export type Patience = {
  /** Milliseconds for one message, from its turn on. */
  message: number
  /** A thread that says nothing for so long while it has work is ended. */
  thread: number
}

export const usualPatience: Patience = { message: 30_000, thread: 20_000 }

/** Each thread; the DNS takes its time. */
const atOnce = 64
/** Pieces of a message that are with the thread at once. */
const piecesAtOnce = 16

export class ExaminerBusy extends Error {
  override readonly name = 'ExaminerBusy'
}

export type ExaminerOptions = Setup & {
  threads?: number
  /** More in line than this are refused with ExaminerBusy; without it nobody is. */
  maxWaiting?: number
  patience?: Patience
}

export type Stored = { location: Location; octets: number; message?: Buffer | undefined }

type Task = {
  begin(hand: Hand, id: number): void
  end(outcome: Examined | Error): void
  more: () => void
  timer: NodeJS.Timeout | undefined
}

export class Examiner {
  readonly #options: ExaminerOptions
  readonly #most: number
  readonly #patience: Patience
  readonly #hands: Hand[] = []
  readonly #remembered = new Remembered()
  #line: Task[] = []
  #closed = false

  constructor(options: ExaminerOptions) {
    this.#options = options
    this.#most = options.threads ?? Math.max(1, Math.min(4, availableParallelism() - 1))
    this.#patience = options.patience ?? usualPatience
  }

  /** Messages in line. */
  get waiting(): number {
    return this.#line.length
  }

  /** What is known without a look at the message: it is the author's domain that counts, and it was asked about just now. */
  known(question: Question): Examined | undefined {
    return this.#remembered.find(question)
  }

  /**
   * `message`: all of it, where it is at hand; else a thread reads it. Rejects when it cannot be read, takes too long, or the
   * thread dies; with ExaminerBusy when the line is full.
   */
  async stored(question: Question, { location, octets, message }: Stored): Promise<Examined> {
    const examined = await this.#put((hand, id) => {
      // A copy of its own: with a view goes all the memory that it looks at.
      if (message) hand.say({ kind: 'whole', id, question, message: new Uint8Array(message) })
      else hand.say({ kind: 'stored', id, question, location, octets })
    })
    this.#remembered.keep(question, examined)
    return examined
  }

  /** The same of a message that is handed over; it is read no faster than it is examined. */
  sent(question: Question, message: AsyncIterable<Buffer>): Promise<Examined> {
    return this.#put((hand, id, task) => {
      hand.say({ kind: 'sent', id, question })
      void feed(message, { hand, id, task })
    })
  }

  #put(begin: (hand: Hand, id: number, task: Task) => void): Promise<Examined> {
    const { maxWaiting = Number.POSITIVE_INFINITY } = this.#options
    if (this.#closed) return Promise.reject(new Error('the examiner is closed'))
    if (this.#line.length >= maxWaiting) return Promise.reject(new ExaminerBusy('too many messages are in line'))
    return new Promise((resolve, reject) => {
      const task: Task = {
        begin: (hand, id) => begin(hand, id, task),
        end: (outcome) => (outcome instanceof Error ? reject(outcome) : resolve(outcome)),
        more: () => {},
        timer: undefined,
      }
      this.#line.push(task)
      this.#next()
    })
  }

  #next(): void {
    while (this.#line.length > 0) {
      const hand = this.#freeHand()
      if (!hand) return
      hand.take(this.#line.shift() as Task)
    }
  }

  /** The one with least to do; another is made when all have something to do. */
  #freeHand(): Hand | undefined {
    let best: Hand | undefined
    for (const hand of this.#hands) if (hand.busy < (best?.busy ?? atOnce)) best = hand
    if ((!best || best.busy > 0) && this.#hands.length < this.#most) best = this.#makeHand()
    return best
  }

  #makeHand(): Hand {
    const hand = new Hand(this.#options, this.#patience, {
      freed: () => this.#next(),
      gone: () => {
        this.#hands.splice(this.#hands.indexOf(hand), 1)
        if (!this.#closed) this.#next()
      },
    })
    this.#hands.push(hand)
    return hand
  }

  /** What is under way is not known any more. */
  async close(): Promise<void> {
    this.#closed = true
    for (const task of this.#line.splice(0)) task.end(new Error('the examiner is closed'))
    await Promise.all(this.#hands.map((hand) => hand.end()))
  }
}

/** One thread and what it has to do. */
class Hand {
  readonly #thread: Worker
  readonly #patience: Patience
  readonly #tasks = new Map<number, Task>()
  readonly #events: { freed(): void; gone(): void }
  readonly #watch: NodeJS.Timeout
  #outbox: Asked[] = []
  #lastId = 0
  #heardAt = 0

  constructor({ servers, spool }: Setup, patience: Patience, events: { freed(): void; gone(): void }) {
    const workerData: Setup = { servers, ...(spool === undefined ? {} : { spool }) }
    this.#events = events
    this.#patience = patience
    this.#thread = new Worker(new URL('./thread.ts', import.meta.url), { workerData })
    this.#thread.unref()
    this.#thread.on('message', (several: Said[]) => this.#hear(several))
    this.#thread.on('error', () => {})
    this.#thread.on('exit', () => this.#exited())
    this.#watch = setInterval(() => this.#look(), patience.thread / 4)
    this.#watch.unref()
  }

  get busy(): number {
    return this.#tasks.size
  }

  take(task: Task): void {
    const id = ++this.#lastId
    if (this.#tasks.size === 0) this.#heardAt = performance.now()
    this.#tasks.set(id, task)
    task.timer = setTimeout(() => {
      this.say({ kind: 'dropped', id })
      this.#settle(id, new Error('took too long'))
    }, this.#patience.message)
    task.begin(this, id)
  }

  /** Several at once travel together. */
  say(asked: Asked): void {
    if (this.#outbox.length === 0)
      queueMicrotask(() => {
        this.#thread.postMessage(this.#outbox)
        this.#outbox = []
      })
    this.#outbox.push(asked)
  }

  #hear(several: Said[]): void {
    this.#heardAt = performance.now()
    for (const said of several) {
      if (said.kind === 'more') this.#tasks.get(said.id)?.more()
      else this.#settle(said.id, said.kind === 'examined' ? said.examined : new Error(said.error))
    }
    this.#events.freed()
  }

  #settle(id: number, outcome: Examined | Error): void {
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

  /** The DNS may be slow, but a thread that waits for it says something of some message now and then. */
  #look(): void {
    const isStuck = this.#tasks.size > 0 && performance.now() - this.#heardAt > this.#patience.thread
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
  { hand, id, task }: { hand: Hand; id: number; task: Task },
): Promise<void> {
  try {
    let pieces: Uint8Array[] = []
    for await (const piece of message) {
      // A copy of its own: with a view goes all the memory that it looks at.
      pieces.push(new Uint8Array(piece))
      if (pieces.length < piecesAtOnce) continue
      const more = new Promise<void>((resolve) => {
        task.more = resolve
      })
      hand.say({ kind: 'piece', id, pieces, last: false })
      pieces = []
      await more
      if (!hand.has(id)) return
    }
    hand.say({ kind: 'piece', id, pieces, last: true })
  } catch {
    // What cannot be read here will fail where it is stored; the thread is told, and its answer settles the task.
    hand.say({ kind: 'dropped', id })
  }
}
