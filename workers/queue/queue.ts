import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type { ReportOrder } from '@postern/contract/orders.ts'
import type { Dns } from '@postern/net/dns.ts'
import { hostsFrom } from '@postern/net/http/checked-hosts.ts'
import { Poster } from '@postern/net/http/post.ts'
import { version } from '@postern/runtime/version.ts'
import type { RecordEvent, Worker } from '@postern/runtime/worker.ts'
import type { Location, SpoolReader, SpoolWriter } from '@postern/spool/spool.ts'
import { type Assurance, settingsAlone } from './assure/assurance.ts'
import { defaultTimeouts, type Timeouts } from './client/connect-options.ts'
import { Pool } from './client/pool.ts'
import type { AttemptContext } from './delivery/attempt-context.ts'
import { Buckets } from './delivery/buckets.ts'
import { concludeOrPutBack, type DeliverContext, damagedOutcome, deliver, putBack } from './delivery/deliver.ts'
import { MessageMailauth, type MessageMailauthOptions } from './delivery/mailauth.ts'
import type { OutcomeCounters } from './delivery/outcome.ts'
import { dailyReport } from './dsn/daily-report.ts'
import { Converter } from './form/converter.ts'
import { Signer } from './form/signer.ts'
import { hasMail } from './index/has-mail.ts'
import { type Index, openIndex } from './index/index-thread.ts'
import { IndexWriter } from './index/index-writer.ts'
import { Reclaim } from './index/reclaim.ts'
import type { Rebuild } from './index/rows.ts'
import { ActiveMessages } from './message/active-messages.ts'
import { damageOncePerMessage } from './message/damage-events.ts'
import type { QueuedMessage } from './message/message.ts'
import { active, deferred, held } from './message/message.ts'
import { type Attempt, sameOutcome } from './message/outcome.ts'
import { QueueClock } from './message/queue-clock.ts'
import { QueueMirror, type QueueMirrorOptions } from './mirror/queue-mirror.ts'
import type { DeliverySettings } from './route/delivery-settings.ts'
import type { OwnAddresses } from './route/hosts.ts'
import { DueLoader } from './scheduling/due-loader.ts'
import { Orders } from './scheduling/orders.ts'
import { Scheduler } from './scheduling/scheduler.ts'
import { SpoolFollower } from './scheduling/spool-follower.ts'

/** The parts of the Queue Manager, put together. Taking over goes on while deliveries are stopped. */
export type QueueOptions = {
  dataDirectory: string
  reader: SpoolReader
  writer: SpoolWriter
  record: RecordEvent
  /** Whether the log takes such events; without it, it takes none of debug. */
  wants?: Worker['wants'] | undefined
  flushEvents(): Promise<void>
  /** Tells the API what waits; without it nobody is told. */
  mirror?: Pick<QueueMirrorOptions, 'send' | 'failed' | 'times'>
  /** The index cannot be used any more: end the process. The next one moves it aside and rebuilds it. */
  fatal(error: Error): void
  /** The machine's clock was set by so many seconds, forward or back. */
  clockJumped?(seconds: number): void
  /** Whether an earlier process recorded that this message was accepted. */
  wasAccepted?: (messageId: string) => boolean
  dns: Dns
  /** Without it certificates are verified by the usual authorities where the settings say so; no policy is asked for. */
  assurance?: Assurance
  /** Finds out where messages come from; without it nothing is found out. */
  verifier?: MessageMailauthOptions['verifier'] | undefined
  ownAddresses(): OwnAddresses
  settings: DeliverySettings
  /** Of MX hosts. */
  outboundPort: number
  timeouts?: Timeouts
  /** What the routes webhook and s3 read of the environment; none without it. */
  env?: NodeJS.ProcessEnv
}

/** Milliseconds between two notes of what time it is: after a crash so much is taken for time in which nothing ran. */
const tickMs = 60_000

/** Milliseconds after the start in which what the process before wrote has been taken over. */
const reportAfterMs = 2000

