import { zstdDecompressSync } from 'node:zlib'
import { applyRow, emptyReplica, type Row } from '@postern/contract/rows.ts'
import { compilePolicy } from '@postern/policy/compile.ts'
import { Replay } from '@postern/policy/replay.ts'
import type { Change } from '@postern/store/control/change.ts'
import type { ReplayOptions } from '../dependencies.ts'

/**
 * Runs the replay: takes rows, then the draft, then batches of records. Works in steps, so that it can share a thread.
 */

/** Our batches hold at most 4 MB of records. A larger one did not come from us. */
const maxBytes = 64 * 1024 * 1024
const linesPerStep = 50

export class ReplayEngine {
  readonly #replica = emptyReplica()
  readonly #options: ReplayOptions
  #replay: Replay | undefined

  constructor(options: ReplayOptions) {
    this.#options = options
  }

  /** Takes saved rows as NDJSON. */
  rows(text: string): void {
    for (const line of text.split('\n')) if (line !== '') applyRow(this.#replica, JSON.parse(line) as Row)
  }

  /** Takes the drafted changes, after all rows. */
  begin(changes: readonly Change[]): void {
    const { revision, ...span } = this.#options
    const before = compilePolicy(this.#replica, revision)
    for (const { kind, id, after } of changes)
      applyRow(this.#replica, { kind, id, value: after === null ? null : JSON.parse(after) } as Row)
    const changed = new Set(changes.map(({ kind }) => kind))
    const after = compilePolicy(this.#replica, revision, { previous: before, changed })
    this.#replay = new Replay(before, after, span)
  }

  /** Replays one batch as stored. Yields from time to time. */
  *facts(records: Uint8Array): Generator<void, number, void> {
    const replay = this.#replay as Replay
    const { since, until } = this.#options
    const text = zstdDecompressSync(records, { maxOutputLength: maxBytes }).toString('utf8')
    let lines = 0
    for (let from = 0; from < text.length; ) {
      let end = text.indexOf('\n', from)
      if (end < 0) end = text.length
      const now = nowOf(text, from)
      if (now === undefined || (now >= since && now < until)) replay.line(text.slice(from, end))
      from = end + 1
      if (++lines % linesPerStep === 0) yield
    }
    return replay.sessions
  }

  result() {
    return (this.#replay as Replay).result()
  }
}

/** Reads the time at the beginning of a record. */
function nowOf(text: string, from: number): number | undefined {
  if (!text.startsWith('{"now":', from)) return undefined
  const now = Number.parseInt(text.slice(from + 7, from + 27), 10)
  return Number.isNaN(now) ? undefined : now
}
