import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Searches all written files for secrets. */

/** The secret unchanged, in upper case, and in base64 at each of the three possible offsets. */
export function formsOf(password: string): string[] {
  const shifted = [0, 1, 2].map((shift) => {
    const text = Buffer.concat([Buffer.alloc(shift), Buffer.from(password)]).toString('base64')
    // The ends depend on what stands beside.
    return text.slice(shift === 0 ? 0 : 4, -4)
  })
  return [password, password.toUpperCase(), ...shifted, ...shifted.map((text) => text.toUpperCase())]
}

/** Every file below a directory, as latin1: databases, write-ahead logs, events, spool, settings on a worker's disk. */
export async function written(directory: string): Promise<[string, string][]> {
  const files = await readdir(directory, { recursive: true, withFileTypes: true })
  const texts: [string, string][] = []
  for (const file of files.filter((one) => one.isFile())) {
    const path = join(file.parentPath, file.name)
    texts.push([path, await readFile(path, 'latin1').catch(() => '')])
  }
  return texts
}
