import { chmod, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type Logger, pino } from 'pino'
import { ControlPlane, reasonOf } from './control-plane.ts'
import { EventLog } from './event-log.ts'
import { FactLog } from './fact-log.ts'
import { LastGood } from './last-good.ts'
import { Logging } from './logging/logging.ts'
import { version } from './version.ts'
import type { Service } from './worker.ts'

/** The parts of a worker that exist before its service is created. */
export type WorkerParts = {
  id: string
  name: Service['name']
  env: NodeJS.ProcessEnv
  dataDirectory: string
  /** The log of this process, for its operator. It is not the mail log. */
  log: Logger
  controlPlane: ControlPlane
  events: EventLog
  logging: Logging
  facts: FactLog
  lastGood: LastGood
}

/** Opens the parts that the environment configures. Rejects if a variable is missing or the data directory is unusable. */
export async function openWorkerParts(name: Service['name'], env: NodeJS.ProcessEnv): Promise<WorkerParts> {
  const id = required(env, 'POSTERN_WORKER_NAME')
  const dataDirectory = required(env, 'POSTERN_DATA_DIR')
  await keepToThisUser(dataDirectory)
  const log = pino({ name: id, level: env.POSTERN_LOG_LEVEL ?? 'info' }, pino.destination(2))
  const directory = join(dataDirectory, 'worker', id)
  const token = required(env, 'POSTERN_ENROL_TOKEN')
  const controlPlane = new ControlPlane(required(env, 'POSTERN_API_URL'), { token, service: name, name: id, version })
  const events = await EventLog.open({
    directory: join(directory, 'events'),
    send: (batch) => controlPlane.sendEvents(batch),
    failed: (error) => log.warn({ error: reasonOf(error) }, 'events wait on disk: storage does not take them'),
    refused: (error) => log.error({ error: reasonOf(error) }, 'events wait in memory: the disk does not take them'),
  })
  const logging = new Logging({
    worker: id,
    service: name,
    events,
    syslog: env.POSTERN_SYSLOG || '/dev/log',
    failed: (why) =>
      log.warn({ error: why }, 'the log cannot be reached; lines wait, and excess lines are dropped and counted'),
  })
  const facts = new FactLog({
    send: (batch) => controlPlane.sendFacts(batch),
    failed: (error) =>
      log.warn({ error: reasonOf(error) }, 'facts for the replay wait in memory: storage does not accept them'),
  })
  return { id, name, env, dataDirectory, log, controlPlane, events, logging, facts, lastGood: new LastGood(directory) }
}

/** Restricts access to mail, keys and password hashes to this user, for new files and for those of an earlier release. */
async function keepToThisUser(dataDirectory: string): Promise<void> {
  process.umask(0o077)
  await mkdir(dataDirectory, { recursive: true })
  // A volume with another owner has its own access rules.
  await chmod(dataDirectory, 0o700).catch(() => {})
}

function required(env: NodeJS.ProcessEnv, name: string): string {
  const value = env[name]
  if (!value) throw new Error(`${name} is not set; a worker needs it (see README, "Environment variables")`)
  return value
}
