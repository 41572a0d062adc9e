import { Worker, type WorkerOptions } from 'node:worker_threads'

/**
 * Requests to a worker thread, each with one response. The thread starts with the first request. One that ends rejects what it
 * had been asked, and the next request starts a new one.
 */

/** The thread answers each request with the same `id`; `error` with its `code` in place of what was asked for. */
export type ThreadRequest = { id: number }
export type ThreadResponse = { id: number; error?: string; code?: string }

export type ThreadOptions = {
  script: URL
  /** What the thread does, for errors: `signing`. */
  task: string
  workerData?: WorkerOptions['workerData']
  /** Milliseconds for each response; without it there is no limit. */
  timeoutMs?: number
  /** Requests without a response; further ones are rejected. */
  maxPending?: number
  /** It has a state of its own: one that ends is not replaced, and the process does not end before it. */
  once?: true
}

/** `code`: what the thread said, e.g. SQLITE_FULL; empty when it ended or took too long. */
export class ThreadError extends Error {
  override readonly name = 'ThreadError'
  readonly code: string
  constructor(message: string, code = '') {
    super(message)
    this.code = code
  }
}

type Pending<Response> = { resolve(response: Response): void; reject(error: Error): void; timer?: NodeJS.Timeout }

export class Thread<Request extends ThreadRequest, Response extends ThreadResponse> {
  readonly #options: ThreadOptions
  #worker: Worker | undefined
  readonly #pending = new Map<number, Pending<Response>>()
  #lastId = 0
  /** Why a thread that is not replaced ended. */
  #ended: ThreadError | undefined

  constructor(options: ThreadOptions) {
    this.#options = options
  }

  nextId(): number {
    return ++this.#lastId
  }

  /** Posts what has no response. */
  post(request: Request): void {
    this.#worker ??= this.#start()
    this.#worker.postMessage(request)
  }

  /** One request at a time for each id. Rejects with ThreadError. */
  ask(request: Request): Promise<Response> {
    const { task, timeoutMs, maxPending = Number.POSITIVE_INFINITY } = this.#options
    if (this.#pending.size >= maxPending)
      return Promise.reject(new ThreadError(`${task}: ${maxPending} requests are waiting`))
    return new Promise<Response>((resolve, reject) => {
      if (this.#ended) return reject(this.#ended)
      const { id } = request
      const pending: Pending<Response> = { resolve, reject }
      if (timeoutMs !== undefined)
        pending.timer = setTimeout(() => this.#settle(id, new ThreadError(`${task} took too long`)), timeoutMs)
      this.#pending.set(id, pending)
      this.post(request)
    })
  }

  /** Ends the thread; what it was asked is rejected. */
  async close(): Promise<void> {
    await this.#worker?.terminate()
  }

  #start(): Worker {
    const { script, task, workerData, once } = this.#options
    const worker = new Worker(script, { workerData })
    let why = ''
    if (!once) worker.unref()
    worker.on('message', (response: Response) => {
      const { id, error, code } = response
      this.#settle(id, error === undefined ? response : new ThreadError(error, code))
    })
    // 'exit' follows.
    worker.on('error', (error) => {
      why = `: ${(error as Error).message}`
    })
    worker.on('exit', () => {
      const ended = new ThreadError(`the thread of ${task} ended${why}`)
      if (this.#worker === worker) this.#worker = undefined
      if (once) this.#ended = ended
      for (const id of [...this.#pending.keys()]) this.#settle(id, ended)
    })
    return worker
  }

  #settle(id: number, outcome: Response | Error): void {
    const pending = this.#pending.get(id)
    this.#pending.delete(id)
    clearTimeout(pending?.timer)
    if (outcome instanceof Error) pending?.reject(outcome)
    else pending?.resolve(outcome)
  }
}
