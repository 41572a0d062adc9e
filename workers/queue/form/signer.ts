import type { DkimKey } from '@postern/contract/directory.ts'
import { Thread } from '@postern/net/thread.ts'

/** Signs messages (RFC 6376, RFC 8463) in a thread of its own, begun when the first one comes. Messages go there in pieces. */

export type SigningKey = Pick<DkimKey, 'domain' | 'selector' | 'headers' | 'privateKey'>
/** `t=` of the signature in milliseconds: the same for each try, so that a retry says the same. */
export type SignRequest = { keys: readonly SigningKey[]; at: number }

export type SignThreadRequest =
  | ({ kind: 'begin'; id: number } & SignRequest)
  | { kind: 'piece'; id: number; bytes: Uint8Array }
  | { kind: 'end'; id: number }
  | { kind: 'drop'; id: number }
/** `error` with no `lines`. Without both: go on with the next piece. */
export type SignThreadResponse = { id: number; lines?: string; error?: string }

export class Signer {
  readonly #thread = new Thread<SignThreadRequest, SignThreadResponse>({
    script: new URL('./sign-thread.ts', import.meta.url),
    task: 'signing',
    timeoutMs: 30_000,
  })

  /** DKIM-Signature fields of a message, each ending in CRLF (latin1). Rejects when it cannot be read or signed. */
  async sign(message: AsyncIterable<Buffer> | Iterable<Buffer>, request: SignRequest): Promise<string> {
    const id = this.#thread.nextId()
    try {
      this.#thread.post({ kind: 'begin', id, ...request })
      for await (const bytes of message) await this.#thread.ask({ kind: 'piece', id, bytes })
      const { lines } = await this.#thread.ask({ kind: 'end', id })
      return lines ?? ''
    } catch (error) {
      this.#thread.post({ kind: 'drop', id })
      throw error
    }
  }

  close(): Promise<void> {
    return this.#thread.close()
  }
}
