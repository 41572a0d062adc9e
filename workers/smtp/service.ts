import { hostname } from 'node:os'
import { join } from 'node:path'
import { serversIn } from '@postern/contract/environment.ts'
import type { RowKind } from '@postern/contract/rows.ts'
import type { DesiredService, ObservedState } from '@postern/contract/services.ts'
import type { WorkerRequest, WorkerRequestAnswer } from '@postern/contract/worker-requests.ts'
import { Examiner } from '@postern/mailauth/examiner.ts'
import { findBlock } from '@postern/policy/address-blocks.ts'
import { compileInSlices, compileSteps } from '@postern/policy/compile.ts'
import { blockLimits } from '@postern/policy/decide-block.ts'
import type { Policy } from '@postern/policy/policy.ts'
import { getJson } from '@postern/runtime/hooks/get-json.ts'
import { hostsFrom } from '@postern/runtime/hooks/hosts.ts'
import { Poster } from '@postern/runtime/hooks/post.ts'
import type { MessageChunks, Service, ServiceStatus, Worker } from '@postern/runtime/worker.ts'
import { openLocalReader } from '@postern/spool/local/reader.ts'
import { openLocalWriter } from '@postern/spool/local/writer.ts'
import type { SpoolWriter, Trouble } from '@postern/spool/spool.ts'
import { LRUCache } from 'lru-cache'
import { Credentials } from './auth/credentials.ts'
import { PasswordThreads } from './auth/password-threads.ts'
import { type FetchJson, Tokens } from './auth/tokens.ts'
import { identifyClient } from './listen/connection-origin.ts'
import { Listeners } from './listen/listeners.ts'
import { type Environment, planListeners, readEnvironment } from './listen/plan.ts'
import { trustedBlocks, trustedByEnvironment } from './listen/trusted.ts'
import { Application } from './lookups/application.ts'
import type { LookupClients } from './lookups/ask.ts'
import { Callouts } from './lookups/callouts.ts'
import { Dns } from './lookups/dns.ts'
import { Greylist } from './lookups/greylist.ts'
import { submit } from './message/submit.ts'
import { Receiver } from './receiver.ts'
import { AcceptedEvents } from './record/accepted-events.ts'
import { Offences } from './record/offences.ts'

export type SmtpServiceParts = {
  worker: Pick<Worker, 'id' | 'record' | 'reportSoon' | 'reportOffences' | 'runQueue' | 'wasAccepted'> &
    Partial<Pick<Worker, 'facts' | 'wants'>>
  spool: SpoolWriter
  receptions?: Pick<AcceptedEvents, 'close'>
  /** `poster`: through which the delivery application is asked. */
  lookupClients: LookupClients & { poster: Pick<Poster, 'close'> }
  /** Where the keys of token issuers are read. */
  fetchJson: FetchJson
  environment: Environment
  machine: string
  /** What the disk said against a message a moment ago; `undefined`: nothing. */
  diskTrouble?: () => string | undefined
  /** For the operator's log. */
  trouble: (error: unknown) => void
}

/** A port in use may be free soon: who holds it stops, or is stopped. Nobody should have to notice. */
const tryPortsAgainMs = 5_000
const lookAtDiskMs = 1_000
/** Compiling lets others run when it has held the event loop for so long. */
const longestStepMs = 10

/** The receiver as a service: it follows the settings, opens and closes ports, and says how it is. */
export class SmtpService implements Service {
  readonly name = 'smtp'
  readonly #parts: SmtpServiceParts
  readonly #listeners: Listeners
  readonly #offences: Offences
  readonly #submitted = new LRUCache<string, true>({ max: 10_000 })
  #receiver: Receiver | undefined
  #inForce: Policy | undefined
  #wish: DesiredService = { desired: 'running', generation: 0 }
  #generation = 0
  #observed: ObservedState = 'starting'
  #detail: string | undefined
  /** Why no mail is taken, as it was told last. */
  #refusal: string | undefined
  #draining: Promise<void> | undefined
  #turn: Promise<void> = Promise.resolve()
  #again: NodeJS.Timeout | undefined
  #watch: NodeJS.Timeout | undefined

