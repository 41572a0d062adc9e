import { chmod, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { LoggingSettings } from '@postern/contract/settings.ts'
import { type Logger, pino } from 'pino'
import { ChangeQueue } from './change-queue.ts'
import { ControlPlane, reasonOf, untilItWorks } from './control-plane.ts'
import { EventLog } from './event-log.ts'
import { FactLog } from './fact-log.ts'
import { Follower } from './follower.ts'
import { serveHealth } from './health.ts'
import { LastGood } from './last-good.ts'
import { Logging } from './logging/logging.ts'
import { version } from './version.ts'
import type { Service, ServiceStatus, Worker } from './worker.ts'
import { WorkerRequests } from './worker-requests.ts'

export type WorkerParts = {
  /** Makes the service; it must not open anything before its first `apply`. */
  service: (worker: Worker & { dataDirectory: string; log: Logger }) => Service | Promise<Service>
  /** Which service this is, before it is made. */
  name: Service['name']
  env: NodeJS.ProcessEnv
}

const askEveryMs = 15_000
const reportEveryMs = 5_000

/**
 * Brings a worker to life: last good settings from disk first, so that mail flows when the API is down; then enrolment,
 * newer settings, change events, reports and the shipping of events, each on its own and none in the way of mail.
 * Resolves when the service runs under its first settings. SIGTERM and SIGINT stop it and end the process with 0.
 */
export async function startWorker({ service: makeService, name, env }: WorkerParts): Promise<Worker> {
  const id = required(env, 'POSTERN_WORKER_NAME')
  const dataDirectory = required(env, 'POSTERN_DATA_DIR')
  await keepToThisUser(dataDirectory)
  const log = pino({ name: id, level: env.POSTERN_LOG_LEVEL ?? 'info' }, pino.destination(2))
  const directory = join(dataDirectory, 'worker', id)
  const stopping = new AbortController()
  const controlPlane = new ControlPlane(required(env, 'POSTERN_API_URL'), {
    token: required(env, 'POSTERN_ENROL_TOKEN'),
    service: name,
    name: id,
    version,
  })
  const events = await EventLog.open({
    directory: join(directory, 'events'),
    send: (lines) => controlPlane.sendEvents(lines),
    failed: (error) => log.warn({ error: reasonOf(error) }, 'events wait on disk: storage does not take them'),
    refused: (error) => log.error({ error: reasonOf(error) }, 'events wait in memory: the disk does not take them'),
  })
  const logging = new Logging({
    worker: id,
    service: name,
    events,
    syslog: env.POSTERN_SYSLOG || '/dev/log',
    failed: (why) =>
      log.warn({ error: why }, 'the log cannot be reached; lines wait, and are counted when there are too many'),
  })
  const facts = new FactLog({
    send: (batch) => controlPlane.sendFacts(batch),
    failed: (error) =>
      log.warn({ error: reasonOf(error) }, 'facts for the replay wait in memory: storage does not take them'),
  })
  const startedAt = new Date().toISOString()
  let queueUrl: string | undefined
  let stopped: Promise<void> | undefined

  const report = async () => {
    const status = logged.status()
    const answer = await controlPlane.report({
      service: name,
      version,
      pid: process.pid,
      startedAt,
      ...status,
      metrics: { ...status.metrics, ...logging.metrics },
      revision: follower.revision,
      revisionId: follower.revisionId,
      ...(follower.refused ? { refused: follower.refused } : {}),
      ...(queueUrl ? { queueUrl } : {}),
      eventsUnsent: events.unsent,
    })
    follower.told({ revision: answer.revision, id: answer.revisionId })
    if (answer.requests > 0) requests.look()
  }
  const reports = everyNowAndThen(reportEveryMs, report, stopping.signal)

  const worker: Worker & { dataDirectory: string; log: Logger } = {
    id,
    record: logging.record,
    wants: logging.wants,
    // For measuring what recording costs; the replay knows nothing of sessions of such a worker.
    facts: env.POSTERN_FACTS === 'off' ? undefined : facts,
    flushEvents: () => events.flush(),
    syncEvents: () => events.sync(),
    wasAccepted: (messageId) => events.wasAccepted(messageId),
    reportOffences: async (offences) => {
      const answer = await controlPlane.sendOffences(offences)
      follower.nudge(answer.revision)
      return answer
    },
    runQueue: (domain, by) => controlPlane.runQueue(domain, by),
    reportSoon: () => reports.soon(),
    stop: (cause) => {
      stopped ??= stop(cause)
      return stopped
    },
    dataDirectory,
    log,
  }
  const service = await makeService(worker)
  const health = await serveHealth({ env, observed: () => logged.status().observed })
  const lastGood = new LastGood(directory)
  /** The service's settings, and the log's. */
  const logged: Service = {
    name,
    apply: async (change) => {
      await service.apply(change)
      logging.take(change.replica.settings.get('logging') as LoggingSettings | undefined)
    },
    status: () =>
      withTrouble(service.status(), { events: events.trouble, settings: lastGood.trouble, log: logging.trouble }),
    stop: () => service.stop(),
  }
  const follower = new Follower({
    controlPlane,
    lastGood,
    service: logged,
    record: logging.record,
    moved: () => reports.soon(),
  })
  const requests = new WorkerRequests({
    controlPlane,
    service,
    failed: (error) => log.warn({ error: reasonOf(error) }, 'a request of the API was not answered; it is tried again'),
  })
  let changeQueue: ChangeQueue | undefined

  const stop = async (cause: string) => {
    log.info({ cause }, 'stopping')
    await service.stop()
    logging.record('worker.stopped', { service: name, cause })
    await logging.close()
    await facts.close()
    await events.close()
    await report().catch(() => {})
    stopping.abort()
    await changeQueue?.close()
    await lastGood.close()
    health?.close()
    log.info('stopped')
  }

  const follow = async () => {
    const { lastEvent } = await untilItWorks(
      () => controlPlane.enrol(),
      stopping.signal,
      (error) => log.warn({ error: reasonOf(error) }, 'cannot enrol at the API; trying again'),
    )
    events.numberFrom(lastEvent)
    events.startShipping()
    reports.start()
    await untilItWorks(
      async () => {
        await follower.ask()
        if (!follower.inForce) throw new Error(`the first settings were refused: ${follower.refused?.error}`)
      },
      stopping.signal,
      (error) => log.warn({ error: reasonOf(error) }, 'cannot read the settings; trying again'),
    )
    changeQueue = new ChangeQueue({
      workerId: id,
      endpoint: env.POSTERN_SQS_ENDPOINT,
      nudged: (revision) => {
        // A revision that is known already: there is something else to be done.
        if (revision <= follower.revision) requests.look()
        follower.nudge(revision)
      },
      ready: (url) => {
        queueUrl = url
        reports.soon()
        // What was announced before the queue existed was announced to nobody.
        void follower.ask().catch(() => {})
      },
      failed: (error) => log.warn({ error: reasonOf(error) }, 'change queue is away; asking the API every 15 s'),
    })
    everyNowAndThen(askEveryMs, () => follower.ask(), stopping.signal).start()
  }

  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.once(signal, () => void worker.stop(signal).then(() => process.exit(0)))

  logging.record('worker.started', { service: name, version, pid: process.pid })
  const resumed = await follower.resume()
  if (resumed) log.info({ revision: follower.revision }, 'running on the last good settings from disk')
  const following = follow().catch((error) => {
    if (!stopping.signal.aborted) log.error({ error: reasonOf(error) }, 'following the settings ended')
  })
  if (!resumed) await following
  return worker
}

/** A service that runs is degraded while its disk refuses what should outlive the process, or its log cannot be reached. */
function withTrouble(status: ServiceStatus, troubles: Record<string, string | undefined>): ServiceStatus {
  const texts = Object.entries(troubles).flatMap(([part, text]) => (text === undefined ? [] : [`${part}: ${text}`]))
  if (texts.length === 0 || (status.observed !== 'running' && status.observed !== 'degraded')) return status
  const detail = [...(status.detail === undefined ? [] : [status.detail]), ...texts].join('; ').slice(0, 500)
  return { ...status, observed: 'degraded', detail }
}

/** Mail, keys and password hashes: what is made from now on, and what an earlier release left, is for this user alone. */
async function keepToThisUser(dataDirectory: string): Promise<void> {
  process.umask(0o077)
  await mkdir(dataDirectory, { recursive: true })
  // A volume that belongs to somebody else has its own access rules.
  await chmod(dataDirectory, 0o700).catch(() => {})
}

/** Runs `call` every `pauseMs` after the one before has ended, and at once after `soon()`. Failures wait for the next turn. */
function everyNowAndThen(pauseMs: number, call: () => Promise<void>, signal: AbortSignal) {
  let timer: NodeJS.Timeout | undefined
  let running = false
  let again = false
  let started = false
  const run = async () => {
    clearTimeout(timer)
    if (running) {
      again = true
      return
    }
    running = true
    await call().catch(() => {})
    running = false
    if (signal.aborted) return
    timer = setTimeout(run, again ? 10 : pauseMs)
    again = false
  }
  signal.addEventListener('abort', () => clearTimeout(timer))
  return {
    start: () => {
      started = true
      void run()
    },
    soon: () => {
      if (!started || signal.aborted) return
      if (running) again = true
      else {
        clearTimeout(timer)
        timer = setTimeout(run, 10)
      }
    },
  }
}

function required(env: NodeJS.ProcessEnv, name: string): string {
  const value = env[name]
  if (!value) throw new Error(`${name} is not set; a worker needs it (see README, "Starting it")`)
  return value
}
