import { glob, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** A segment that is not larger has no message in it. */
const emptySegment = 128

/** Whether there may be mail from before. Without an index the copies count, too. */
export async function hasMail(directory: string): Promise<boolean> {
  for await (const name of glob('*/*.seg', { cwd: directory })) {
    if ((await stat(join(directory, name))).size > emptySegment) return true
  }
  return false
}
