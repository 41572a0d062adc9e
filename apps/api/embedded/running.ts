import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

/** Which process does what, remembered on disk: the API may die without its workers, and come back to find them. */
export type Running = {
  pid: number
  /** The script it runs: a pid alone may have gone to somebody else. */
  script: string
  /** A digest of the environment it was given. */
  environment: string
}

export function remember(file: string, running: Running): void {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, JSON.stringify(running), { mode: 0o600 })
}

export function forget(file: string): void {
  rmSync(file, { force: true })
}

/** The process a file remembers, if it still runs. */
export function recall(file: string): Running | undefined {
  let running: Running
  try {
    running = JSON.parse(readFileSync(file, 'utf8')) as Running
  } catch {
    return undefined
  }
  return isAlive(running) ? running : undefined
}

export function isAlive({ pid, script }: Pick<Running, 'pid' | 'script'>): boolean {
  try {
    process.kill(pid, 0)
  } catch {
    return false
  }
  try {
    if (
      readFileSync(`/proc/${pid}/stat`, 'utf8')
        .replace(/^.*\) /s, '')
        .startsWith('Z')
    )
      return false
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(script)
  } catch {
    return process.platform !== 'linux'
  }
}
