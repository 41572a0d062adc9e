import { readlinkSync } from 'node:fs'
import { setPriority } from 'node:os'
import { parentPort } from 'node:worker_threads'
import { verifySync } from '@node-rs/argon2'

/** One thread that does nothing but check passwords, one after the other. Started by `PasswordThreads`. */

yieldToMail()
parentPort?.on('message', ({ hash, password }: { hash: string; password: string }) => {
  try {
    parentPort?.postMessage({ right: verifySync(hash, password) })
  } catch {
    parentPort?.postMessage({})
  }
})

/** A hash is made to be dear, and strangers may ask for as many as they like: everything else on the machine goes first. */
function yieldToMail(): void {
  try {
    setPriority(Number(readlinkSync('/proc/thread-self').split('/').at(-1)), 19)
  } catch {
    // Not Linux, or not allowed: then it is a thread like others.
  }
}
