import { type FileHandle, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import {
  applyRow,
  emptyReplica,
  parseRow,
  type Replica,
  type Row,
  type RowChange,
  rowKinds,
} from '@postern/contract/rows.ts'

/**
 * The last good settings on the worker's own disk, so that it starts when the API is down.
 * Two files: a snapshot, and the changes since. Changes count up to the last complete `{"good":n}` line: what a crash tore
 * off is asked for again. Files hold certificates' keys and password hashes: mode 0600.
 */
export class LastGood {
  readonly #snapshotPath: string
  readonly #changesPath: string
  readonly #directory: string
  #changes: FileHandle | undefined
  #snapshotBytes = 0
  #changesBytes = 0
  /** A change did not reach the disk: the next save must be whole. */
  #incomplete = false

  constructor(directory: string) {
    this.#directory = directory
    this.#snapshotPath = join(directory, 'settings.ndjson')
    this.#changesPath = join(directory, 'settings-changes.ndjson')
  }

  /** What was in force last; `undefined` when there is nothing usable. A damaged file is the same as none: the API is asked. */
  async load(): Promise<{ replica: Replica; revision: number } | undefined> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 })
    const snapshot = await readLines(this.#snapshotPath)
    if (snapshot?.at(-1) !== '{"end":true}') return undefined
    try {
      const replica = emptyReplica()
      let revision = Number(JSON.parse(snapshot[0] ?? '').revision)
      for (const line of snapshot.slice(1, -1)) applyRow(replica, parseRow(JSON.parse(line)))
      let waiting: Row[] = []
      for (const line of (await readLines(this.#changesPath)) ?? []) {
        const value = parseOrUndefined(line)
        if (value === undefined) break
        if (typeof value.good === 'number') {
          for (const row of waiting) applyRow(replica, row)
          waiting = []
          if (value.good > revision) revision = value.good
        } else waiting.push(parseRow(value))
      }
      if (!Number.isInteger(revision)) return undefined
      return { replica, revision }
    } catch {
      return undefined
    }
  }

  /** Everything, anew. */
  async saveSnapshot(replica: Replica, revision: number): Promise<void> {
    const temporary = `${this.#snapshotPath}.new`
    const file = await open(temporary, 'w', 0o600)
    try {
      await file.write(`{"revision":${revision}}\n`)
      let lines: string[] = []
      for (const kind of rowKinds)
        for (const [id, value] of replica[kind]) {
          lines.push(JSON.stringify({ kind, id, value }))
          if (lines.length === 1000) {
            await file.write(`${lines.join('\n')}\n`)
            lines = []
          }
        }
      lines.push('{"end":true}', '')
      await file.write(lines.join('\n'))
      await file.datasync()
      this.#snapshotBytes = (await file.stat()).size
    } finally {
      await file.close()
    }
    await rename(temporary, this.#snapshotPath)
    await this.#changes?.close()
    this.#changes = undefined
    await rm(this.#changesPath, { force: true })
    this.#changesBytes = 0
    this.#incomplete = false
  }

  /** What came since; when that has grown past the snapshot, everything anew. */
  async saveChanges(
    changes: readonly RowChange[],
    { replica, revision }: { replica: Replica; revision: number },
  ): Promise<void> {
    if (this.#snapshotBytes === 0) this.#snapshotBytes = await sizeOf(this.#snapshotPath)
    if (
      this.#incomplete ||
      this.#snapshotBytes === 0 ||
      this.#changesBytes > Math.max(1_000_000, this.#snapshotBytes / 2)
    )
      return this.saveSnapshot(replica, revision)
    this.#incomplete = true
    this.#changes ??= await this.#openChanges()
    const text = [...changes.map((change) => JSON.stringify(change)), `{"good":${revision}}`, ''].join('\n')
    await this.#changes.write(text)
    this.#changesBytes += text.length
    this.#incomplete = false
  }

  /** A torn last line must not swallow the next one: it is ended first. */
  async #openChanges(): Promise<FileHandle> {
    const file = await open(this.#changesPath, 'a', 0o600)
    this.#changesBytes = (await file.stat()).size
    if (this.#changesBytes > 0) {
      const kept = (await readLines(this.#changesPath)) ?? []
      const lastGood = kept.findLastIndex((line) => line.startsWith('{"good":') && line.endsWith('}'))
      await file.truncate(0)
      const text = kept
        .slice(0, lastGood + 1)
        .map((line) => `${line}\n`)
        .join('')
      await file.write(text)
      this.#changesBytes = text.length
    }
    return file
  }

  async close(): Promise<void> {
    await this.#changes?.close()
    this.#changes = undefined
  }
}

async function readLines(path: string): Promise<string[] | undefined> {
  try {
    return (await readFile(path, 'utf8')).split('\n').filter((line) => line !== '')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  )
}

function parseOrUndefined(line: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(line) as Record<string, unknown>
  } catch {
    return undefined
  }
}
