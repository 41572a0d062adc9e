import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * What every file of a worker is written with. A write is whole or rejects: `FileHandle.write` alone may be short on a
 * nearly full disk and says so only in its result. (The spool has its own, on descriptors: `spool/local/disk.ts`.)
 */

/** Appends all of it. Rejects when the disk refuses; how much of it is in the file is not known then. */
export async function writeAll(file: FileHandle, data: string | Uint8Array): Promise<void> {
  // Node repeats the write until nothing is left; for appendFile and writeFile, not for write.
  await file.appendFile(data)
}

/** Makes creations, renames and removals in a directory durable. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

/** Makes a directory and those above it, durably. */
export async function makeDirectory(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: 0o700 })
  if (first === undefined) return
  for (let made = path; ; made = dirname(made)) {
    await syncDirectory(dirname(made))
    if (made === first || dirname(made) === made) return
  }
}

export type Replacement = {
  /** Where it is written first; default `<path>.new`. In the same file system. */
  temporary?: string
  /** Writes the content and answers how many octets it has. */
  write: (file: FileHandle) => Promise<number>
}

/**
 * Puts a file in the place of another, or none: written beside it, synced, its size compared, renamed, and the rename
 * synced. When it rejects, the old file is in its place, and no temporary file is left.
 */
export async function replaceFile(path: string, { temporary = `${path}.new`, write }: Replacement): Promise<void> {
  try {
    await writeTemporary(temporary, write)
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {})
    throw error
  }
  await syncDirectory(dirname(path))
}

async function writeTemporary(temporary: string, write: Replacement['write']): Promise<void> {
  const file = await open(temporary, 'w', 0o600)
  try {
    const octets = await write(file)
    await file.sync()
    const { size } = await file.stat()
    if (size !== octets) throw new ShortFile(`${temporary} has ${size} octets of ${octets}`)
  } finally {
    // NFS tells of a full disk here.
    await file.close()
  }
}

/** The disk said yes and has less. */
class ShortFile extends Error {
  override readonly name = 'ShortFile'
  readonly code = 'EIO'
}

/** `replaceFile` for content that is at hand. */
export function replaceWith(path: string, text: string): Promise<void> {
  return replaceFile(path, {
    write: async (file) => {
      await writeAll(file, text)
      return Buffer.byteLength(text)
    },
  })
}

/** No room: the disk's, the quota's. */
export function isFull(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException
  return code === 'ENOSPC' || code === 'EDQUOT'
}
