import type { Order, ReportOrder } from '@postern/contract/orders.ts'
import type { RecordEvent } from '@postern/runtime/worker.ts'
import { returnedBy } from '../delivery/outcome.ts'
import type { Index } from '../index/index-thread.ts'
import type { IndexWriter } from '../index/index-writer.ts'
import type { ActiveMessages } from '../message/active-messages.ts'
import type { QueuedMessage } from '../message/message.ts'
import { active, held } from '../message/message.ts'
import type { Attempt, Outcome } from '../message/outcome.ts'
import type { QueueClock } from '../message/queue-clock.ts'
import { heldBy } from '../message/waiting-reason.ts'
import type { DueLoader } from './due-loader.ts'
import type { Scheduler } from './scheduler.ts'

/**
 * Carries out what operators ask of queued mail, each order once, in the order of their rows. An order is remembered in
 * the same or a later transaction than its effect; one that a crash cut short is carried out again, which changes nothing.
 */
export type OrdersOptions = {
  index: Index
  indexWriter: IndexWriter
  scheduler: Scheduler
  clock: QueueClock
  activeMessages: ActiveMessages
  due: DueLoader
  record: RecordEvent
  /** Gives recipients of an active message their outcome without an attempt. */
  conclude(mail: QueuedMessage, recipients: readonly number[], attempt: Attempt): Promise<void>
  /** The index did not do what was asked. */
  trouble(error: Error | undefined): void
  /** This worker's name. */
  worker: string
  /** Writes the daily report, unless that was done before. */
  writeReport(report: ReportOrder): Promise<void>
  /** Hosts that were dead may be asked again. */
  forgetHosts(): void
}

/** Milliseconds an order waits for deliveries in progress. It still applies to those that end later. */
const deliveryWaitMs = 30_000
const idsPerBatch = 500

export class Orders {
  readonly #options: OrdersOptions
  readonly #seen = new Set<string>()
  #chain: Promise<void> = Promise.resolve()

  constructor(options: OrdersOptions) {
    this.#options = options
  }

  /** All orders there are; those carried out before are passed over. Returns at once. */
  take(orders: ReadonlyMap<string, Order>): void {
    const isMine = ({ worker }: Order) => worker === undefined || worker === this.#options.worker
    const unseen = [...orders].filter(([id, order]) => !this.#seen.has(id) && isMine(order))
    for (const id of this.#seen) if (!orders.has(id)) this.#seen.delete(id)
    if (unseen.length === 0) return
    for (const [id] of unseen) this.#seen.add(id)
    this.#chain = this.#chain.then(() => this.#carryOut(unseen))
  }

  /** Resolves when every order taken so far is carried out. */
  settled(): Promise<void> {
    return this.#chain
  }

  async #carryOut(orders: [string, Order][]): Promise<void> {
    const { index, indexWriter, record, due } = this.#options
    try {
      const done = new Set(
        await index.ask(
          'doneOrders',
          orders.map(([id]) => id),
        ),
      )
      const open = orders.filter(([id]) => !done.has(id)).sort(([, a], [, b]) => a.orderedAt.localeCompare(b.orderedAt))
      for (const [id, order] of open) {
        const matched = await this.#carryOutOne(order)
        record('order.done', { orderId: id, action: order.action, matched })
        indexWriter.add({ orders: [{ id, at: Date.now() }] })
        await indexWriter.flush()
        due.wake()
      }
    } catch (error) {
      // The orders are still rows, and are met again with the next settings.
      this.#options.trouble(error as Error)
      for (const [id] of orders) this.#seen.delete(id)
    }
  }

  async #carryOutOne(order: Order): Promise<number> {
    if (order.action === 'run') return this.#run(order.domain)
    if (order.action === 'report') {
      if (order.report) await this.#options.writeReport(order.report)
      return order.report ? 1 : 0
    }
    let matched = 0
    const ids = [...new Set(order.messageIds ?? [])]
    for (let from = 0; from < ids.length; from += idsPerBatch)
      matched += await this.#carryOutBatch(order, ids.slice(from, from + idsPerBatch))
    return matched
  }

