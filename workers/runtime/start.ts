import { getHeapStatistics } from 'node:v8'
import type { LoggingSettings } from '@postern/contract/settings.ts'
import type { Logger } from 'pino'
import { ChangeQueue } from './change-queue.ts'
import { reasonOf, untilItWorks } from './control-plane.ts'
import { Follower } from './follower.ts'
import { serveHealth } from './health.ts'
import { Periodic } from './periodic.ts'
import { version } from './version.ts'
import type { Service, ServiceStatus, Worker } from './worker.ts'
import { openWorkerParts, type WorkerParts } from './worker-parts.ts'
import { WorkerRequests } from './worker-requests.ts'

export type StartOptions = {
  /** Creates the service, which must not open anything before its first `apply`. */
  service: (worker: WorkerOfService) => Service | Promise<Service>
  /** The service's name, known before the service is created. */
  name: Service['name']
  env: NodeJS.ProcessEnv
}

export type WorkerOfService = Worker & { dataDirectory: string; log: Logger }

const askEveryMs = 15_000
const reportEveryMs = 5_000

/**
 * Starts a worker. It first applies the last good settings from disk, so that mail flows while the API is down. Then it
 * enrols, fetches newer settings, follows change events, reports and ships events. These run independently and do not
 * block mail. Resolves when the service runs with its first settings. SIGTERM and SIGINT stop the worker and end the
 * process with 0.
 */
export async function startWorker({ service: makeService, name, env }: StartOptions): Promise<Worker> {
  const parts = await openWorkerParts(name, env)
  const running = new RunningWorker(parts)
  const worker = running.worker()
  await running.serve(await makeService(worker))
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.once(signal, () => void worker.stop(signal).then(() => process.exit(0)))
  parts.logging.record('worker.started', { service: name, version, pid: process.pid })
  await running.start()
  return worker
}

/** Enrols, follows the settings, reports, and finally stops. */
class RunningWorker {
  readonly #parts: WorkerParts
  readonly #startedAt = new Date().toISOString()
  readonly #stopping = new AbortController()
  readonly #reports: Periodic
  // Set by `serve`, before anything is followed or reported.
  #service!: Service
  #follower!: Follower
  #requests!: WorkerRequests
  #health: Awaited<ReturnType<typeof serveHealth>>
  #changeQueue: ChangeQueue | undefined
  #queueUrl: string | undefined
  #stopped: Promise<void> | undefined

  constructor(parts: WorkerParts) {
    this.#parts = parts
    this.#reports = new Periodic(reportEveryMs, () => this.#report(), this.#stopping.signal)
  }

  /** The worker as seen by its service. */
  worker(): WorkerOfService {
    const { id, env, dataDirectory, log, controlPlane, events, logging, facts } = this.#parts
    return {
      id,
      record: logging.record,
      wants: logging.wants,
      // For measuring the cost of recording. The replay does not see sessions of such a worker.
      facts: env.POSTERN_FACTS === 'off' ? undefined : facts,
      flushEvents: () => events.flush(),
      syncEvents: () => events.sync(),
      wasAccepted: (messageId) => events.wasAccepted(messageId),
      reportOffences: async (offences) => {
        const answer = await controlPlane.sendOffences(offences)
        this.#follower.notify(answer.revision)
        return answer
      },
      runQueue: (domain, by) => controlPlane.runQueue(domain, by),
      tellQueue: (page) => controlPlane.sendQueuePage(page),
      reportSoon: () => this.#reports.soon(),
      stop: (cause) => {
        this.#stopped ??= this.#stop(cause)
        return this.#stopped
      },
      dataDirectory,
      log,
    }
  }

