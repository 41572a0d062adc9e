import { spawnSync } from 'node:child_process'
import { readlinkSync } from 'node:fs'
import { setPriority } from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import { verifySync } from '@node-rs/argon2'

/** One thread that does nothing but check passwords, one after the other. Started by `PasswordThreads`. */

export type ThreadSetup = { idlePriority: boolean }

yieldToMail(workerData as ThreadSetup)
parentPort?.on('message', ({ hash, password }: { hash: string; password: string }) => {
  try {
    parentPort?.postMessage({ right: verifySync(hash, password) })
  } catch {
    parentPort?.postMessage({})
  }
})

/**
 * A hash is made to be dear, and strangers may ask for as many as they like: everything else on the machine goes first. The
 * lowest priority still makes a thread of mail wait for the end of a time slice; the idle class of Linux (sched(7)) does not,
 * and Node can set it by util-linux's chrt only.
 */
function yieldToMail({ idlePriority }: ThreadSetup): void {
  try {
    const thread = readlinkSync('/proc/thread-self').split('/').at(-1) as string
    setPriority(Number(thread), 19)
    if (idlePriority) spawnSync('chrt', ['--idle', '--pid', '0', thread], { stdio: 'ignore', timeout: 5_000 })
  } catch {
    // Not Linux, or not allowed: then it is a thread like others.
  }
}
