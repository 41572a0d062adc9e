import { join } from 'node:path'
import { type ServiceName, serviceNames } from '@postern/contract/services.ts'
import { handedOnTo } from '@postern/contract/variables.ts'
import { addEnrolToken, deleteEnrolToken } from '@postern/store/control/identity.ts'
import { getSettings } from '@postern/store/control/rows.ts'
import { listWorkers } from '@postern/store/records/workers.ts'
import type { Dependencies } from '../dependencies.ts'
import { randomSecret, sha256 } from '../request.ts'
import { SupervisedWorker } from './supervisor.ts'

/** The two workers of a single machine. They are child processes, found by path and never imported. */
export type EmbeddedWorkers = {
  /** Resolves with one status line per worker once both have reported. */
  ready(): Promise<string[]>
  stop(): Promise<void>
}

export type WorkerSurroundings = {
  parts: Dependencies
  env: NodeJS.ProcessEnv
  dataDirectory: string
  apiUrl: string
  sqsEndpoint: string
  isEmbeddedSqs: boolean
  /** The repository root. Workers are found below it. */
  root: string
}

/** Extra milliseconds after the drain time, in which a worker closes files and sends its last events. */
const stopTimeoutMs = 30_000
/** Variables to pass on besides Postern's own. */
const handedOn = ['PATH', 'HOME', 'TZ', 'LANG', 'NODE_EXTRA_CA_CERTS', 'NODE_OPTIONS', 'NODE_COMPILE_CACHE']

export async function startWorkers(around: WorkerSurroundings): Promise<EmbeddedWorkers> {
  const workers = serviceNames.map((service) => ({ service, process: supervised(service, around) }))
  const before = new Map((await listWorkers(around.parts.records)).map(({ id, heartbeatAt }) => [id, heartbeatAt]))
  await Promise.all(workers.map(({ process: worker }) => worker.start()))
  return {
    ready: async () => {
      for (;;) {
        const known = await listWorkers(around.parts.records)
        const lines = workers.map(({ service, process: { pid } }) => {
          const row = known.find(({ id }) => id === `${service}-1`)
          if (!row?.report || row.report.pid !== pid || row.heartbeatAt === before.get(row.id)) return undefined
          if (row.report.observed === 'starting') return undefined
          return lineOf(service, row.report)
        })
        if (lines.every((line) => line !== undefined)) return lines
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    },
    stop: async () => {
      await Promise.all(workers.map(({ process: worker }) => worker.stop()))
    },
  }
}

type Said = {
  observed: string
  detail?: string | undefined
  listeners: { name: string; address: string; port: number }[]
}

/** Returns `smtp=127.0.0.1:2525 submission=127.0.0.1:2587`, or the problem. */
function lineOf(service: ServiceName, { observed, detail, listeners }: Said): string {
  const open = listeners.map(
    ({ name, address, port }) => `${name}=${address.includes(':') ? `[${address}]` : address}:${port}`,
  )
  const state =
    observed === 'running' && open.length > 0 ? [] : [`${service}=${observed}${detail ? ` (${detail})` : ''}`]
  return [...open, ...state].join(' ')
}

function supervised(service: ServiceName, around: WorkerSurroundings): SupervisedWorker {
  const { parts, env, dataDirectory } = around
  const name = `${service}-1`
  const aws = around.isEmbeddedSqs
    ? { AWS_REGION: 'us-east-1', AWS_ACCESS_KEY_ID: 'embedded', AWS_SECRET_ACCESS_KEY: 'embedded' }
    : Object.fromEntries(Object.entries(env).filter(([key]) => key.startsWith('AWS_')))
  const given = {
    ...Object.fromEntries([...handedOn, ...handedOnTo(service)].flatMap((key) => (env[key] ? [[key, env[key]]] : []))),
    ...aws,
    // Node's thread pool does password checks and disk access. See advanced.minThreads.
    UV_THREADPOOL_SIZE: env.UV_THREADPOOL_SIZE || '16',
    POSTERN_API_URL: around.apiUrl,
    POSTERN_WORKER_NAME: name,
    POSTERN_DATA_DIR: dataDirectory,
    POSTERN_SQS_ENDPOINT: around.sqsEndpoint,
    POSTERN_BIND: env.POSTERN_BIND ?? '127.0.0.1',
  } as Record<string, string>
  return new SupervisedWorker({
    name,
    script: join(around.root, 'workers', service, 'main.ts'),
    file: join(dataDirectory, 'worker', name, 'process.json'),
    env: given,
    newToken: () => newToken(parts, service, name),
    log: parts.log,
    stopTimeoutMs,
    drainMs: () => drainTime(parts),
  })
}

/** Returns the drain time from the current settings, or the longest allowed one if they cannot be read. */
async function drainTime({ control, log }: Dependencies): Promise<number> {
  try {
    return (await getSettings(control, 'advanced')).drainTimeoutSeconds * 1000
  } catch (error) {
    log.warn({ error: String(error) }, 'cannot read the drain timeout')
    return 3_600_000
  }
}

/** Makes a token for a new process. The token of the previous process becomes invalid. */
async function newToken(parts: Dependencies, service: ServiceName, name: string): Promise<string> {
  const token = randomSecret('pse_')
  const id = `embedded-${name}`
  const hash = await sha256(token)
  await parts.control.transaction(async (queries) => {
    await deleteEnrolToken(queries, id)
    const entry = { id, service, name, createdAt: parts.now(), expiresAt: null }
    await addEnrolToken(queries, { ...entry, hash, createdBy: 'system' })
  })
  return token
}
