/** Octets after DATA or BDAT flow into one of these until it says that they ended. */
export type Inflow = {
  /** Octets so far. */
  readonly size: number
  /** So many that their end is not waited for. */
  readonly endless: boolean
  /** @returns octets used when the end was in them, else -1; and what has to be waited for before the next */
  take(octets: Buffer): { used: number; wait?: Promise<void> | undefined }
}

/**
 * One chunk of a message (RFC 3030 §2): exactly so many octets, whatever they are; no end is looked for in them. A chunk
 * that is refused is read as well, and goes nowhere: what is in it is never a command.
 */
export class Chunk implements Inflow {
  readonly endless = false
  readonly #octets: number
  readonly #into: Pick<Inflow, 'take'> | undefined
  #left: number

  constructor(octets: number, into: Pick<Inflow, 'take'> | undefined) {
    this.#octets = octets
    this.#left = octets
    this.#into = into
  }

  get size(): number {
    return this.#octets - this.#left
  }

  take(octets: Buffer): { used: number; wait?: Promise<void> | undefined } {
    const ours = octets.length > this.#left ? octets.subarray(0, this.#left) : octets
    this.#left -= ours.length
    return { used: this.#left === 0 ? ours.length : -1, wait: this.#into?.take(ours).wait }
  }
}