  /** Sets the service that receives the settings, and answers for its health. */
  async serve(service: Service): Promise<void> {
    const { env, controlPlane, lastGood, log, logging } = this.#parts
    this.#service = service
    this.#follower = new Follower({
      controlPlane,
      lastGood,
      service: {
        apply: async (change) => {
          await service.apply(change)
          logging.take(change.replica.settings.get('logging') as LoggingSettings | undefined)
        },
      },
      record: logging.record,
      moved: () => this.#reports.soon(),
    })
    this.#requests = new WorkerRequests({
      controlPlane,
      service,
      failed: (error) => log.warn({ error: reasonOf(error) }, 'could not answer a request from the API; will retry'),
    })
    this.#health = await serveHealth({ env, observed: () => this.#status().observed })
  }

  /** Returns the service's status, degraded by problems of the worker. */
  #status(): ServiceStatus {
    const { events, lastGood, logging } = this.#parts
    return withTrouble(this.#service.status(), {
      events: events.trouble,
      settings: lastGood.trouble,
      log: logging.trouble,
    })
  }

  /** Resolves when the first settings are in force: the last good ones from disk, or the API's. */
  async start(): Promise<void> {
    const { log } = this.#parts
    const resumed = await this.#follower.resume()
    if (resumed) log.info({ revision: this.#follower.revision }, 'running on the last good settings from disk')
    const following = this.#enrol()
      .then(() => this.#follow())
      .catch((error) => {
        if (!this.#stopping.signal.aborted) log.error({ error: reasonOf(error) }, 'following the settings ended')
      })
    if (!resumed) await following
  }

  /** Enrols, then ships events and reports. */
  async #enrol(): Promise<void> {
    const { controlPlane, events, log } = this.#parts
    const stored = await untilItWorks(
      () => controlPlane.storedEvents(events.id),
      this.#stopping.signal,
      (error) => log.warn({ error: reasonOf(error) }, 'cannot enrol with the API; retrying'),
    )
    await events.startShipping(stored)
    this.#reports.start()
  }

  /** Fetches newer settings: once now, then after each notification, and every 15 s in any case. */
  async #follow(): Promise<void> {
    const { log } = this.#parts
    const follower = this.#follower
    await untilItWorks(
      async () => {
        await follower.ask()
        if (!follower.inForce) throw new Error(`the first settings were refused: ${follower.refused?.error}`)
      },
      this.#stopping.signal,
      (error) => log.warn({ error: reasonOf(error) }, 'cannot read the settings; retrying'),
    )
    this.#changeQueue = this.#openChangeQueue()
    new Periodic(askEveryMs, () => follower.ask(), this.#stopping.signal).start()
  }

  #openChangeQueue(): ChangeQueue {
    const { id, env, log } = this.#parts
    return new ChangeQueue({
      workerId: id,
      endpoint: env.POSTERN_SQS_ENDPOINT,
      notified: (revision) => {
        // For a revision that is already known, the notification announces a request instead.
        if (revision <= this.#follower.revision) this.#requests.look()
        this.#follower.notify(revision)
      },
      ready: (url) => {
        this.#queueUrl = url
        this.#reports.soon()
        // Announcements from before the queue existed were lost.
        void this.#follower.ask().catch(() => {})
      },
      failed: (error) =>
        log.warn({ error: reasonOf(error) }, 'the change queue is unreachable; polling the API every 15 s'),
    })
  }

  async #report(): Promise<void> {
    const { name, controlPlane, events, logging } = this.#parts
    const { revision, revisionId, refused } = this.#follower
    const status = this.#status()
    const answer = await controlPlane.report({
      service: name,
      version,
      pid: process.pid,
      startedAt: this.#startedAt,
      ...status,
      metrics: { ...status.metrics, ...logging.metrics, heap_used_bytes: getHeapStatistics().used_heap_size },
      revision,
      revisionId,
      ...(refused ? { refused } : {}),
      ...(this.#queueUrl ? { queueUrl: this.#queueUrl } : {}),
      eventsUnsent: events.unsent,
    })
    this.#follower.told({ revision: answer.revision, id: answer.revisionId })
    if (answer.requests > 0) this.#requests.look()
  }

  /** Stops mail first, then reporting. */
  async #stop(cause: string): Promise<void> {
    const { name, log, logging, facts, events, lastGood } = this.#parts
    log.info({ cause }, 'stopping')
    await this.#service.stop()
    logging.record('worker.stopped', { service: name, cause })
    await logging.close()
    await facts.close()
    await events.close()
    await this.#report().catch(() => {})
    this.#stopping.abort()
    await this.#changeQueue?.close()
    await lastGood.close()
    this.#health?.close()
    log.info('stopped')
  }
}

/**
 * A running service is degraded while its disk refuses data that must outlive the process, or while its log cannot be
 * reached.
 */
function withTrouble(status: ServiceStatus, troubles: Record<string, string | undefined>): ServiceStatus {
  const texts = Object.entries(troubles).flatMap(([part, text]) => (text === undefined ? [] : [`${part}: ${text}`]))
  if (texts.length === 0 || (status.observed !== 'running' && status.observed !== 'degraded')) return status
  const detail = [...(status.detail === undefined ? [] : [status.detail]), ...texts].join('; ').slice(0, 500)
  return { ...status, observed: 'degraded', detail }
}
