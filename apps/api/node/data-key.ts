import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** The data key from the environment, else from `keys/data.key`, made at first start and readable by this user only. */
export function dataKeyOf(env: NodeJS.ProcessEnv, directory: string): string {
  if (env.POSTERN_DATA_KEY) return env.POSTERN_DATA_KEY
  const file = join(directory, 'keys', 'data.key')
  mkdirSync(join(directory, 'keys'), { recursive: true, mode: 0o700 })
  try {
    writeFileSync(file, `${randomBytes(32).toString('base64')}\n`, { mode: 0o600, flag: 'wx' })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  return readFileSync(file, 'utf8').trim()
}