export class Queue {
  settings: DeliverySettings
  readonly counters: OutcomeCounters = { delivered: 0, deferred: 0, bounced: 0, discarded: 0, attempts: 0 }
  readonly indexWriter: IndexWriter
  readonly orders: Orders
  readonly reclaim: Reclaim
  readonly scheduler: Scheduler
  readonly index: Index
  readonly mirror: QueueMirror | undefined
  /** Current problems, by part. */
  readonly troubles = new Map<string, string>()
  readonly #options: QueueOptions
  readonly #pool = new Pool()
  readonly #poster: Poster
  readonly #buckets: Buckets
  readonly #signer = new Signer()
  readonly #converter = new Converter()
  readonly #activeMessages: ActiveMessages
  readonly #spoolFollower: SpoolFollower
  readonly #deliverContext: DeliverContext
  readonly #due: DueLoader
  readonly #openedAt = performance.now()
  readonly #clock: QueueClock
  #ticking: NodeJS.Timeout | undefined
  delivering = false

  private constructor(parts: QueueOptions, index: Index) {
    const { reader, writer, record, settings, verifier } = parts
    this.#options = parts
    this.#poster = new Poster(hostsFrom(parts.env ?? {}))
    this.#buckets = new Buckets(parts.env ?? {})
    this.settings = settings
    this.index = index
    this.#clock = new QueueClock(index.opened.clock, (ms) => this.#clockJumped(ms))
    const clock = this.#clock
    this.mirror = parts.mirror && new QueueMirror({ ...parts.mirror, index, reader, clock })
    this.#activeMessages = new ActiveMessages(index.opened.lastN)
    const activeMessages = this.#activeMessages
    this.indexWriter = new IndexWriter({
      index,
      flushEvents: parts.flushEvents,
      recorded: (mail) => activeMessages.release(mail),
      trouble: (error) => this.#trouble('index', error),
      fatal: parts.fatal,
    })
    const { indexWriter } = this
    this.#deliverContext = this.#makeDeliverContext()
    const deliverContext = this.#deliverContext
    const mailauth =
      verifier && new MessageMailauth({ verifier, reader, hostname: () => this.settings.hostname, record, indexWriter })
    const scheduler = new Scheduler({
      settings: () => this.settings,
      deliver: (job, queue, slot) => deliver(job, { destination: queue.nextHop.destination, slot }, deliverContext),
      putBack: (job, queue) => putBack(job, queue.nextHop.destination, deliverContext),
      prepare: (mail) => mailauth?.prepare(mail),
      drained: () => this.#due.wake(),
    })
    this.scheduler = scheduler
    this.reclaim = new Reclaim({
      index,
      indexWriter,
      reader,
      writer,
      activeMessages,
      record,
      trouble: (error) => this.#trouble('reclaim', error),
    })
    this.#due = new DueLoader({
      index,
      reader,
      indexWriter,
      scheduler,
      clock,
      activeMessages,
      record,
      moved: this.reclaim.moved,
    })
    this.#spoolFollower = new SpoolFollower({
      reader,
      indexWriter,
      scheduler,
      clock,
      activeMessages,
      record,
      finished: index.opened.finished,
      lost: (mail, { reason }) => void this.#returnDamaged(mail, reason),
    })
    this.orders = new Orders({
      index,
      indexWriter,
      scheduler,
      clock,
      activeMessages,
      due: this.#due,
      record,
      conclude: (mail, recipients, attempt) =>
        concludeOrPutBack({ mail, recipients: [...recipients] }, attempt, deliverContext),
      trouble: (error) => this.#trouble('orders', error),
      worker: parts.writer.name,
      writeReport: (report) => this.#writeReport(report),
      forgetHosts: () => this.#pool.clear(),
    })
  }

  /** Opens the index, rebuilding it when that is needed, and begins to take over. Deliveries begin with `startDeliveries`. */
  static async open(given: QueueOptions): Promise<Queue> {
    const parts = { ...given, record: damageOncePerMessage(given.record) }
    const spool = join(parts.dataDirectory, 'spool')
    const index = await openIndex({
      path: join(parts.dataDirectory, 'queue', 'queue.db'),
      sidecar: join(spool, 'index.db'),
      release: version,
      hasMail: await hasMail(spool),
      now: Date.now(),
    })
    const queue = new Queue(parts, index)
    const { rebuild, unclean } = index.opened
    if (rebuild) await queue.#rebuild(rebuild)
    queue.#spoolFollower.start({ cautious: unclean, trouble: (error) => queue.#trouble('spool', error) })
    queue.reclaim.start()
    queue.#clock.start()
    queue.mirror?.start()
    queue.#ticking = setInterval(() => queue.#keepClock(), tickMs).unref()
    return queue
  }

  async #rebuild(because: Rebuild): Promise<void> {
    const { index } = this
    const { movedTo } = index.opened
    const { added, missing } = await this.#spoolFollower.rebuild(index, { keepMissing: because !== 'older' })
    if (because === 'lost' && !movedTo) return
    const detail = `${reasons[because]}${movedTo ? `: moved to ${movedTo}` : ''}; compared with the spool: ${added} messages were added${missing > 0 ? `, ${missing} are in no segment` : ''}. What it did not know of is sent again`
    this.#options.record('message.damaged', { where: 'queue.db', detail })
  }

  #makeDeliverContext(): DeliverContext {
    const { reader, writer, record, dns, assurance, ownAddresses, outboundPort, dataDirectory, timeouts } =
      this.#options
    const attemptContext: AttemptContext = {
      settings: () => this.settings,
      reader,
      pool: this.#pool,
      dns,
      assurance: assurance ?? settingsAlone,
      record,
      wants: this.#options.wants ?? (() => false),
      signer: this.#signer,
      converter: this.#converter,
      ownAddresses,
      port: outboundPort,
      timeouts: timeouts ?? defaultTimeouts,
      mailDirectory: join(dataDirectory, 'mail'),
      mailTrouble: (error) => this.#trouble('maildir', error),
      poster: this.#poster,
      buckets: this.#buckets,
    }
    const outcomeContext = {
      settings: attemptContext.settings,
      reader,
      writer,
      record,
      indexWriter: this.indexWriter,
      counters: this.counters,
      clock: this.#clock,
    }
    return { attemptContext, outcomeContext, activeMessages: this.#activeMessages, record }
  }

  async #returnDamaged(mail: QueuedMessage, reason: string): Promise<void> {
    const recipients = [...mail.pending.keys()]
    const outcomes = sameOutcome(recipients, damagedOutcome(reason), { host: 'spool' })
    const attempt: Attempt = { ...outcomes, durationMs: 0 }
    await concludeOrPutBack({ mail, recipients }, attempt, this.#deliverContext)
  }

  /** After a crash an order is carried out again: its report may be in the spool already, which is read from the start. */
  async #writeReport(report: ReportOrder): Promise<void> {
    const { wasAccepted, writer } = this.#options
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, this.#openedAt + reportAfterMs - performance.now())))
    if (this.#spoolFollower.reports.has(report.messageId) || wasAccepted?.(report.messageId)) return
    await writer.write(dailyReport(report, { settings: this.settings, worker: writer.name, now: Date.now() }))
  }

  /** The schedule goes on as if nothing had happened; the operator may wonder about the times that are shown. */
  #clockJumped(ms: number): void {
    const seconds = Math.round(ms / 1000)
    this.#options.record('clock.jumped', { seconds })
    this.#options.clockJumped?.(seconds)
    this.#keepClock()
  }

  #keepClock(): void {
    this.indexWriter.add({ clock: this.#clock.reading() })
  }

  #trouble(part: string, error: Error | undefined): void {
    if (error) this.troubles.set(part, error.message)
    else this.troubles.delete(part)
  }

  /** New settings for waiting and new mail; deliveries in progress end under the old ones. */
  apply(settings: DeliverySettings): void {
    const before = this.settings
    this.settings = settings
    if (!isDeepStrictEqual(termsOf(before), termsOf(settings))) this.#pool.closeIdle()
    if (leadElsewhere(before, settings)) this.scheduler.reroute()
    else this.scheduler.refresh()
  }

  startDeliveries(): void {
    this.delivering = true
    this.scheduler.start()
    this.#due.start()
  }

  /** Starts no new deliveries. Those in progress have the drain time to end; otherwise they are made again later. */
  async stopDeliveries(): Promise<void> {
    await this.#due.stop()
    await this.scheduler.stop(this.settings.drainMs)
    this.#pool.clear()
    this.delivering = false
  }

  /** The stored message; `undefined` when it is not in this queue. Its chunks end with SpoolDamaged where it is damaged. */
  async content(id: string): Promise<{ bytes: number; chunks: AsyncIterable<Buffer> } | undefined> {
    const found = this.#activeMessages.find(id) ?? (await this.index.ask('locate', id))
    return found && { bytes: found.bytes, chunks: this.#options.reader.openBody(found.location as Location) }
  }

  /** After a restart by the operator nothing learned about hosts is believed any more. */
  forget(): void {
    this.#pool.clear()
    this.#options.dns.clear()
    this.#options.assurance?.secureDns?.forget()
  }

  status() {
    const { counts } = this.index
    const { unrecorded } = this.indexWriter
    const byState = {
      active: counts.recipients[active] + unrecorded.recipients,
      deferred: counts.recipients[deferred],
      held: counts.recipients[held],
    }
    return {
      waiting: {
        messages: counts.messages + unrecorded.messages,
        recipients: byState.active + byState.deferred + byState.held,
        byState,
      },
      busy: this.scheduler.busy,
      waitingForHosts: this.scheduler.suspended,
      jobs: this.scheduler.jobs,
      inHand: this.#activeMessages.size,
    }
  }

  /**
   * Everything that happened is in the index when it resolves; what was not finished is tried again. An index that takes
   * nothing more (a full disk) is left as after a crash: nothing is lost, something may be delivered twice.
   */
  async close(): Promise<void> {
    this.#clock.stop()
    clearInterval(this.#ticking)
    await within(closingMs, this.#spoolFollower.stop())
    await this.stopDeliveries()
    const isRecorded = await within(closingMs, this.#record())
    if (this.mirror) await within(lastTellMs, this.mirror.stop())
    if (isRecorded) await this.index.close(this.#clock.reading())
    this.#poster.close()
    await this.#buckets.close()
    const { assurance } = this.#options
    await within(closingMs, Promise.all([this.#signer.close(), this.#converter.close(), assurance?.mtaSts?.save()]))
  }

  async #record(): Promise<void> {
    await this.orders.settled()
    await this.reclaim.stop()
    await this.indexWriter.flush()
  }
}

/** Milliseconds for each step of closing, besides the drain time. */
const closingMs = 5000
const lastTellMs = 2000

/** Whether it was done within so many milliseconds. */
async function within(ms: number, done: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(resolve, ms, false)
  })
  try {
    return await Promise.race([done.then(() => true), late])
  } finally {
    clearTimeout(timer)
  }
}

function leadElsewhere(before: DeliverySettings, settings: DeliverySettings): boolean {
  if (before.domains !== settings.domains || before.queue.outboundTls !== settings.queue.outboundTls) return true
  return !isDeepStrictEqual(before.gateway, settings.gateway)
}

/** What open connections were opened under. */
function termsOf({ queue, gateway, hostname }: DeliverySettings) {
  return { queue, gateway, hostname }
}

const reasons: { [because in Rebuild]: string } = {
  lost: 'the index was lost',
  damaged: 'the index was damaged',
  foreign: 'the index belongs to another spool',
  older: 'the index is older than the spool',
  unsure: 'the index and the spool do not say that they belong together',
}
