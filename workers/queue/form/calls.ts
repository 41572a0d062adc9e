import { Worker } from 'node:worker_threads'

/** Questions to a thread of its own, begun with the first one; each has one answer. A thread that dies answers all with an error. */

export type Question = { id: number }
export type Answer = { id: number; error?: string }

type Pending = { resolve(answer: Answer): void; reject(error: Error): void }

/** Milliseconds for each answer. */
const patience = 30_000

export class Calls<Asked extends Question, Said extends Answer> {
  readonly #script: URL
  readonly #what: string
  #thread: Worker | undefined
  readonly #pending = new Map<number, Pending>()
  #last = 0

  /** `what`: it does, for errors. */
  constructor(script: URL, what: string) {
    this.#script = script
    this.#what = what
  }

  nextId(): number {
    return ++this.#last
  }

  tell(asked: Asked): void {
    this.#thread ??= this.#start()
    this.#thread.postMessage(asked)
  }

  /** One at a time for each id. */
  ask(asked: Asked): Promise<Said> {
    return new Promise<Said>((resolve, reject) => {
      const { id } = asked
      const timer = setTimeout(() => this.#settle(id, new Error(`${this.#what} took too long`)), patience)
      this.#pending.set(id, {
        resolve: (answer) => {
          clearTimeout(timer)
          resolve(answer as Said)
        },
        reject: (error) => {
          clearTimeout(timer)
          reject(error)
        },
      })
      this.tell(asked)
    })
  }

  async close(): Promise<void> {
    await this.#thread?.terminate()
  }

  #start(): Worker {
    const thread = new Worker(this.#script)
    thread.unref()
    thread.on('message', (said: Said) => this.#settle(said.id, said.error === undefined ? said : new Error(said.error)))
    thread.on('error', () => {})
    thread.on('exit', () => {
      if (this.#thread === thread) this.#thread = undefined
      for (const id of [...this.#pending.keys()]) this.#settle(id, new Error(`the thread of ${this.#what} ended`))
    })
    return thread
  }

  #settle(id: number, outcome: Said | Error): void {
    const pending = this.#pending.get(id)
    this.#pending.delete(id)
    if (outcome instanceof Error) pending?.reject(outcome)
    else pending?.resolve(outcome)
  }
}
