import { Worker } from 'node:worker_threads'
import type { DkimKey } from '@postern/contract/directory.ts'

/** Signs messages (RFC 6376, RFC 8463) in a thread of its own, begun when the first one comes. Messages go there in pieces. */

export type SigningKey = Pick<DkimKey, 'domain' | 'selector' | 'headers' | 'privateKey'>

/** `t=` of the signature in milliseconds: the same for each try, so that a retry says the same. */
export type SignRequest = { keys: readonly SigningKey[]; at: number }

export type Asked =
  | ({ kind: 'begin'; id: number } & SignRequest)
  | { kind: 'piece'; id: number; octets: Uint8Array }
  | { kind: 'end'; id: number }
  | { kind: 'drop'; id: number }
/** `error` with no `lines`. Without both: go on with the next piece. */
export type Said = { id: number; lines?: string; error?: string }

type Pending = { resolve(said: Said): void; reject(error: Error): void }

/** Milliseconds for each step. */
const patience = 30_000

export class Signer {
  #thread: Worker | undefined
  readonly #pending = new Map<number, Pending>()
  #last = 0

  /** DKIM-Signature fields of a message, each ending in CRLF (latin1). Rejects when it cannot be read or signed. */
  async sign(message: AsyncIterable<Buffer> | Iterable<Buffer>, request: SignRequest): Promise<string> {
    const id = ++this.#last
    try {
      this.#say({ kind: 'begin', id, ...request })
      for await (const octets of message) await this.#ask({ kind: 'piece', id, octets })
      const { lines } = await this.#ask({ kind: 'end', id })
      return lines ?? ''
    } catch (error) {
      this.#thread?.postMessage({ kind: 'drop', id } satisfies Asked)
      throw error
    }
  }

  async close(): Promise<void> {
    await this.#thread?.terminate()
  }

  #say(asked: Asked): void {
    this.#thread ??= this.#start()
    this.#thread.postMessage(asked)
  }

  #ask(asked: Asked): Promise<Said> {
    return new Promise<Said>((resolve, reject) => {
      const timer = setTimeout(() => this.#settle(asked.id, new Error('signing took too long')), patience)
      const settled = (done: () => void) => {
        clearTimeout(timer)
        done()
      }
      this.#pending.set(asked.id, {
        resolve: (said) => settled(() => resolve(said)),
        reject: (error) => settled(() => reject(error)),
      })
      this.#say(asked)
    })
  }

  #start(): Worker {
    const thread = new Worker(new URL('./sign-thread.ts', import.meta.url))
    thread.unref()
    thread.on('message', (said: Said) => this.#settle(said.id, said.error === undefined ? said : new Error(said.error)))
    thread.on('error', () => {})
    thread.on('exit', () => {
      if (this.#thread === thread) this.#thread = undefined
      for (const id of [...this.#pending.keys()]) this.#settle(id, new Error('the signing thread ended'))
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
