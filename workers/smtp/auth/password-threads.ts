import { Worker } from 'node:worker_threads'
import type { ThreadSetup } from './password-thread.ts'

type PendingCheck = { settle: (matches: boolean) => void; fail: (error: Error) => void }

/**
 * Checks passwords in threads of the lowest priority, so that password guessing never slows mail. There are as many threads as
 * checks ever ran at the same time; the caller bounds that.
 */
export class PasswordThreads {
  readonly #setup: ThreadSetup
  readonly #idle: Worker[] = []
  readonly #busy = new Map<Worker, PendingCheck>()

  constructor(setup: ThreadSetup) {
    this.#setup = setup
  }

  /** Rejects when the hash cannot be read or the thread has died. */
  check(hash: string, password: string): Promise<boolean> {
    const thread = this.#idle.pop() ?? this.#start()
    return new Promise((settle, fail) => {
      this.#busy.set(thread, { settle, fail })
      thread.postMessage({ hash, password })
    })
  }

  #start(): Worker {
    const thread = new Worker(new URL('password-thread.ts', import.meta.url), { workerData: this.#setup })
    thread.unref()
    thread.on('message', ({ matches }: { matches?: boolean }) => {
      const pending = this.#take(thread)
      this.#idle.push(thread)
      if (matches === undefined) pending?.fail(new Error('the hash cannot be read'))
      else pending?.settle(matches)
    })
    thread.on('error', (error) => this.#lost(thread, error as Error))
    thread.on('exit', () => this.#lost(thread, new Error('the thread has ended')))
    return thread
  }

  #take(thread: Worker): PendingCheck | undefined {
    const pending = this.#busy.get(thread)
    this.#busy.delete(thread)
    return pending
  }

  #lost(thread: Worker, error: Error): void {
    const at = this.#idle.indexOf(thread)
    if (at !== -1) this.#idle.splice(at, 1)
    this.#take(thread)?.fail(error)
  }
}
