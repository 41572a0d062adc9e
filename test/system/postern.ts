import { type ChildProcess, spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { ServiceName } from '@postern/contract/services.ts'
import type { Books, Page, WorkerView } from '@postern/contract/views.ts'
import { freePort, temporaryDirectory, until } from '../peers/peer.ts'
import { readMaildir } from '../peers/postfix.ts'
import { Api } from './api.ts'
import { isAlive, processesWith } from './processes.ts'

/** Starts Postern as a user would, and reports when it has settled. Uses the system only from outside. */

export type PosternOptions = {
  /** The loopback address that everything listens on; 127.0.0.1 without it. */
  host?: string
  /** Kept after `stop()`. Default: a temporary one, which is removed. */
  dataDirectory?: string
  /** `ip:port,…`, e.g. `dns.server`. */
  dns?: string
  /** The port for MX hosts. */
  outboundPort?: number
  /** Other environment variables; these override the ones above. */
  env?: Record<string, string>
  /** Milliseconds until `postern ready`; 30 000 without it. */
  readyWithinMs?: number
}

export type PosternProcess = ServiceName | 'api'

export type Postern = {
  readonly name: 'postern'
  readonly host: string
  readonly smtpPort: number
  readonly submissionPort: number
  readonly smtpsPort: number
  readonly url: string
  readonly dataDirectory: string
  readonly api: Api
  /** The administrator's. */
  readonly credentials: { email: string; password: string }
  /** The API's process, the root of all others. */
  readonly pid: number
  /** The process ids of one of its parts, read from the operating system. */
  pids(of: PosternProcess): number[]
  /** Sends kill -9. The API restarts a worker. To restart the API, call `restart()`. */
  kill(process: PosternProcess): Promise<void>
  /** Starts the API again after it was killed, on the same data and ports. It takes over its workers, which kept running. */
  restart(): Promise<void>
  workers(): Promise<WorkerView[]>
  /** Resolves when a live worker of each service has this revision (or the newest) in force. */
  settle(revision?: number, withinMs?: number): Promise<void>
  /** Resolves with the books when nothing waits, storage has all events, and they balance. */
  quiet(patience?: { withinMs?: number; everyMs?: number }): Promise<Books>
  books(): Promise<Books>
  /** Whole messages kept for a recipient of a domain with the route `maildir`, in the order of their file names. */
  mail(recipient: string): Promise<string[]>
  logs(): string
  /** Sends SIGTERM and rejects unless the exit code is 0 in time. Removes its temporary directory. Safe to call twice. */
  stop(): Promise<void>
}

const root = join(import.meta.dirname, '../..')
/** The administrator of every Postern in the tests. */
export const credentials = { email: 'admin@postern.test', password: 'correct horse battery staple' }
/** Data directories in use, and whether each is removed with its Postern. */
const running = new Map<string, { temporary: boolean }>()
process.on('exit', () => {
  for (const [dataDirectory, { temporary }] of running) {
    for (const { pid } of partsOf(dataDirectory)) signal(pid, 'SIGKILL')
    if (temporary) rmSync(dataDirectory, { recursive: true, force: true })
  }
})

export async function startPostern(options: PosternOptions = {}): Promise<Postern> {
  const host = options.host ?? '127.0.0.1'
  const free = () => freePort(host)
  const ports = { api: await free(), smtp: await free(), submission: await free(), smtps: await free() }
  const dataDirectory = options.dataDirectory ?? (await temporaryDirectory('data'))
  running.set(dataDirectory, { temporary: !options.dataDirectory })
  const env = { ...environment(options, ports), POSTERN_DATA_DIR: dataDirectory, ...options.env }
  const written: string[] = []
  const start = () => startApi({ env, dataDirectory, written, readyWithinMs: options.readyWithinMs ?? 90_000 })
  let child = await start()
  let stopped = false
  const url = `http://${host}:${ports.api}`
  const api = new Api(url, credentials)
  const books = () => api.get<Books>('/v1/books')
  const newest = async () =>
    (await api.get<Page<{ revision: number }>>('/v1/revisions?limit=1')).items[0]?.revision ?? 0
  const workers = async () => (await api.get<Page<WorkerView>>('/v1/workers')).items
  const pids = (of: PosternProcess) => partsOf(dataDirectory).flatMap(({ pid, part }) => (part === of ? [pid] : []))

  return {
    name: 'postern',
    host,
    smtpPort: ports.smtp,
    submissionPort: ports.submission,
    smtpsPort: ports.smtps,
    url,
    dataDirectory,
    api,
    credentials,
    get pid() {
      return child.pid as number
    },
    pids,
    kill: async (of) => {
      const victims = pids(of)
      if (victims.length === 0) throw new Error(`no process of ${of} is running`)
      for (const pid of victims) signal(pid, 'SIGKILL')
      await until(`${of} is dead`, () => victims.every((pid) => !isAlive(pid)))
    },
    restart: async () => {
      child = await start()
    },
    workers,
    settle: async (revision, withinMs) => settle(workers, revision ?? (await newest()), withinMs),
    quiet: async ({ withinMs = 60_000, everyMs = 100 } = {}) => {
      let seen: Books | undefined
      const ask = async () => {
        seen = await books()
        return isQuiet(seen)
      }
      await until('the books have settled', ask, { withinMs, everyMs }).catch((error) => {
        throw new Error(`${error.message}; books: ${JSON.stringify({ ...seen, intervals: undefined })}`)
      })
      return books()
    },
    books,
    mail: (recipient) => mailIn(dataDirectory, recipient),
    logs: () => written.join(''),
    stop: async () => {
      if (stopped) return
      stopped = true
      await stopApi(child, { dataDirectory, written })
      if (!options.dataDirectory) await rm(dataDirectory, { recursive: true, force: true })
    },
  }
}

/** Whole messages kept for a recipient of a domain with the route `maildir`. */
export function mailIn(dataDirectory: string, recipient: string): Promise<string[]> {
  const [user, domain] = recipient.split('@') as [string, string]
  return readMaildir(join(dataDirectory, 'mail', domain, user))
}

function environment(options: PosternOptions, ports: Record<'api' | 'smtp' | 'submission' | 'smtps', number>) {
  return {
    POSTERN_BIND: options.host ?? '127.0.0.1',
    POSTERN_API_PORT: String(ports.api),
    POSTERN_SMTP_PORT: String(ports.smtp),
    POSTERN_SUBMISSION_PORT: String(ports.submission),
    POSTERN_SMTPS_PORT: String(ports.smtps),
    POSTERN_ADMIN_EMAIL: credentials.email,
    POSTERN_ADMIN_PASSWORD: credentials.password,
    ...(options.dns ? { POSTERN_DNS_SERVERS: options.dns } : {}),
    ...(options.outboundPort ? { POSTERN_OUTBOUND_PORT: String(options.outboundPort) } : {}),
  }
}

type ApiStart = {
  env: Record<string, string>
  dataDirectory: string
  written: string[]
  readyWithinMs: number
}

async function startApi({ env, dataDirectory, written, readyWithinMs }: ApiStart): Promise<ChildProcess> {
  const child = spawn(process.execPath, ['apps/api/main.ts'], {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let ready = false
  let said = ''
  child.stdout.on('data', (chunk) => {
    written.push(String(chunk))
    if (ready) return
    said = (said + chunk).slice(-20_000)
    ready = /^postern ready/m.test(said)
  })
  child.stderr.on('data', (chunk) => written.push(String(chunk)))
  const itIsReady = () => {
    if (hasEnded(child)) throw new Error(`it exited with ${child.exitCode ?? child.signalCode}`)
    return ready
  }
  try {
    await until('postern says it is ready', itIsReady, { withinMs: readyWithinMs })
  } catch (error) {
    killAll(dataDirectory)
    throw new Error(`Postern did not start. It wrote:\n${written.join('')}`, { cause: error })
  }
  return child
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null
}

/** The processes of one Postern: all of them have its data directory in their environment. */
function partsOf(dataDirectory: string): { pid: number; part: PosternProcess; command: string }[] {
  return processesWith('POSTERN_DATA_DIR', dataDirectory).flatMap(({ pid, command }) => {
    const part = /apps\/api\/main\.ts|workers\/(smtp|queue)\/main\.ts/.exec(command)
    return part ? [{ pid, part: (part[1] as ServiceName | undefined) ?? ('api' as const), command }] : []
  })
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch {
    // It ended between the check and the signal.
  }
}

function killAll(dataDirectory: string): void {
  for (const { pid } of partsOf(dataDirectory)) signal(pid, 'SIGKILL')
  running.delete(dataDirectory)
}

async function stopApi(child: ChildProcess, of: { dataDirectory: string; written: string[] }): Promise<void> {
  child.kill('SIGTERM')
  await until('postern ends', () => hasEnded(child), { withinMs: 45_000 }).catch(() => {})
  const left = partsOf(of.dataDirectory).map(({ part, pid }) => `${part} (${pid})`)
  killAll(of.dataDirectory)
  if (child.exitCode === 0 && left.length === 0) return
  const how = `exit code ${child.exitCode ?? child.signalCode}, left running: ${left.join(', ') || 'nothing'}`
  throw new Error(`Postern did not stop cleanly (${how}). It wrote:\n${of.written.join('')}`)
}

async function settle(workers: () => Promise<WorkerView[]>, revision: number, withinMs?: number): Promise<void> {
  let seen: WorkerView[] = []
  const settled = async () => {
    seen = await workers()
    const live = seen.filter((worker) => worker.live)
    const obeys = (worker: WorkerView) => worker.revision >= revision && !worker.otherHistory
    return live.every(obeys) && new Set(live.map(({ service }) => service)).size === 2
  }
  await until(`all workers are on revision ${revision}`, settled, withinMs ? { withinMs } : {}).catch((error) => {
    throw new Error(`${error.message}; the workers: ${JSON.stringify(seen, null, 1)}`)
  })
}

/** Nothing waits according to the events and the queue indexes, and no worker has unsent events. */
function isQuiet({ total, queuedByWorkers, eventsUnsent }: Books): boolean {
  return total.queued === 0 && total.balance === 0 && (queuedByWorkers ?? 0) === 0 && eventsUnsent === 0
}
