import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * File writes for a worker. A write is complete or rejects. `FileHandle.write` alone may write less on a nearly full
 * disk and report it only in its result. (The spool has its own functions, on descriptors: `spool/local/disk.ts`.)
 */

/** Appends all data. Rejects if the disk refuses; it is then not known how much of the data is in the file. */
export async function writeAll(file: FileHandle, data: string | Uint8Array): Promise<void> {
  // Node repeats the write until nothing is left in appendFile and writeFile, but not in write.
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

/** Creates a directory and its parents, durably. */
export async function makeDirectory(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: 0o700 })
  if (first === undefined) return
  for (let made = path; ; made = dirname(made)) {
    await syncDirectory(dirname(made))
    if (made === first || dirname(made) === made) return
  }
}

export type Replacement = {
  /** Path of the temporary file; default `<path>.new`. It must be on the same file system. */
  temporary?: string
  /** Writes the content and returns its size in bytes. */
  write: (file: FileHandle) => Promise<number>
}

/**
 * Creates or replaces a file. The content is written to a temporary file, synced, checked for its size and renamed, and
 * the rename is synced. On rejection the old file is unchanged, and no temporary file is left.
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
    const bytes = await write(file)
    await file.sync()
    const { size } = await file.stat()
    if (size !== bytes) throw new ShortFile(`${temporary} has ${size} of ${bytes} bytes`)
  } finally {
    // NFS reports a full disk here.
    await file.close()
  }
}

/** The disk reported success, but the file is shorter. */
class ShortFile extends Error {
  override readonly name = 'ShortFile'
  readonly code = 'EIO'
}

/** Calls `replaceFile` with content that is in memory. */
export function replaceWith(path: string, text: string): Promise<void> {
  return replaceFile(path, {
    write: async (file) => {
      await writeAll(file, text)
      return Buffer.byteLength(text)
    },
  })
}

/** Returns whether the disk or the quota is full. */
export function isFull(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException
  return code === 'ENOSPC' || code === 'EDQUOT'
}
