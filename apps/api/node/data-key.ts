import { randomBytes } from 'node:crypto'
import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'

/**
 * Returns the data key from the environment, or else from `keys/data.key`. The file is made at the first start and is
 * readable only by this user.
 */
export function dataKeyOf(env: NodeJS.ProcessEnv, directory: string): string {
  if (env.POSTERN_DATA_KEY) return env.POSTERN_DATA_KEY
  const file = join(directory, 'keys', 'data.key')
  mkdirSync(join(directory, 'keys'), { recursive: true, mode: 0o700 })
  if (!existsSync(file)) make(file)
  const key = readFileSync(file, 'utf8').trim()
  if (key === '') throw new Error(`${file} is empty. Restore it from a backup. Delete it only if this is a new system.`)
  return key
}

/** Writes the key file completely and durably, or not at all. Everything sealed with the key depends on it. */
function make(file: string): void {
  const newFile = `${file}.new`
  try {
    writeFileSync(newFile, `${randomBytes(32).toString('base64')}\n`, { mode: 0o600, flush: true })
    // Never overwrite a key that another process has just made.
    linkSync(newFile, file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    rmSync(newFile, { force: true })
  }
  const directory = openSync(dirname(file), 'r')
  fsyncSync(directory)
  closeSync(directory)
}
