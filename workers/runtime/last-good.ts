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
 * The last good settings on the worker's own disk, so that it starts when the API is down.
 * Two files: a snapshot, and the changes since. Changes count up to the last complete `{"good":n,"id":…,"after":…}` line, each
 * of which names the revision before it: what a crash tore off is asked for again. Files hold certificates' keys and password hashes: mode 0600.
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
  /** Id of the revision that the files hold. */
  #saved = ''
  /** What the disk says against the last save; `undefined`: nothing. */
  trouble: string | undefined

  constructor(directory: string) {
    this.#directory = directory
    this.#snapshotPath = join(directory, 'settings.ndjson')
    this.#changesPath = join(directory, 'settings-changes.ndjson')
  }

  /** What was in force last; `undefined` when there is nothing usable. A damaged file is the same as none: the API is asked. */
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
          // A snapshot may be newer than changes that a crash kept from being removed, or of another history.
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

  /** Everything, anew. When it rejects, what was saved before is still there, and the next save is whole. */
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

  /** What came since; when that has grown past the snapshot, everything anew. */
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

  /** A torn last line must not swallow the next one: it is cut off first. */
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

/** Answers the octets of it. */
async function writeSnapshot(file: FileHandle, replica: Replica, { revision, id }: RevisionName): Promise<number> {
  let octets = 0
  let lines = [JSON.stringify({ revision, id })]
  const flush = async () => {
    const text = Buffer.from(`${lines.join('\n')}\n`)
    lines = []
    await writeAll(file, text)
    octets += text.length
  }
  for (const kind of rowKinds)
    for (const [id, value] of replica[kind]) {
      lines.push(JSON.stringify({ kind, id, value }))
      if (lines.length === linesAtOnce) await flush()
    }
  lines.push('{"end":true}')
  await flush()
  return octets
}

/** A file of an earlier release has no id: that is no revision of any history, and the snapshot is taken. */
function nameIn(value: { revision?: unknown; id?: unknown }): RevisionName {
  return { revision: Number(value.revision), id: typeof value.id === 'string' ? value.id : '' }
}

/** Where the last complete `{"good":n}` line ends. */
function endOfGood(octets: Buffer): number {
  for (let end = octets.lastIndexOf(10); end >= 0; end = octets.lastIndexOf(10, end - 1)) {
    const from = end === 0 ? 0 : octets.lastIndexOf(10, end - 1) + 1
    if (/^\{"good":\d+[,}]/.test(octets.toString('latin1', from, end))) return end + 1
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
