import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { BackOff } from '@postern/contract/back-off.ts'
import type { Log } from '../dependencies.ts'
import { forget, isAlive, type Running, recall, remember } from './running.ts'

/**
 * Keeps one worker process running. The worker outlives the API. A restarted API takes it over if its environment is
 * unchanged, and otherwise stops it first. Two processes never share a spool.
 */
export type SupervisedWorkerOptions = {
  name: string
  /** Absolute path of the worker's main.ts. */
  script: string
  /** The file that records the process. */
  file: string
  /** The worker's whole environment, except the token. */
  env: Record<string, string>
  /** Makes an enrolment token for a process that is about to start. */
  newToken: () => Promise<string>
  log: Log
  /** After this time plus the drain time, the process is killed. */
  stopTimeoutMs: number
  /** Returns how long open work may take to finish, from the current settings. */
  drainMs?: () => Promise<number>
}

const provenMs = 60_000

export class SupervisedWorker {
  readonly #options: SupervisedWorkerOptions
  #pid: number | undefined
  #stopping = false
  #run: Promise<void> | undefined
  #wake = new AbortController()

  constructor(options: SupervisedWorkerOptions) {
    this.#options = options
  }

  get pid(): number | undefined {
    return this.#pid
  }

  /** Starts the worker, or takes over the running one. From then on it is restarted whenever it ends. */
  async start(): Promise<void> {
    const { name, script, file, env, log } = this.#options
    const before = recall(file)
    const environment = digest(env)
    if (before && before.environment === environment && before.script === script) {
      log.info({ worker: name, pid: before.pid }, 'the worker is still running; taken over')
      this.#pid = before.pid
    } else if (before) {
      log.info(
        { worker: name, pid: before.pid },
        'a worker with a different configuration is still running; stopping it',
      )
      await this.#end(before.pid)
    }
    this.#run = this.#keep(environment)
  }

  async #keep(environment: string): Promise<void> {
    const { name, script, file, log } = this.#options
    const backOff = new BackOff({ firstMs: 200, longestMs: 30_000 })
    while (!this.#stopping) {
      const startedAt = performance.now()
      let how = 'ended'
      if (this.#pid === undefined) {
        // Making the token writes to the settings database. A full disk must not end the supervision.
        const child = await this.#spawn().catch((error: Error) => error)
        if (child instanceof Error || child.pid === undefined) {
          how = `could not be started${child instanceof Error ? `: ${child.message}` : ''}`
        } else {
          this.#pid = child.pid
          this.#remember(file, { pid: child.pid, script, environment })
          how = await ended(child)
        }
      } else while (isAlive({ pid: this.#pid, script })) await sleep(250)
      this.#pid = undefined
      forget(file)
      if (this.#stopping) return
      if (performance.now() - startedAt > provenMs) backOff.reset()
      const pause = backOff.next()
      log.warn({ worker: name, how, againInMs: pause }, 'the worker ended; restarting it')
      await sleep(pause, undefined, { signal: this.#wake.signal }).catch(() => {})
    }
  }

  /** Records the worker on disk. If that fails, the worker still runs, but the next API process will not find it. */
  #remember(file: string, running: Running): void {
    try {
      remember(file, running)
    } catch (error) {
      this.#options.log.warn({ worker: this.#options.name, error: String(error) }, 'cannot record the worker on disk')
    }
  }

  async #spawn(): Promise<ChildProcess> {
    const { script, env, newToken } = this.#options
    const child = spawn(process.execPath, [script], {
      env: { ...env, POSTERN_ENROL_TOKEN: await newToken() },
      stdio: ['ignore', 'inherit', 'inherit'],
      // Its own process group: Ctrl-C reaches only the API, which then stops its workers in order.
      detached: true,
    })
    child.on('error', (error) =>
      this.#options.log.error({ worker: this.#options.name, error: error.message }, 'cannot start'),
    )
    return child
  }

  async #end(pid: number): Promise<void> {
    const { script, stopTimeoutMs, drainMs } = this.#options
    await end({ pid, script }, stopTimeoutMs + ((await drainMs?.()) ?? 0))
  }

  /** Sends SIGTERM, then SIGKILL after the time-out. Resolves when the process is gone. */
  async stop(): Promise<void> {
    this.#stopping = true
    this.#wake.abort()
    if (this.#pid !== undefined) await this.#end(this.#pid)
    await this.#run
  }
}

function ended(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve(signal ? `killed by ${signal}` : `exited with ${code}`))
  })
}

async function end(process_: { pid: number; script: string }, timeoutMs: number): Promise<void> {
  const signal = (name: NodeJS.Signals) => {
    try {
      process.kill(process_.pid, name)
    } catch {
      // The process has already ended.
    }
  }
  signal('SIGTERM')
  for (const until = performance.now() + timeoutMs; performance.now() < until; await sleep(50))
    if (!isAlive(process_)) return
  signal('SIGKILL')
  while (isAlive(process_)) await sleep(50)
}

function digest(env: Record<string, string>): string {
  return createHash('sha256')
    .update(JSON.stringify(Object.entries(env).sort()))
    .digest('hex')
}
