import { hostname } from 'node:os'
import { join } from 'node:path'
import type { RowKind } from '@postern/contract/rows.ts'
import type { DesiredService, ObservedState } from '@postern/contract/services.ts'
import type { WorkerRequest, WorkerRequestAnswer } from '@postern/contract/worker-requests.ts'
import { findBlock } from '@postern/policy/address-blocks.ts'
import { compileInSlices, compileSteps } from '@postern/policy/compile.ts'
import { blockLimits } from '@postern/policy/decide-block.ts'
import type { Policy } from '@postern/policy/policy.ts'
import type { MessageChunks, Service, ServiceStatus, Worker } from '@postern/runtime/worker.ts'
import { openLocalReader } from '@postern/spool/local/reader.ts'
import { openLocalWriter } from '@postern/spool/local/writer.ts'
import type { SpoolWriter, Trouble } from '@postern/spool/spool.ts'
import { LRUCache } from 'lru-cache'
import { openLogins } from './auth/logins.ts'
import { identifyClient } from './listen/connection-origin.ts'
import { type Environment, listenAddresses, readEnvironment } from './listen/listen-addresses.ts'
import { Listeners } from './listen/listeners.ts'
import { trustedProxiesFrom, trustedProxiesOf } from './listen/trusted-proxies.ts'
import { type OpenLookups, openLookups } from './lookups/lookup-clients.ts'
import { submit } from './message/submit.ts'
import { Receiver } from './receiver.ts'
import { AcceptedEvents } from './record/accepted-events.ts'
import { Offences } from './record/offences.ts'

export type SmtpServiceOptions = {
  worker: Pick<Worker, 'id' | 'record' | 'reportSoon' | 'reportOffences' | 'runQueue' | 'wasAccepted'> &
    Partial<Pick<Worker, 'facts' | 'wants'>>
  spool: SpoolWriter
  acceptedEvents?: Pick<AcceptedEvents, 'close' | 'counted' | 'countFrom'>
  lookups: OpenLookups
  environment: Environment
  machine: string
  /** Why the disk refused a message a moment ago, if it did. */
  diskTrouble?: () => string | undefined
  /** For the operator's log. */
  trouble: (error: unknown) => void
}

/** A port in use may be free soon: then it is opened without anybody's help. */
const portRetryMs = 5_000
const diskCheckMs = 1_000
/** Compiling yields to the event loop after this long. */
const longestStepMs = 10

/** The receiver as a service: follows the settings, opens and closes ports, and reports its state. */
export class SmtpService implements Service {
  readonly name = 'smtp'
  readonly #options: SmtpServiceOptions
  readonly #listeners: Listeners
  readonly #offences: Offences
  readonly #submitted = new LRUCache<string, true>({ max: 10_000 })
  #receiver: Receiver | undefined
  #inForce: Policy | undefined
  #desired: DesiredService = { desired: 'running', generation: 0 }
  #generation = 0
  #observed: ObservedState = 'starting'
  #detail: string | undefined
  /** Why no mail is taken, as last reported. */
  #refusal: string | undefined
  #draining: Promise<void> | undefined
  #turn: Promise<void> = Promise.resolve()
  #retry: NodeJS.Timeout | undefined
  #diskCheck: NodeJS.Timeout | undefined

