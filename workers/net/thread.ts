import { Worker, type WorkerOptions } from 'node:worker_threads'

/**
 * Sends requests to a worker thread; each gets one response. The thread starts with the first request. When a thread
 * ends, its pending requests are rejected, and the next request starts a new one.
 */

/**
 * The thread answers each request with the same `id`. On failure the response has `error` with its `code` instead of a
 * result.
 */
export type ThreadRequest = { id: number }
export type ThreadResponse = { id: number; error?: string; code?: string }

export type ThreadOptions = {
  script: URL
  /** The thread's task, for error messages: `signing`. */
  task: string
  workerData?: WorkerOptions['workerData']
  /** Milliseconds for each response. Absent: no limit. */
  timeoutMs?: number
  /** Maximum number of pending requests; further ones are rejected. */
  maxPending?: number
  /** The thread has its own state: it is not replaced if it ends, and the process does not end before it. */
  once?: true
}

/** `code`: the code from the thread, e.g. SQLITE_FULL; empty if the thread ended or timed out. */
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

  /** Posts a request without a response. */
  post(request: Request): void {
    this.#worker ??= this.#start()
    this.#worker.postMessage(request)
  }

  /** Sends a request. Only one request at a time for each id. Rejects with ThreadError. */
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

  /** Ends the thread and rejects its pending requests. */
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
