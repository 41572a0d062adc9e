import type { DkimKey } from '@postern/contract/directory.ts'
import { Calls } from './calls.ts'

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

export class Signer {
  readonly #calls = new Calls<Asked, Said>(new URL('./sign-thread.ts', import.meta.url), 'signing')

  /** DKIM-Signature fields of a message, each ending in CRLF (latin1). Rejects when it cannot be read or signed. */
  async sign(message: AsyncIterable<Buffer> | Iterable<Buffer>, request: SignRequest): Promise<string> {
    const id = this.#calls.nextId()
    try {
      this.#calls.tell({ kind: 'begin', id, ...request })
      for await (const octets of message) await this.#calls.ask({ kind: 'piece', id, octets })
      const { lines } = await this.#calls.ask({ kind: 'end', id })
      return lines ?? ''
    } catch (error) {
      this.#calls.tell({ kind: 'drop', id })
      throw error
    }
  }

  close(): Promise<void> {
    return this.#calls.close()
  }
}
