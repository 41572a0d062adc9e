import {
  applyRow,
  emptyReplica,
  type Replica,
  type Row,
  type RowChange,
  type RowKind,
  rowKinds,
} from '@postern/contract/rows.ts'
import type { RevisionName } from '@postern/contract/worker-protocol.ts'
import type { ControlPlane } from './control-plane.ts'
import type { LastGood } from './last-good.ts'
import type { RecordEvent, Service } from './worker.ts'

/**
 * Follows the settings: requests the changes after the current revision, applies them completely or not at all, and
 * saves the last good state on disk. Only one request runs at a time. Number and id identify a revision, so requests
 * that are too frequent or too late do no harm. If they do not belong to the API's history because a backup was
 * restored, everything is fetched again.
 */
export type FollowerOptions = {
  controlPlane: Pick<ControlPlane, 'snapshot' | 'changes'>
  lastGood: LastGood
  service: Pick<Service, 'apply'>
  record: RecordEvent
  /** Called when the revision in force, or the refused revision, has changed. */
  moved: () => void
}

export class Follower {
  readonly #options: FollowerOptions
  #replica: Replica = emptyReplica()
  #inForceNow: RevisionName = { revision: 0, id: '' }
  #refused: { revision: number; error: string } | undefined
  #asking: Promise<void> | undefined
  #again = false
  #inForce = false

  constructor(parts: FollowerOptions) {
    this.#options = parts
  }

  get revision(): number {
    return this.#inForceNow.revision
  }

  get revisionId(): string {
    return this.#inForceNow.id
  }

  get refused(): { revision: number; error: string } | undefined {
    return this.#refused
  }

  /** False until a first revision is in force. A service without settings must not run. */
  get inForce(): boolean {
    return this.#inForce
  }

  /** Applies the last good settings from disk. Returns false if there are none. */
  async resume(): Promise<boolean> {
    const saved = await this.#options.lastGood.load()
    if (!saved) return false
    return this.#put(saved.replica, saved, new Set(rowKinds))
  }

  /** Tells the follower that there are changes up to `revision`. */
  notify(revision: number): void {
    if (revision > this.revision) void this.ask().catch(() => {})
  }

  /** Tells the follower the API's newest revision. */
  told({ revision, id }: RevisionName): void {
    if (revision !== this.revision || id !== this.revisionId) void this.ask().catch(() => {})
  }

  /** Requests changes. A call during a request causes one more request after it. Rejects if the API cannot be reached. */
  ask(): Promise<void> {
    if (this.#asking) {
      this.#again = true
      return this.#asking
    }
    this.#asking = this.#askUntilQuiet().finally(() => {
      this.#asking = undefined
    })
    return this.#asking
  }

  async #askUntilQuiet(): Promise<void> {
    do {
      this.#again = false
      await this.#askOnce()
    } while (this.#again)
  }

  async #askOnce(): Promise<void> {
    try {
      if (!this.#inForce) return await this.#takeSnapshot()
      const answer = await this.#options.controlPlane.changes(this.#inForceNow)
      if (answer === 'snapshot-needed') return await this.#takeSnapshot()
      await this.#takeChanges(answer.changes, answer)
    } catch (error) {
      if (isUnparsable(error)) this.#refuse(this.revision + 1, error)
      throw error
    }
  }

  async #takeSnapshot(): Promise<void> {
    const { rows, ...head } = await this.#options.controlPlane.snapshot()
    const replica = emptyReplica()
    for (const row of rows) applyRow(replica, row)
    if (await this.#put(replica, head, new Set(rowKinds))) await this.#options.lastGood.saveSnapshot(replica, head)
  }

  async #takeChanges(changes: readonly RowChange[], { revision, id }: RevisionName): Promise<void> {
    const newer = changes.filter((change) => change.revision > this.revision)
    if (newer.length === 0) {
      // Only rows of other services changed: no row for this worker differs, so it is up to date.
      if (revision > this.revision && !this.#refused) this.#settle({ revision, id })
      return
    }
    const undo = newer.map((change) => before(this.#replica, change))
    for (const change of newer) applyRow(this.#replica, change)
    if (await this.#put(this.#replica, { revision, id }, new Set(newer.map(({ kind }) => kind)))) {
      await this.#options.lastGood.saveChanges(newer, { replica: this.#replica, revision, id })
      return
    }
    for (const row of undo.reverse()) applyRow(this.#replica, row)
  }

  async #put(replica: Replica, { revision, id }: RevisionName, changed: ReadonlySet<RowKind>): Promise<boolean> {
    const startedAt = performance.now()
    try {
      await this.#options.service.apply({ replica, revision, changed })
    } catch (error) {
      this.#refuse(revision, error)
      return false
    }
    this.#replica = replica
    this.#inForce = true
    this.#refused = undefined
    this.#settle({ revision, id })
    this.#options.record('policy.applied', { revision, tookMs: Math.round((performance.now() - startedAt) * 10) / 10 })
    return true
  }

  #settle(revision: RevisionName): void {
    this.#inForceNow = revision
    this.#options.moved()
  }

  #refuse(revision: number, error: unknown): void {
    const text = (error instanceof Error ? error.message : String(error)).slice(0, 1000)
    const isNew = this.#refused?.revision !== revision || this.#refused.error !== text
    this.#refused = { revision, error: text }
    if (isNew) this.#options.record('policy.refused', { revision, inForce: this.revision, error: text })
    this.#options.moved()
  }
}

function before(replica: Replica, { kind, id }: RowChange): Row {
  return { kind, id, value: replica[kind].get(id) ?? null } as Row
}

/** Returns whether the data arrived but is not a valid row: then the settings are at fault, not the network. */
function isUnparsable(error: unknown): boolean {
  return error instanceof Error && error.name !== 'ControlPlaneError' && !('code' in error)
}