  constructor(parts: SmtpServiceParts) {
    this.#parts = parts
    const { proxyProtocol } = parts.environment
    const fixed = proxyProtocol && trustedByEnvironment(proxyProtocol)
    const trusted = (policy: Policy) => fixed ?? trustedBlocks(policy)
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
    const policy = await compileInSlices(steps, breathe())
    this.#receiver ??= this.#makeReceiver(policy)
    const receiver = this.#receiver
    if (!this.#inForce || touches(changed, 'certificate', 'settings')) {
      const { general, tls } = policy.settings
      const own = general.hostname || this.#parts.machine
      receiver.loadCertificates(replica.certificate, { hostname: own, minVersion: tls.minVersion })
    }
    receiver.policy = policy
    receiver.tokens.follow(policy.settings.advanced.oauth)
    receiver.credentials.concurrent = policy.settings.advanced.minThreads
    this.#inForce = policy
    if (previous && changed.has('control-access')) receiver.expelBlocked()
    this.#wish = replica.service.get('smtp') ?? this.#wish
    if (!previous || touches(changed, 'service', 'settings', 'certificate')) await this.#carryOut(receiver)
  }

  #makeReceiver(policy: Policy): Receiver {
    const { worker, spool, lookupClients, machine, trouble } = this.#parts
    const usual = new PasswordThreads({ leisurely: false })
    const last = new PasswordThreads({ leisurely: true })
    const credentials = new Credentials({
      check: (hash, password, leisurely) => (leisurely ? last : usual).check(hash, password),
    })
    const tokens = new Tokens(this.#parts.fetchJson)
    this.#watch ??= setInterval(() => this.#look(), lookAtDiskMs).unref()
    const { id, record, wants, facts, runQueue } = worker
    const offences = this.#offences
    const shared = { record, wants, facts, credentials, offences, tokens, lookupClients, runQueue, trouble }
    return new Receiver({ id, machine, policy, spool, ...shared })
  }