  constructor(parts: SmtpServiceOptions) {
    this.#options = parts
    const { proxyProtocol } = parts.environment
    const fixed = proxyProtocol && trustedProxiesFrom(proxyProtocol)
    const trusted = (policy: Policy) => fixed ?? trustedProxiesOf(policy)
    this.#offences = new Offences({
      report: (offences) => parts.worker.reportOffences(offences),
      record: parts.worker.record,
      counts: (kind, address) => {
        const { policy } = this.#receiver as Receiver
        if (!blockLimits(policy.settings).has(kind) || trusted(policy).has(address)) return false
        return findBlock(policy.white, address, Date.now()) === undefined
      },
    })
    this.#listeners = new Listeners((socket, { listener }) => {
      const receiver = this.#receiver as Receiver
      identifyClient(socket, listener, {
        policy: () => receiver.policy,
        trusted: () => trusted(receiver.policy),
        record: parts.worker.record,
        receive: (taken, origin) => receiver.take(taken, origin),
      })
    })
  }

  async apply({ replica, revision, changed }: Parameters<Service['apply']>[0]): Promise<void> {
    const previous = this.#inForce
    const steps = compileSteps(replica, revision, { ...(previous ? { previous, changed } : {}) })
    const policy = await compileInSlices(steps, yieldWhenLong())
    this.#receiver ??= this.#makeReceiver(policy)
    const receiver = this.#receiver
    if (!this.#inForce || touches(changed, 'certificate', 'settings')) {
      const { general, tls } = policy.settings
      const own = general.hostname || this.#options.machine
      receiver.loadCertificates(replica.certificate, { hostname: own, minVersion: tls.minVersion })
    }
    receiver.policy = policy
    receiver.logins.follow(policy.settings)
    this.#inForce = policy
    if (previous && changed.has('control-access')) receiver.expelBlocked()
    this.#desired = replica.service.get('smtp') ?? this.#desired
    if (!previous || touches(changed, 'service', 'settings', 'certificate')) await this.#apply(receiver)
  }

  #makeReceiver(policy: Policy): Receiver {
    const { worker, spool, lookups, machine, trouble } = this.#options
    const logins = openLogins(lookups.fetchJson)
    this.#diskCheck ??= setInterval(() => this.#checkDisk(), diskCheckMs).unref()
    const { id, record, wants, facts, runQueue } = worker
    const offences = this.#offences
    const shared = { record, wants, facts, logins, offences, lookupClients: lookups, runQueue, trouble }
    const receiver = new Receiver({ id, machine, policy, spool, ...shared })
    this.#options.acceptedEvents?.countFrom(receiver.counters)
    return receiver
  }

  /** One after another: changes of settings, and further tries to open ports. */
  #apply(receiver: Receiver): Promise<void> {
    const turn = this.#turn.catch(() => {}).then(() => this.#follow(receiver))
    this.#turn = turn
    return turn
  }

  async #follow(receiver: Receiver): Promise<void> {
    clearTimeout(this.#retry)
    const desired = this.#desired
    if (desired.desired === 'stopped') return this.#close(receiver, desired)
    if (receiver.stopping) receiver.resume()
    const { settings } = receiver.policy
    const wanted = listenAddresses(settings, this.#options.environment, receiver.tlsAvailable)
    const failures = await this.#listeners.replace(wanted)
    // The process is stopping meanwhile.
    if (this.#desired.desired === 'stopped') this.#listeners.close()
    const detail = failures.map(({ address, error }) => `${address.name} on port ${address.port}: ${error}`).join('; ')
    for (const { address, error } of detail === this.#detail ? [] : failures)
      this.#options.worker.record('listener.failed', {
        listener: address.name,
        address: address.address,
        port: address.port,
        error,
      })
    this.#generation = desired.generation
    this.#observe(failures.length > 0 ? 'degraded' : 'running', detail || undefined)
    if (failures.length === 0) return
    const again = () => void this.#apply(receiver).catch(this.#options.trouble)
    this.#retry = setTimeout(again, portRetryMs).unref()
  }

  /** Ports close at once. Sessions end in the background, so that newer settings do not wait for them. */
  #close(receiver: Receiver, desired: DesiredService): void {
    this.#listeners.close()
    if (this.#observed === 'stopped') this.#generation = desired.generation
    if (this.#observed === 'stopped' || this.#observed === 'stopping') return
    this.#observe('stopping')
    const draining = receiver.drain(receiver.policy.settings.advanced.drainTimeoutSeconds).then(() => {
      // The service was started meanwhile, or started and stopped again.
      if (this.#draining !== draining || this.#desired.desired !== 'stopped') return
      this.#generation = this.#desired.generation
      this.#observe('stopped')
    })
    this.#draining = draining
  }

  #observe(observed: ObservedState, detail?: string): void {
    const { worker } = this.#options
    if (observed !== this.#observed || detail !== this.#detail)
      worker.record('service.state', {
        service: 'smtp',
        observed,
        ...(detail === undefined ? {} : { detail }),
      })
    this.#observed = observed
    this.#detail = detail
    worker.reportSoon()
  }

  /** Reports at once when the disk fills up, and when it has room again. */
  #checkDisk(): void {
    if ((this.#refusalNow() === undefined) !== (this.#refusal === undefined)) this.#options.worker.reportSoon()
  }

  /** Why no mail is taken while the service runs. */
  #refusalNow(): string | undefined {
    if (this.#observed !== 'running' && this.#observed !== 'degraded') return undefined
    return refusesMail(this.#options.spool) ?? this.#options.diskTrouble?.()
  }

  /** A receiver that refuses all mail is degraded, whatever its ports. Recorded when that begins and when it ends. */
  #withRefusals(): { observed: ObservedState; detail: string | undefined } {
    const refusal = this.#refusalNow()
    const observed = refusal === undefined ? this.#observed : 'degraded'
    const detail = [this.#detail, refusal].filter((text) => text !== undefined).join('; ') || undefined
    if ((refusal === undefined) !== (this.#refusal === undefined))
      this.#options.worker.record('service.state', {
        service: 'smtp',
        observed,
        ...(detail === undefined ? {} : { detail }),
      })
    this.#refusal = refusal
    return { observed, detail }
  }

  status(): ServiceStatus {
    const load = this.#options.spool.load()
    const { observed, detail } = this.#withRefusals()
    return {
      observed,
      generation: this.#generation,
      sessions: this.#receiver?.sessions ?? 0,
      listeners: this.#listeners.open.map((one) => ({ ...one, name: one.name.slice(0, 20) })),
      ...(detail === undefined ? {} : { detail: detail.slice(0, 500) }),
      ...(this.#options.acceptedEvents ? { acknowledged: this.#options.acceptedEvents.counted } : {}),
      metrics: {
        ...this.#receiver?.counters,
        offences_waiting: this.#offences.waiting,
        spool_pending_bytes: load.pending,
        spool_free_bytes: Math.max(0, load.free),
      },
    }
  }

  async answerRequest(request: WorkerRequest, chunks: MessageChunks): Promise<WorkerRequestAnswer> {
    const receiver = this.#receiver
    if (request.kind !== 'submit' || !receiver) return { outcome: 'absent' }
    // Done already, and the answer was lost.
    if (this.#options.worker.wasAccepted(request.messageId) || this.#submitted.has(request.messageId))
      return { outcome: 'stored' }
    const answer = await submit(receiver, request, chunks)
    if (answer.outcome === 'stored' && !request.dryRun) this.#submitted.set(request.messageId, true)
    return answer
  }

  async stop(): Promise<void> {
    const receiver = this.#receiver
    this.#desired = { ...this.#desired, desired: 'stopped' }
    if (receiver) {
      this.#close(receiver, this.#desired)
      await this.#draining
      receiver.end()
    }
    clearInterval(this.#diskCheck)
    await this.#offences.close()
    await this.#options.lookups.close()
    await this.#options.acceptedEvents?.close()
    await this.#options.spool.close()
  }
}

function refusesMail(spool: SpoolWriter): string | undefined {
  if (spool.hasRoom()) return undefined
  const { reserve } = spool.load()
  return `mail is refused (452 4.3.1): the disk of the spool has no more than the ${reserve >> 20} MiB that are kept free`
}

/** How long a refusal by the disk is reported. */
const refusalReportedMs = 30_000

/** Refusals that `hasRoom` does not foresee: a quota, a failing disk. */
function lastRefusal() {
  let last: { text: string; at: number } | undefined
  return {
    note: (what: Trouble) => {
      if (what.kind === 'write-failed') last = { text: `mail is refused: ${what.error}`, at: performance.now() }
    },
    now: () => (last && performance.now() - last.at < refusalReportedMs ? last.text : undefined),
  }
}

function touches(changed: ReadonlySet<RowKind>, ...kinds: RowKind[]): boolean {
  return kinds.some((kind) => changed.has(kind))
}

function yieldWhenLong(): () => Promise<void> | undefined {
  let since = performance.now()
  return () => {
    if (performance.now() - since < longestStepMs) return undefined
    return new Promise((go) =>
      setImmediate(() => {
        since = performance.now()
        go()
      }),
    )
  }
}

type SmtpWorker = Worker & {
  dataDirectory: string
  log: { error(fields: object, text: string): void; info(text: string): void }
}

/** Opens the worker's part of the spool and creates the service. */
export async function openSmtpService(worker: SmtpWorker, env: NodeJS.ProcessEnv): Promise<SmtpService> {
  const trouble = (error: unknown) => worker.log.error({ error: String(error) }, 'receiver')
  const environment = readEnvironment(env, process.getuid?.() !== 0)
  if (environment.unprivileged && !(env.POSTERN_SMTP_PORT && env.POSTERN_SUBMISSION_PORT && env.POSTERN_SMTPS_PORT))
    worker.log.info('not started as root: ports 25, 587 and 465 become 2525, 2587 and 2465')
  const directory = join(worker.dataDirectory, 'spool')
  const refusals = lastRefusal()
  const spool = await openLocalWriter({
    directory,
    name: worker.id,
    trouble: (what: Trouble) => {
      refusals.note(what)
      worker.log.error(what, 'spool')
    },
  })
  const own = join(worker.dataDirectory, 'worker', worker.id)
  const file = join(own, 'receptions')
  const reader = openLocalReader({ directory })
  const acceptedEvents = await AcceptedEvents.open({ worker, spool, reader, file, trouble })
  await reader.close()
  return new SmtpService({
    worker,
    spool,
    acceptedEvents,
    lookups: await openLookups(env, { directory: own, record: worker.record, trouble }),
    environment,
    machine: hostname(),
    diskTrouble: refusals.now,
    trouble,
  })
}
