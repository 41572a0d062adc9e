/** Takes the bytes after DATA or BDAT until it says that they have ended. */
export type MessageInput = {
  /** Bytes so far. */
  readonly size: number
  /** There are so many that their end is not waited for. */
  readonly endless: boolean
  /** @returns bytes used when the end was in them, else -1; and what has to be waited for before the next */
  take(chunk: Buffer): { used: number; wait?: Promise<void> | undefined }
}

/**
 * One chunk of a message (RFC 3030 §2): a known number of bytes, whatever they are. A chunk that is refused is read as well,
 * and dropped: what is in it is never a command.
 */
export class Chunk implements MessageInput {
  readonly endless = false
  readonly #bytes: number
  readonly #into: Pick<MessageInput, 'take'> | undefined
  #left: number

  constructor(bytes: number, into: Pick<MessageInput, 'take'> | undefined) {
    this.#bytes = bytes
    this.#left = bytes
    this.#into = into
  }

  get size(): number {
    return this.#bytes - this.#left
  }

  take(chunk: Buffer): { used: number; wait?: Promise<void> | undefined } {
    const ours = chunk.length > this.#left ? chunk.subarray(0, this.#left) : chunk
    this.#left -= ours.length
    return { used: this.#left === 0 ? ours.length : -1, wait: this.#into?.take(ours).wait }
  }
}
