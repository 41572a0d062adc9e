import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { ObjectStore } from '@postern/objects/object-store.ts'

/** Objects as files on this machine, where DuckDB reads them. Call `release` when nothing reads them any more. */
export type LocalFiles = {
  /** By key. */
  paths: Map<string, string>
  /** Keys that have no object any more. */
  absent: string[]
  release(): void
}

/** What DuckDB reads objects through. */
export type FileSource = { take(keys: readonly string[], signal?: AbortSignal): Promise<LocalFiles> }

/** Objects that are files in a directory are read in place. One that is gone shows when it is read. */
export function filesInDirectory(directory: string): FileSource {
  return {
    take: async (keys) => ({
      paths: new Map(keys.map((key) => [key, resolve(directory, key)])),
      absent: [],
      release: () => {},
    }),
  }
}

type CachedFile = {
  /** `undefined`: the key has no object. */
  bytes: Promise<number | undefined>
  size: number
  /** Queries that read it. */
  readers: number
}

const fetchedAtOnce = 8

/**
 * Objects of a bucket, fetched into a directory of `maxBytes` at most; the least recently used go first. What queries read
 * at the moment stays, even when it is more.
 */
export class FileCache implements FileSource {
  readonly #store: ObjectStore
  readonly #directory: string
  readonly #maxBytes: number
  /** In the order of their last use. */
  readonly #files = new Map<string, CachedFile>()
  #bytes = 0

  constructor(store: ObjectStore, directory: string, maxBytes: number) {
    this.#store = store
    this.#directory = directory
    this.#maxBytes = maxBytes
  }

  async take(keys: readonly string[], signal?: AbortSignal): Promise<LocalFiles> {
    const taken: string[] = []
    const release = () => {
      for (const key of taken.splice(0)) this.#released(key)
    }
    const found: LocalFiles = { paths: new Map(), absent: [], release }
    const remaining = [...keys]
    const fetchNext = async () => {
      for (let key = remaining.shift(); key !== undefined; key = remaining.shift()) {
        signal?.throwIfAborted()
        const file = this.#file(key)
        file.readers++
        taken.push(key)
        if ((await file.bytes) === undefined) found.absent.push(key)
        else found.paths.set(key, this.#pathOf(key))
      }
    }
    const fetches = await Promise.allSettled(Array.from({ length: fetchedAtOnce }, fetchNext))
    const failed = fetches.find((fetch) => fetch.status === 'rejected')
    if (!failed) return found
    release()
    throw failed.reason
  }

  #file(key: string): CachedFile {
    const known = this.#files.get(key)
    const file = known ?? { bytes: this.#fetch(key), size: 0, readers: 0 }
    this.#files.delete(key)
    this.#files.set(key, file)
    if (!known) void this.#settle(key, file)
    return file
  }

  async #fetch(key: string): Promise<number | undefined> {
    const content = await this.#store.get(key)
    if (!content) return undefined
    const path = this.#pathOf(key)
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    await writeFile(path, content, { mode: 0o600 })
    return content.length
  }

  /** What could not be fetched, or is not there, is asked for again the next time. */
  async #settle(key: string, file: CachedFile): Promise<void> {
    const bytes = await file.bytes.catch(() => undefined)
    if (bytes === undefined) {
      if (this.#files.get(key) === file) this.#files.delete(key)
      return
    }
    file.size = bytes
    this.#bytes += bytes
    this.#shrink()
  }

  #released(key: string): void {
    const file = this.#files.get(key)
    if (file) file.readers--
    this.#shrink()
  }

  #shrink(): void {
    for (const [key, file] of this.#files) {
      if (this.#bytes <= this.#maxBytes) return
      if (file.readers > 0 || file.size === 0) continue
      this.#files.delete(key)
      this.#bytes -= file.size
      void rm(this.#pathOf(key), { force: true }).catch(() => {})
    }
  }

  #pathOf(key: string): string {
    return resolve(this.#directory, key)
  }
}