  /** One after the other: settings come, and ports are tried again. */
  #carryOut(receiver: Receiver): Promise<void> {
    const turn = this.#turn.catch(() => {}).then(() => this.#obey(receiver))
    this.#turn = turn
    return turn
  }

  async #obey(receiver: Receiver): Promise<void> {
    clearTimeout(this.#again)
    const wish = this.#wish
    if (wish.desired === 'stopped') return this.#close(receiver, wish)
    if (receiver.stopping) receiver.resume()
    const { settings } = receiver.policy
    const wanted = planListeners(settings, this.#parts.environment, receiver.tlsAvailable)
    const failures = await this.#listeners.become(wanted)
    // The process ends meanwhile.
    if (this.#wish.desired === 'stopped') this.#listeners.close()
    const detail = failures.map(({ door, error }) => `${door.name} on port ${door.port}: ${error}`).join('; ')
    for (const { door, error } of detail === this.#detail ? [] : failures)
      this.#parts.worker.record('listener.failed', {
        listener: door.name,
        address: door.address,
        port: door.port,
        error,
      })
    this.#generation = wish.generation
    this.#become(failures.length > 0 ? 'degraded' : 'running', detail || undefined)
    if (failures.length === 0) return
    const again = () => void this.#carryOut(receiver).catch(this.#parts.trouble)
    this.#again = setTimeout(again, tryPortsAgainMs).unref()
  }

  /** Ports close at once; what is in progress is waited for in the background, so that newer settings are not kept waiting. */
  #close(receiver: Receiver, wish: DesiredService): void {
    this.#listeners.close()
    if (this.#observed === 'stopped') this.#generation = wish.generation
    if (this.#observed === 'stopped' || this.#observed === 'stopping') return
    this.#become('stopping')
    const draining = receiver.drain(receiver.policy.settings.advanced.drainTimeoutSeconds).then(() => {
      // A start came in between, or a start and another stop.
      if (this.#draining !== draining || this.#wish.desired !== 'stopped') return
      this.#generation = this.#wish.generation
      this.#become('stopped')
    })
    this.#draining = draining
  }

  #become(observed: ObservedState, detail?: string): void {
    const { worker } = this.#parts
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

  /** When the disk fills up, and when it has room again, the report does not wait for its turn. */
  #look(): void {
    if ((this.#refusalNow() === undefined) !== (this.#refusal === undefined)) this.#parts.worker.reportSoon()
  }

  /** Why no mail is taken, where it should be. */
  #refusalNow(): string | undefined {
    if (this.#observed !== 'running' && this.#observed !== 'degraded') return undefined
    return refusesMail(this.#parts.spool) ?? this.#parts.diskTrouble?.()
  }

  /** A receiver that refuses all mail does not run as it should, whatever its ports say. Told when it begins and when it ends. */
  #withRefusals(): { observed: ObservedState; detail: string | undefined } {
    const told = this.#refusalNow()
    const observed = told === undefined ? this.#observed : 'degraded'
    const detail = [this.#detail, told].filter((text) => text !== undefined).join('; ') || undefined
    if ((told === undefined) !== (this.#refusal === undefined))
      this.#parts.worker.record('service.state', {
        service: 'smtp',
        observed,
        ...(detail === undefined ? {} : { detail }),
      })
    this.#refusal = told
    return { observed, detail }
  }

  status(): ServiceStatus {
    const load = this.#parts.spool.load()
    const { observed, detail } = this.#withRefusals()
    return {
      observed,
      generation: this.#generation,
      sessions: this.#receiver?.sessions ?? 0,
      listeners: this.#listeners.open.map((one) => ({ ...one, name: one.name.slice(0, 20) })),
      ...(detail === undefined ? {} : { detail: detail.slice(0, 500) }),
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
    // Done before, and the answer was lost.
    if (this.#parts.worker.wasAccepted(request.messageId) || this.#submitted.has(request.messageId))
      return { outcome: 'stored' }
    const answer = await submit(receiver, request, chunks)
    if (answer.outcome === 'stored' && !request.dryRun) this.#submitted.set(request.messageId, true)
    return answer
  }

  async stop(): Promise<void> {
    const receiver = this.#receiver
    this.#wish = { ...this.#wish, desired: 'stopped' }
    if (receiver) {
      this.#close(receiver, this.#wish)
      await this.#draining
      receiver.end()
    }
    clearInterval(this.#watch)
    await this.#offences.close()
    this.#parts.lookupClients.poster.close()
    await this.#parts.lookupClients.greylist.close()
    await this.#parts.lookupClients.examiner?.close()
    await this.#parts.receptions?.close()
    await this.#parts.spool.close()
  }
}

function refusesMail(spool: SpoolWriter): string | undefined {
  if (spool.hasRoom()) return undefined
  const { reserve } = spool.load()
  return `mail is refused (452 4.3.1): the disk of the spool has no more than the ${reserve >> 20} MiB that are kept free`
}

/** Milliseconds for which a refusal by the disk is told. */
const refusalToldMs = 30_000

/** What `hasRoom` does not foresee: a quota, a disk that fails. */
function lastRefusal() {
  let last: { text: string; at: number } | undefined
  return {
    note: (what: Trouble) => {
      if (what.kind === 'write-failed') last = { text: `mail is refused: ${what.error}`, at: Date.now() }
    },
    now: () => (last && Date.now() - last.at < refusalToldMs ? last.text : undefined),
  }
}

function touches(changed: ReadonlySet<RowKind>, ...kinds: RowKind[]): boolean {
  return kinds.some((kind) => changed.has(kind))
}

function breathe(): () => Promise<void> | undefined {
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

type Home = Worker & {
  dataDirectory: string
  log: { error(fields: object, text: string): void; info(text: string): void }
}

/** Opens the worker's part of the spool and makes the service. */
export async function openSmtpService(worker: Home, env: NodeJS.ProcessEnv): Promise<SmtpService> {
  const trouble = (error: unknown) => worker.log.error({ error: String(error) }, 'receiver')
  const environment = readEnvironment(env, process.getuid?.() !== 0)
  if (environment.unprivileged && !(env.POSTERN_SMTP_PORT && env.POSTERN_SUBMISSION_PORT && env.POSTERN_SMTPS_PORT))
    worker.log.info('not started as root: ports 25, 587 and 465 become 2525, 2587 and 2465')
  const hosts = hostsFrom(env)
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
  const receptions = await AcceptedEvents.open({ worker, spool, reader, file, trouble })
  await reader.close()
  const poster = new Poster(hosts)
  const servers = serversIn(env, 'POSTERN_DNS_SERVERS') ?? []
  const lookupClients = {
    dns: new Dns({ servers }),
    examiner: new Examiner({ servers, threads: 2, maxWaiting: 500, patience: { message: 20_000, thread: 15_000 } }),
    trouble,
    greylist: await Greylist.open({ file: join(own, 'greylist'), trouble }),
    callouts: new Callouts(hosts, worker.record),
    application: new Application(poster, worker.record),
    poster,
  }
  const fetchJson = (url: string) => getJson(url, hosts)
  return new SmtpService({
    worker,
    spool,
    receptions,
    lookupClients,
    fetchJson,
    environment,
    machine: hostname(),
    diskTrouble: refusals.now,
    trouble,
  })
}