  /** `domain`: only what waits for its recipients (ETRN, RFC 1985). */
  async #run(domain?: string): Promise<number> {
    const { index, indexWriter, clock, forgetHosts } = this.#options
    await indexWriter.flush()
    forgetHosts()
    const at = clock.now()
    let matched = 0
    for (;;) {
      const moved = await index.ask('hasten', { at, limit: 5000, domain })
      matched += moved
      if (moved === 0) return matched
    }
  }

  async #carryOutBatch(order: Order, ids: string[]): Promise<number> {
    const { indexWriter } = this.#options
    // Everything has its rows now, so the index knows each message there is.
    await indexWriter.flush()
    switch (order.action) {
      case 'bounce':
      case 'delete':
        return this.#end(order, ids)
      default:
        return this.#change(order as Order & { action: 'hold' | 'release' | 'retry' | 'reroute' }, ids)
    }
  }

  async #change(order: Order & { action: 'hold' | 'release' | 'retry' | 'reroute' }, ids: string[]): Promise<number> {
    const { index, indexWriter, due, record, clock, forgetHosts } = this.#options
    const { action, orderedBy: by, to } = order
    await this.#untilDelivered(await due.whilePaused(async () => this.#applyToActive(order, ids)))
    if (action === 'retry' || action === 'reroute') forgetHosts()
    const rerouted = to ? `${to.host}:${to.port}` : ''
    const matched = await due.whilePaused(async () => {
      // Messages that became active meanwhile.
      this.#applyToActive(order, ids)
      await indexWriter.flush()
      return index.ask('order', { action, ids, at: clock.now(), by, rerouted })
    })
    for (const messageId of matched) {
      if (action === 'hold') record('message.held', { messageId, by })
      if (action === 'release') record('message.released', { messageId, by })
      if (action === 'reroute') record('message.rerouted', { messageId, by, to: rerouted })
    }
    return matched.length
  }

  /** Holds or reroutes active messages that are not being delivered. Returns those whose deliveries have to end first. */
  #applyToActive({ action, orderedBy: by, to }: Order, ids: string[]): QueuedMessage[] {
    const { indexWriter, activeMessages, scheduler } = this.#options
    const busy: QueuedMessage[] = []
    for (const mail of ids.flatMap((id) => activeMessages.find(id) ?? [])) {
      if (action === 'hold') {
        const waiting = scheduler.withdraw(mail)
        const change = (r: number) =>
          ({
            state: held,
            tries: mail.pending.get(r)?.tries ?? 0,
            nextAt: 0,
            cause: heldBy(mail.pending.get(r)?.cause ?? '', by),
          }) as const
        indexWriter.settle(
          mail,
          waiting.map((r) => ({ r, to: change(r) })),
        )
        Object.assign(mail, { ordered: 'hold', orderedBy: by })
        activeMessages.release(mail)
        if (mail.pending.size > 0) busy.push(mail)
      }
      if (action === 'reroute' && to) {
        const waiting = scheduler.withdraw(mail)
        mail.rerouted = to
        scheduler.add(mail, waiting)
      }
    }
    return busy
  }

  /** Bounce and delete: everything that waits is loaded and gets its outcome. */
  async #end(order: Order, ids: string[]): Promise<number> {
    const { index, activeMessages, scheduler, due } = this.#options
    const matched = new Set<string>()
    const busy: QueuedMessage[] = []
    const end = async (mail: QueuedMessage, recipients: number[]) => {
      matched.add(mail.envelope.id)
      if (recipients.length > 0) await this.#options.conclude(mail, recipients, outcomeOf(order, recipients))
    }
    await due.whilePaused(async () => {
      for (const mail of ids.flatMap((id) => activeMessages.find(id) ?? [])) {
        Object.assign(mail, { ordered: order.action, orderedBy: order.orderedBy })
        await end(mail, scheduler.withdraw(mail))
        if (mail.pending.size > 0) busy.push(mail)
      }
      for (const row of await index.ask('take', ids)) {
        const mail = await due.activate(row)
        const recipients = row.recipients.map(({ r }) => r)
        if (mail) await end(mail, recipients)
      }
    })
    await this.#untilDelivered(busy)
    return matched.size
  }

  async #untilDelivered(messages: readonly QueuedMessage[]): Promise<void> {
    const until = performance.now() + deliveryWaitMs
    const busy = () => messages.some((mail) => [...mail.pending.values()].some(({ state }) => state === active))
    while (busy() && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

function outcomeOf({ action, orderedBy }: Order, recipients: readonly number[]): Attempt {
  const outcome: Outcome = action === 'delete' ? { kind: 'discarded', by: orderedBy } : returnedBy(orderedBy)
  const outcomes = new Map(recipients.map((r) => [r, outcome]))
  return { via: { host: 'operator' }, outcomes, durationMs: 0 }
}
