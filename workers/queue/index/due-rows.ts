import { active, type RecipientState } from '../message/message.ts'
import type { MessageRow } from './rows.ts'
import type { prepare } from './statements.ts'

/** Takes rows into work. Called in a transaction; `domains` only reads. */

export type Loaded = { rows: MessageRow[]; stoppedAt?: string }

type DueRow = {
  n: number
  r: number
  domain: string
  state: RecipientState
  tries: number
  next_at: number
  cause: string
}

type MessageRecord = Omit<MessageRow, 'recipients' | 'waitsSince' | 'warned' | 'headerEdits' | 'summary'> & {
  received_at: number
  warned: number
}

export class DueRows {
  readonly #statements: ReturnType<typeof prepare>
  readonly #moved: (from: RecipientState, to: RecipientState, rows: number) => void

  constructor(
    statements: ReturnType<typeof prepare>,
    moved: (from: RecipientState, to: RecipientState, rows: number) => void,
  ) {
    this.#statements = statements
    this.#moved = moved
  }

  /** Domains after `after` with deferred mail, and when the first of it is due; one seek for each, however much waits. */
  domains({ after, limit }: { after: string; limit: number }): [domain: string, dueAt: number][] {
    const found: [string, number][] = []
    let at = after
    while (found.length < limit) {
      const next = this.#statements.nextDomain.raw().get(at) as [string, number] | undefined
      if (!next) break
      found.push(next)
      at = next[0]
    }
    return found
  }

  /**
   * Takes due mail into work: about so many recipients of each domain, and about `limit` in all, a message never in part.
   * They are active when this returns. `stoppedAt`: the first domain that was not asked, because that was enough.
   */
  load({ now, quotas, limit }: { now: number; quotas: [domain: string, max: number][]; limit: number }): Loaded {
    const taken = new Map<number, MessageRow>()
    let left = limit
    for (const [domain, max] of quotas) {
      if (left <= 0) return { rows: [...taken.values()], stoppedAt: domain }
      for (const row of this.#statements.due.all(domain, now, max) as DueRow[]) {
        if (left <= 0) break
        if (taken.has(row.n)) continue
        // What one attempt deferred together is one attempt again, however many recipients that are.
        const rows = this.#statements.dueOfMessage.all(row.n, now) as DueRow[]
        for (const each of rows) this.#activate(each, taken)
        left -= rows.length
      }
    }
    return { rows: [...taken.values()] }
  }

  /** The same for all that waits of these messages, whatever its state or time. */
  take(ids: string[]): MessageRow[] {
    const taken = new Map<number, MessageRow>()
    for (const id of ids) {
      for (const row of this.#statements.ofMessage.all(id) as DueRow[]) this.#activate(row, taken)
    }
    return [...taken.values()]
  }

  #activate({ n, r, domain, state, tries, next_at, cause }: DueRow, taken: Map<number, MessageRow>): void {
    this.#statements.activate.run(n, r)
    this.#moved(state, active, 1)
    let message = taken.get(n)
    if (!message) {
      const { received_at: waitsSince, warned, ...rest } = this.#statements.message.get(n) as MessageRecord
      const headerEdits = (this.#statements.overlayOf.pluck().get(n) as string | undefined) ?? ''
      message = { ...rest, waitsSince, warned: warned === 1, headerEdits, summary: '', recipients: [] }
      taken.set(n, message)
    }
    message.recipients.push({ r, domain, state: active, tries, nextAt: next_at, cause })
  }
}
