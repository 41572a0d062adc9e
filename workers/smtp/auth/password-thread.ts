import { spawnSync } from 'node:child_process'
import { readlinkSync } from 'node:fs'
import { setPriority } from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import { verifySync } from '@node-rs/argon2'

/** A thread that checks passwords, one after another. Started by `PasswordThreads`. */

export type ThreadSetup = { idlePriority: boolean }
export type PasswordRequest = { id: number; hash: string; password: string }
export type PasswordResponse = { id: number; matches: boolean }

lowerPriority(workerData as ThreadSetup)
parentPort?.on('message', ({ id, hash, password }: PasswordRequest) => {
  try {
    parentPort?.postMessage({ id, matches: verifySync(hash, password) })
  } catch {
    parentPort?.postMessage({ id, error: 'the hash cannot be read' })
  }
})

/**
 * A password hash is expensive by design, and strangers may cause as many checks as they like: everything else on the machine
 * goes first. At the lowest nice value a thread of mail may still wait for the end of a time slice; in the idle class of Linux
 * (sched(7)) it does not, and Node can set that class only through util-linux's chrt.
 */
function lowerPriority({ idlePriority }: ThreadSetup): void {
  try {
    const thread = readlinkSync('/proc/thread-self').split('/').at(-1) as string
    setPriority(Number(thread), 19)
    if (idlePriority) spawnSync('chrt', ['--idle', '--pid', '0', thread], { stdio: 'ignore', timeout: 5_000 })
  } catch {
    // Not Linux, or not permitted: the thread keeps the usual priority.
  }
}
