import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

/** Records running workers on disk, so that a restarted API finds the workers that outlived it. */
export type Running = {
  pid: number
  /** The script that it runs. The pid alone may have been reused by another process. */
  script: string
  /** A digest of the environment it was started with. */
  environment: string
}

export function remember(file: string, running: Running): void {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, JSON.stringify(running), { mode: 0o600 })
}

export function forget(file: string): void {
  rmSync(file, { force: true })
}

/** Returns the recorded process if it is still running. */
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
