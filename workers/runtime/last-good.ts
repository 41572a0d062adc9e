import { type FileHandle, open, readFile, rm, stat } from 'node:fs/promises'
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
import type { RevisionName } from '@postern/contract/worker-protocol.ts'
import { makeDirectory, replaceFile, writeAll } from './disk.ts'

/**
 * The last good settings on the worker's own disk, so that it starts while the API is down. There are two files: a
 * snapshot, and the changes since. Changes are valid up to the last complete `{"good":n,"id":…,"after":…}` line, each
 * of which names the previous revision. Anything after that line, such as data cut off by a crash, is requested again.
 * The files hold certificate keys and password hashes, so their mode is 0600.
 */
export class LastGood {
  readonly #snapshotPath: string
  readonly #changesPath: string
  readonly #directory: string
  #changes: FileHandle | undefined
  #snapshotBytes = 0
  #changesBytes = 0
  /** Set if a change did not reach the disk. The next save must then be complete. */
  #incomplete = false
  /** Id of the revision in the files. */
  #saved = ''
  /** The disk error of the last save; `undefined` if there was none. */
  trouble: string | undefined

  constructor(directory: string) {
    this.#directory = directory
    this.#snapshotPath = join(directory, 'settings.ndjson')
    this.#changesPath = join(directory, 'settings-changes.ndjson')
  }

  /**
   * Returns the settings that were last in force; `undefined` if none are usable. A damaged file counts as none: the
   * API is asked.
   */
  async load(): Promise<({ replica: Replica } & RevisionName) | undefined> {
    await makeDirectory(this.#directory)
    const snapshot = await readLines(this.#snapshotPath)
    if (snapshot?.at(-1) !== '{"end":true}') return undefined
    try {
      const replica = emptyReplica()
      let { revision, id } = nameIn(JSON.parse(snapshot[0] ?? ''))
      for (const line of snapshot.slice(1, -1)) applyRow(replica, parseRow(JSON.parse(line)))
      let waiting: Row[] = []
      for (const line of (await readLines(this.#changesPath)) ?? []) {
        const value = parseOrUndefined(line)
        if (value === undefined) break
        if (typeof value.good === 'number') {
          // A snapshot may be newer than changes that were not removed because of a crash, or it may belong to another
          // history.
          if (value.after === id || (value.after === undefined && value.good > revision)) {
            for (const row of waiting) applyRow(replica, row)
            ;({ revision, id } = nameIn({ revision: value.good, id: value.id }))
          }
          waiting = []
        } else waiting.push(parseRow(value))
      }
      if (!Number.isInteger(revision)) return undefined
      this.#saved = id
      return { replica, revision, id }
    } catch {
      return undefined
    }
  }

  /** Saves everything. On rejection the previous save still exists, and the next save is complete. */
  saveSnapshot(replica: Replica, revision: RevisionName): Promise<void> {
    return this.#reported(this.#saveSnapshot(replica, revision))
  }

  async #reported(saving: Promise<void>): Promise<void> {
    try {
      await saving
      this.trouble = undefined
    } catch (error) {
      this.trouble = (error as Error).message
      throw error
    }
  }

  async #saveSnapshot(replica: Replica, revision: RevisionName): Promise<void> {
    this.#incomplete = true
    await replaceFile(this.#snapshotPath, {
      write: async (file) => {
        this.#snapshotBytes = await writeSnapshot(file, replica, revision)
        return this.#snapshotBytes
      },
    })
    await this.#changes?.close()
    this.#changes = undefined
    await rm(this.#changesPath, { force: true })
    this.#changesBytes = 0
    this.#saved = revision.id
    this.#incomplete = false
  }

  /** Saves the changes since. If they outgrow the snapshot, saves everything. */
  saveChanges(changes: readonly RowChange[], now: { replica: Replica } & RevisionName): Promise<void> {
    return this.#reported(this.#saveChanges(changes, now))
  }

  async #saveChanges(
    changes: readonly RowChange[],
    { replica, revision, id }: { replica: Replica } & RevisionName,
  ): Promise<void> {
    if (this.#snapshotBytes === 0) this.#snapshotBytes = await sizeOf(this.#snapshotPath)
    if (
      this.#incomplete ||
      this.#snapshotBytes === 0 ||
      this.#changesBytes > Math.max(1_000_000, this.#snapshotBytes / 2)
    )
      return this.#saveSnapshot(replica, { revision, id })
    this.#incomplete = true
    this.#changes ??= await this.#openChanges()
    const good = JSON.stringify({ good: revision, id, after: this.#saved })
    const text = [...changes.map((change) => JSON.stringify(change)), good, ''].join('\n')
    await writeAll(this.#changes, text)
    this.#changesBytes += Buffer.byteLength(text)
    this.#saved = id
    this.#incomplete = false
  }

  /** Opens the changes file. An incomplete last line is truncated first, so that it does not merge with the next one. */
  async #openChanges(): Promise<FileHandle> {
    const file = await open(this.#changesPath, 'a', 0o600)
    try {
      const kept = endOfGood(await readFile(this.#changesPath))
      await file.truncate(kept)
      this.#changesBytes = kept
      return file
    } catch (error) {
      await file.close()
      throw error
    }
  }

  async close(): Promise<void> {
    await this.#changes?.close()
    this.#changes = undefined
  }
}

const linesAtOnce = 1000

/** Writes a snapshot and returns its size in bytes. */
async function writeSnapshot(file: FileHandle, replica: Replica, { revision, id }: RevisionName): Promise<number> {
  let bytes = 0
  let lines = [JSON.stringify({ revision, id })]
  const flush = async () => {
    const text = Buffer.from(`${lines.join('\n')}\n`)
    lines = []
    await writeAll(file, text)
    bytes += text.length
  }
  for (const kind of rowKinds)
    for (const [id, value] of replica[kind]) {
      lines.push(JSON.stringify({ kind, id, value }))
      if (lines.length === linesAtOnce) await flush()
    }
  lines.push('{"end":true}')
  await flush()
  return bytes
}

/** Reads a revision. A file of an earlier release has no id, which belongs to no history, so the snapshot is fetched. */
function nameIn(value: { revision?: unknown; id?: unknown }): RevisionName {
  return { revision: Number(value.revision), id: typeof value.id === 'string' ? value.id : '' }
}

/** Returns the end of the last complete `{"good":n}` line. */
function endOfGood(bytes: Buffer): number {
  for (let end = bytes.lastIndexOf(10); end >= 0; end = bytes.lastIndexOf(10, end - 1)) {
    const from = end === 0 ? 0 : bytes.lastIndexOf(10, end - 1) + 1
    if (/^\{"good":\d+[,}]/.test(bytes.toString('latin1', from, end))) return end + 1
    if (end === 0) break
  }
  return 0
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
