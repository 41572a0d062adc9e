import type { RowKind, RowValues } from '@postern/contract/rows.ts'
import { and, eq, ne } from 'drizzle-orm'
import type { Queries } from '../database.ts'
import type { Seal } from '../seal.ts'
import { insertChanges, insertRows } from './bulk.ts'
import type { Change } from './change.ts'
import { hashOf } from './revision-id.ts'
import { keyOf } from './row-key.ts'
import { allRows, getRow, rowsByKey, type StoredJson } from './rows.ts'
import { openRow, sealRow } from './secrets.ts'
import { rows } from './tables.ts'

export type StoredRow<K extends RowKind> = { id: string; value: RowValues[K]; revision: number }

/** A value already exists under this key, in the row `id`. */
export class DuplicateError extends Error {
  override name = 'DuplicateError'
  readonly kind: RowKind
  readonly key: string
  constructor(kind: RowKind, key: string) {
    super(`${kind} "${key}" exists already`)
    this.kind = kind
    this.key = key
  }
}

const maxExamples = 200

/**
 * A revision under construction, within its transaction. Reads see earlier writes. A row that ends as it began is not a
 * change.
 */
export class ChangeSet {
  readonly queries: Queries
  readonly revision: number
  /** Number of rows changed by `addEntries`, which are too many to keep in memory. */
  bulk = 0
  /** The first changes, for display. */
  readonly examples: Change[] = []
  /** Hash of all bulk writes. */
  bulkHash = ''
  /** The entity for the audit log, if only the transaction can resolve the caller's id. */
  entity: string | undefined
  readonly #seal: Seal
  readonly #changes = new Map<string, Change>()

  constructor(queries: Queries, revision: number, seal: Seal) {
    this.queries = queries
    this.revision = revision
    this.#seal = seal
  }

  async get<K extends RowKind>(kind: K, id: string): Promise<StoredRow<K> | undefined> {
    const row = await getRow(this.queries, kind, id)
    return row && (await this.#open(kind, row))
  }

  async byKey<K extends RowKind>(kind: K, key: string): Promise<StoredRow<K> | undefined> {
    const [row] = await rowsByKey(this.queries, kind, [key])
    return row && (await this.#open(kind, row))
  }

  async all<K extends RowKind>(kind: K): Promise<StoredRow<K>[]> {
    const found = await allRows(this.queries, kind)
    return Promise.all(found.map((row) => this.#open(kind, row)))
  }

  /** Creates or replaces a row. Throws a DuplicateError if another row has its key. */
  async put<K extends RowKind>(kind: K, id: string, value: RowValues[K]): Promise<void> {
    const before = await getRow(this.queries, kind, id)
    if (before && JSON.stringify(await openRow({ kind, id }, before.value, this.#seal)) === JSON.stringify(value))
      return
    await this.putSealed(kind, id, await sealRow({ kind, id }, value, this.#seal))
  }

  /** Decodes a stored row value and opens its secrets. */
  async open(kind: RowKind, id: string, json: string): Promise<Record<string, unknown>> {
    return (await openRow({ kind, id }, json, this.#seal)) as Record<string, unknown>
  }

  /** Like `put`, with a value as stored. */
  async putSealed(kind: RowKind, id: string, after: string): Promise<void> {
    const value = JSON.parse(after) as { expiresAt?: string }
    const key = keyOf(kind, id, value)
    const before = await getRow(this.queries, kind, id)
    const other = await this.queries.$count(rows, and(eq(rows.kind, kind), eq(rows.key, key), ne(rows.id, id)))
    if (other > 0) throw new DuplicateError(kind, key)
    const changing = { key, value: after, revision: this.revision, expiresAt: expiryOf(value) }
    await this.queries
      .insert(rows)
      .values({ kind, id, ...changing })
      .onConflictDoUpdate({ target: [rows.kind, rows.id], set: changing })
    this.#note({ kind, id, key, before: before?.value ?? null, after })
  }

  /** Removes a row. Returns `false` if there was no such row. */
  async remove(kind: RowKind, id: string): Promise<boolean> {
    const before = await getRow(this.queries, kind, id)
    if (!before) return false
    await this.queries.delete(rows).where(and(eq(rows.kind, kind), eq(rows.id, id)))
    this.#note({ kind, id, key: before.key, before: before.value, after: null })
    return true
  }

  /**
   * Adds many rows at once, at most 1000 for each call. Existing keys are left unchanged. For list entries, which hold
   * no secrets.
   * @returns the number of added rows
   */
  async addEntries(
    kind: RowKind,
    entries: { id: string; value: { value: string; expiresAt?: string } }[],
  ): Promise<number> {
    const input = entries.map(({ id, value }) => ({
      id,
      key: value.value,
      value: JSON.stringify(value),
      expiresAt: expiryOf(value),
    }))
    const ids = await insertRows(this.queries, { kind, revision: this.revision, existing: 'leave' }, input)
    if (ids.size === 0) return 0
    const added = input
      .filter(({ id }) => ids.has(id))
      .map(({ id, key, value }) => ({ kind, id, key, before: null, after: value }))
    await insertChanges(this.queries, { revision: this.revision, seq: this.bulk + 1 }, added)
    this.bulk += added.length
    this.show(added)
    await this.hashBulk(input)
    return added.length
  }

  /** Adds examples of bulk writes, up to the number that an answer shows. */
  show(changes: readonly Change[]): void {
    this.examples.push(...changes.slice(0, maxExamples - this.examples.length))
  }

  /** Includes data in the revision's id that was not written through `put` and `remove`. */
  async hashBulk(written: unknown): Promise<void> {
    this.bulkHash = await hashOf([this.bulkHash, written])
  }

  get changes(): Change[] {
    return [...this.#changes.values()]
  }

  async #open<K extends RowKind>(kind: K, { id, value, revision }: StoredJson): Promise<StoredRow<K>> {
    return { id, revision, value: (await openRow({ kind, id }, value, this.#seal)) as RowValues[K] }
  }

  #note(change: Change): void {
    const name = `${change.kind}/${change.id}`
    const before = this.#changes.has(name) ? (this.#changes.get(name)?.before ?? null) : change.before
    if (before === change.after) this.#changes.delete(name)
    else this.#changes.set(name, { ...change, before })
  }
}

function expiryOf({ expiresAt }: { expiresAt?: string | undefined }): number | null {
  return expiresAt === undefined ? null : Date.parse(expiresAt)
}
