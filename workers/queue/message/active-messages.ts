import type { QueuedMessage } from './message.ts'

/** The messages in memory, by id: new ones until they are finished or in the index, and those loaded because they are due. */
export class ActiveMessages {
  readonly #messages = new Map<string, QueuedMessage>()
  /** Counts on from the index's highest; a number is never given twice while a row may have it. */
  #lastN: number

  constructor(lastN: number) {
    this.#lastN = lastN
  }

  nextNumber(): number {
    this.#lastN += 1
    return this.#lastN
  }

  get size(): number {
    return this.#messages.size
  }

  find(id: string): QueuedMessage | undefined {
    return this.#messages.get(id)
  }

  add(mail: QueuedMessage): void {
    this.#messages.set(mail.envelope.id, mail)
  }

  /** Lets go of a mail of which nothing is open any more. */
  release(mail: QueuedMessage): void {
    if (mail.pending.size === 0 && this.#messages.get(mail.envelope.id) === mail)
      this.#messages.delete(mail.envelope.id)
  }

  values(): IterableIterator<QueuedMessage> {
    return this.#messages.values()
  }
}
