import type { Database } from '@postern/store/database.ts'
import { makeSeal } from '@postern/store/seal.ts'
import { pino } from 'pino'
import type { Dependencies, EventStore, Log } from '../dependencies.ts'
import { fixedBy } from '../environment.ts'
import { newId } from '../new-id.ts'
import { acme } from './acme.ts'
import { certificates } from './certificates.ts'
import { makeMetrics } from './metrics.ts'
import { makeNotifyWorkers } from './notify-workers.ts'
import { passwords } from './passwords.ts'
import { replayer } from './replayer.ts'

const version = '0.1.0'

export type NodeOptions = {
  control: Database
  records: Database
  eventStore: EventStore
  dataKey: string
  env: NodeJS.ProcessEnv
  log: Log
  clientAddress: Dependencies['clientAddress']
}

/** What the API process says about itself. */
export function processLog(env: NodeJS.ProcessEnv): Log {
  return pino({ name: 'api', level: env.POSTERN_LOG_LEVEL ?? 'info' }, pino.destination({ dest: 2, sync: true }))
}

/** Builds the API's dependencies on Node. `settled` resolves when no background work is left. */
export async function makeParts({ control, records, eventStore, dataKey, env, log, clientAddress }: NodeOptions) {
  const work = new Set<Promise<unknown>>()
  const now = () => Date.now()
  const parts: Dependencies = {
    control,
    records,
    eventStore,
    seal: await makeSeal(dataKey),
    passwords,
    certificates,
    acme,
    notifyWorkers: makeNotifyWorkers(env),
    metrics: makeMetrics(),
    replayer,
    log,
    now,
    newId: () => newId(now()),
    background: (promise) => {
      const watched = promise
        .catch((error: unknown) => log.warn({ error: String(error) }, 'background work failed'))
        .finally(() => work.delete(watched))
      work.add(watched)
    },
    clientAddress,
    fixed: fixedBy(env),
    corsOrigins: (env.POSTERN_CORS_ORIGINS ?? '').split(',').filter(Boolean),
    version,
  }
  const settled = async () => {
    while (work.size > 0) await Promise.all(work)
  }
  return { parts, settled }
}
