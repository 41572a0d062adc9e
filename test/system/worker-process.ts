import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ServiceName } from '@postern/contract/services.ts'
import type { Postern } from './postern.ts'

/** A worker process that the test starts itself, as a service manager on another host would. */
export type WorkerProcess = {
  readonly pid: number
  logs(): string
  kill(): Promise<void>
  /** SIGTERM; resolves with the exit code. */
  stop(): Promise<number | null>
}

const root = join(import.meta.dirname, '../..')

/** The environment a running process was started with. */
export function environmentOf(pid: number): Record<string, string> {
  const entries = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').filter(Boolean)
  return Object.fromEntries(
    entries.map((entry) => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)]),
  )
}

export function startByHand(service: ServiceName, env: Record<string, string>): WorkerProcess {
  const child = spawn(process.execPath, [`workers/${service}/main.ts`], {
    cwd: root,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const written: string[] = []
  for (const output of [child.stdout, child.stderr]) output.on('data', (chunk) => written.push(String(chunk)))
  const gone = once(child, 'exit')
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill(signal)
      await gone
    }
    return child.exitCode
  }
  process.once('exit', () => child.kill('SIGKILL'))
  return {
    pid: child.pid as number,
    logs: () => written.join(''),
    kill: async () => void (await end('SIGKILL')),
    stop: () => end('SIGTERM'),
  }
}

/** Both workers of a Postern that was started with `POSTERN_WORKERS=none`. */
export async function startBothByHand(
  postern: Postern,
  apiUrl = postern.url,
): Promise<Record<ServiceName, WorkerProcess>> {
  const api = environmentOf(postern.pid)
  const start = async (service: ServiceName) => {
    const name = `${service}-1`
    const { token } = await postern.api.post<{ token: string }>('/v1/enrol-tokens', { service, name })
    return startByHand(service, {
      ...api,
      POSTERN_API_URL: apiUrl,
      POSTERN_ENROL_TOKEN: token,
      POSTERN_WORKER_NAME: name,
    })
  }
  return { smtp: await start('smtp'), queue: await start('queue') }
}
