import { deferred, held, type RecipientState } from '../message/message.ts'
import type { OrderEffect } from './rows.ts'
import type { prepare } from './statements.ts'

/** What orders do to waiting rows. Called in a transaction. */
type Noted = {
  /** So many rows of recipients went from one state to the other. */
  moved(from: RecipientState, to: RecipientState, rows: number): void
  changed(n: number): void
}

export class IndexOrders {
  readonly #statements: ReturnType<typeof prepare>
  readonly #noted: Noted

  constructor(statements: ReturnType<typeof prepare>, noted: Noted) {
    this.#statements = statements
    this.#noted = noted
  }

  /** Answers the ids of messages it matched. */
  carryOut({ action, ids, at, by, rerouted }: OrderEffect): string[] {
    const { numberOf, hold, release, retry, reroute } = this.#statements
    return ids.filter((id) => {
      const n = numberOf.pluck().get(id) as number | undefined
      if (n === undefined) return false
      if (action === 'hold') this.#noted.moved(deferred, held, hold.run(by, n).changes)
      if (action === 'release') this.#noted.moved(held, deferred, release.run(at, n).changes)
      if (action === 'retry' || action === 'reroute') retry.run(at, n)
      if (action === 'reroute') reroute.run(rerouted, n)
      this.#noted.changed(n)
      return true
    })
  }

  hasten({ at, limit, domain: only }: { at: number; limit: number; domain?: string | undefined }): number {
    if (only !== undefined) return this.#hasten(only, at, limit)
    let moved = 0
    let domain = ''
    while (moved < limit) {
      const last = this.#statements.latest.get(domain) as { domain: string; next_at: number } | undefined
      if (!last) break
      domain = last.domain
      moved += this.#hasten(domain, at, limit - moved)
    }
    return moved
  }

  #hasten(domain: string, at: number, limit: number): number {
    const moved = this.#statements.hasten.pluck().all(at, domain, at, limit) as number[]
    for (const n of new Set(moved)) this.#noted.changed(n)
    return moved.length
  }
}
