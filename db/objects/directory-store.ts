import { randomUUID } from 'node:crypto'
import { link, mkdir, open, readdir, readFile, rename, rm, rmdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import {
  byKey,
  checkFolder,
  checkKey,
  type ListRange,
  maxListed,
  type ObjectStore,
  type StoredObject,
} from './object-store.ts'

/**
 * Objects as files in a directory. One is written beside its place, synced, and then linked or renamed into it: a process
 * or a machine that stops in between leaves a draft, which nobody lists, and which the next `openDirectoryStore` removes
 * once it is a day old.
 */
export async function openDirectoryStore(directory: string): Promise<ObjectStore> {
  const drafts = join(directory, draftsName)
  await makeDirectory(drafts)
  await removeOldDrafts(drafts)
  return new DirectoryStore(directory, drafts)
}

/** No part of a key begins with a dot. */
const draftsName = '.drafts'
const oldDraftMs = 86_400_000
/** File sizes that are asked for at once. */
const sizesAtOnce = 16

class DirectoryStore implements ObjectStore {
  readonly #directory: string
  readonly #drafts: string

  constructor(directory: string, drafts: string) {
    this.#directory = directory
    this.#drafts = drafts
  }

  async create(key: string, content: Uint8Array): Promise<'created' | 'taken'> {
    const path = this.#pathOf(key)
    // Most keys that are taken are seen here, before anything is written.
    if (await sizeOf(path)) return 'taken'
    return this.#withDraft(content, (draft) => inDirectory(path, () => linkTo(draft, path)))
  }

  async put(key: string, content: Uint8Array): Promise<void> {
    const path = this.#pathOf(key)
    await this.#withDraft(content, (draft) => inDirectory(path, () => rename(draft, path)))
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    try {
      return await readFile(this.#pathOf(key))
    } catch (error) {
      if (isAbsent(error)) return undefined
      throw error
    }
  }

  async list({ prefix, after = '', limit = maxListed }: ListRange): Promise<StoredObject[]> {
    const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1)
    checkFolder(folder)
    const keys = (await this.#keysBelow(folder)).filter((key) => key.startsWith(prefix) && key > after).sort(byKey)
    const found: StoredObject[] = []
    const wanted = Math.min(limit, maxListed)
    for (let from = 0; from < keys.length && found.length < wanted; ) {
      const some = keys.slice(from, from + Math.min(sizesAtOnce, wanted - found.length))
      from += some.length
      const sizes = await Promise.all(some.map((key) => sizeOf(this.#pathOf(key))))
      some.forEach((key, i) => {
        const size = sizes[i]
        // Removed since it was listed.
        if (size) found.push({ key, bytes: size.bytes })
      })
    }
    return found
  }

  async folders(folder: string): Promise<string[]> {
    checkFolder(folder)
    const found: string[] = []
    for (const entry of await entriesOf(join(this.#directory, folder))) {
      const name = `${folder}${entry.name}/`
      // A bucket has no empty folder.
      if (entry.isDirectory() && entry.name !== draftsName && (await this.#hasKeys(name))) found.push(name)
    }
    return found.sort(byKey)
  }

  async remove(keys: readonly string[]): Promise<void> {
    const folders = new Set<string>()
    for (const key of keys) {
      const path = this.#pathOf(key)
      await rm(path, { force: true })
      folders.add(dirname(path))
    }
    for (const folder of folders) await this.#removeEmpty(folder)
  }

  close(): void {}

  #pathOf(key: string): string {
    checkKey(key)
    return join(this.#directory, key)
  }

  async #withDraft<T>(content: Uint8Array, use: (draft: string) => Promise<T>): Promise<T> {
    const draft = join(this.#drafts, randomUUID())
    try {
      await writeDurably(draft, content)
      return await use(draft)
    } finally {
      await rm(draft, { force: true }).catch(() => {})
    }
  }

  /** One that is removed meanwhile is not among them; the others are. */
  async #keysBelow(folder: string): Promise<string[]> {
    const keys: string[] = []
    for (const entry of await entriesOf(join(this.#directory, folder))) {
      if (entry.isFile()) keys.push(`${folder}${entry.name}`)
      else if (entry.isDirectory() && entry.name !== draftsName)
        keys.push(...(await this.#keysBelow(`${folder}${entry.name}/`)))
    }
    return keys
  }

  /** Ends at the first one: a folder of a year is asked as fast as one of a day. */
  async #hasKeys(folder: string): Promise<boolean> {
    const entries = await entriesOf(join(this.#directory, folder))
    if (entries.some((entry) => entry.isFile())) return true
    for (const entry of entries)
      if (entry.isDirectory() && entry.name !== draftsName && (await this.#hasKeys(`${folder}${entry.name}/`)))
        return true
    return false
  }

  /** Removes a folder that has become empty, and those above it. One that another process fills meanwhile stays. */
  async #removeEmpty(folder: string): Promise<void> {
    for (let empty = folder; empty.length > this.#directory.length; empty = dirname(empty)) {
      try {
        await rmdir(empty)
      } catch {
        return
      }
    }
  }
}

async function entriesOf(directory: string) {
  try {
    return await readdir(directory, { withFileTypes: true })
  } catch (error) {
    if (isAbsent(error)) return []
    throw error
  }
}

async function sizeOf(path: string): Promise<{ bytes: number } | undefined> {
  try {
    const found = await stat(path)
    return found.isFile() ? { bytes: found.size } : undefined
  } catch (error) {
    if (isAbsent(error)) return undefined
    throw error
  }
}

/** Unlike a rename, a link never replaces. */
async function linkTo(draft: string, path: string): Promise<'created' | 'taken'> {
  try {
    await link(draft, path)
    return 'created'
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return 'taken'
    throw error
  }
}

/** Whole and synced, or an error. Node repeats the write until nothing is left; the size tells of a disk that says yes and has less. */
async function writeDurably(path: string, content: Uint8Array): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    await file.writeFile(content)
    await file.sync()
    const { size } = await file.stat()
    if (size !== content.length) throw new Error(`${path} has ${size} bytes of ${content.length}`)
  } finally {
    // NFS tells of a full disk here.
    await file.close()
  }
}

/** Puts a file into a directory that is made when it is missing, also when somebody removes it as empty meanwhile. Durable. */
async function inDirectory<T>(path: string, place: () => Promise<T>): Promise<T> {
  const directory = dirname(path)
  for (let tries = 0; ; tries++) {
    await makeDirectory(directory)
    try {
      const placed = await place()
      await syncDirectory(directory)
      return placed
    } catch (error) {
      if (!hasCode(error, 'ENOENT') || tries === 10) throw error
    }
  }
}

async function makeDirectory(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: 0o700 })
  if (first === undefined) return
  for (let made = path; ; made = dirname(made)) {
    await syncDirectory(dirname(made))
    if (made === first || dirname(made) === made) return
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

async function removeOldDrafts(drafts: string): Promise<void> {
  const limit = Date.now() - oldDraftMs
  for (const entry of await entriesOf(drafts)) {
    const path = join(drafts, entry.name)
    const found = await stat(path).catch(() => undefined)
    if (found && found.mtimeMs < limit) await rm(path, { force: true })
  }
}

const hasCode = (error: unknown, ...codes: string[]): boolean =>
  codes.includes((error as NodeJS.ErrnoException).code ?? '')

/** Also a key below one that is an object itself. */
const isAbsent = (error: unknown): boolean => hasCode(error, 'ENOENT', 'ENOTDIR', 'EISDIR')
