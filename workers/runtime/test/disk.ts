import { execFileSync } from 'node:child_process'
import { appendFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** For tests: a disk of a few kilobytes. It needs root, to mount a tmpfs. */

/** Why there can be none; `undefined`: there can. */
export const noSmallDisk: string | undefined =
  process.platform !== 'linux' || process.getuid?.() !== 0
    ? 'a small disk is a tmpfs, and only root may mount one'
    : undefined

export type SmallDisk = {
  path: string
  /** Leaves this much room, give or take a page; again and again, while others write. */
  fill(leave?: number): Promise<void>
  /** Removes what `fill` wrote. */
  free(): void
  unmount(): void
}

/** `path`: where to mount it; else a new directory. */
export function smallDisk(bytes: number, path = mkdtempSync(join(tmpdir(), 'postern-disk-'))): SmallDisk {
  mkdirSync(path, { recursive: true, mode: 0o700 })
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes},mode=0700`, 'tmpfs', path])
  const filling = join(path, 'filling')
  return {
    path,
    fill: async (leave = 0) => {
      const { bavail, bsize } = await statfs(path)
      try {
        appendFileSync(filling, Buffer.alloc(Math.max(0, bavail * bsize - leave)))
      } catch (error) {
        // Others were faster: it is full.
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
      }
    },
    free: () => rmSync(filling, { force: true }),
    unmount: () => {
      execFileSync('umount', ['-l', path])
      rmSync(path, { recursive: true, force: true })
    },
  }
}
