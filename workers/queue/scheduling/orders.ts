import type { Order, ReportOrder } from '@postern/contract/orders.ts'
import type { RecordEvent } from '@postern/runtime/worker.ts'
import type { AttemptResult, Final } from '../delivery/attempt-result.ts'
import { returnedBy } from '../delivery/outcome.ts'
import type { Index } from '../index/index-thread.ts'
import type { IndexWriter } from '../index/index-writer.ts'
import { active, held } from '../index/rows.ts'
import type { ActiveMessages } from '../message/active-messages.ts'
import type { QueuedMessage } from '../message/message.ts'
import type { Due } from './due.ts'
import type { Scheduler } from './scheduler.ts'

/**
 * Carries out what operators ask of queued mail, each order once, in the order of their rows. An order is remembered in
 * the same or a later transaction than its effect; one that a crash cut short is carried out again, which changes nothing.
 */
export type OrdersOptions = {
  index: Index
  journal: IndexWriter
  dispatch: Scheduler
  hands: ActiveMessages
  due: Due
  record: RecordEvent
  /** Gives recipients of a mail in hand their outcome without an attempt. */
  conclude(mail: QueuedMessage, recipients: readonly number[], attempted: AttemptResult): Promise<void>
  /** The index did not do what was asked. */
  trouble(error: Error | undefined): void
  /** This worker's name. */
  worker: string
  /** Writes the daily report, unless that was done before. */
  writeReport(report: ReportOrder): Promise<void>
  /** Hosts that were dead may be asked again. */
  forgetHosts(): void
}

/** Milliseconds an order waits for deliveries under way; what comes back later still meets it. */
const patience = 30_000
const atOnce = 500

export class Orders {
  readonly #options: OrdersOptions
  readonly #seen = new Set<string>()
  #line: Promise<void> = Promise.resolve()

  constructor(options: OrdersOptions) {
    this.#options = options
  }

  /** All orders there are; those carried out before are passed over. Returns at once. */
  take(orders: ReadonlyMap<string, Order>): void {
    const isMine = ({ worker }: Order) => worker === undefined || worker === this.#options.worker
    const fresh = [...orders].filter(([id, order]) => !this.#seen.has(id) && isMine(order))
    for (const id of this.#seen) if (!orders.has(id)) this.#seen.delete(id)
    if (fresh.length === 0) return
    for (const [id] of fresh) this.#seen.add(id)
    this.#line = this.#line.then(() => this.#carryOut(fresh))
  }

  /** Resolves when every order taken so far is carried out. */
  settled(): Promise<void> {
    return this.#line
  }

  async #carryOut(orders: [string, Order][]): Promise<void> {
    const { index, journal, record, due } = this.#options
    try {
      const done = new Set(
        await index.ask(
          'doneOrders',
          orders.map(([id]) => id),
        ),
      )
      const open = orders.filter(([id]) => !done.has(id)).sort(([, a], [, b]) => a.orderedAt.localeCompare(b.orderedAt))
      for (const [id, order] of open) {
        const matched = await this.#one(order)
        record('order.done', { orderId: id, action: order.action, matched })
        journal.add({ orders: [{ id, at: Date.now() }] })
        await journal.flush()
        due.wake()
      }
    } catch (error) {
      // The orders are still rows, and are met again with the next settings.
      this.#options.trouble(error as Error)
      for (const [id] of orders) this.#seen.delete(id)
    }
  }

  async #one(order: Order): Promise<number> {
    if (order.action === 'run') return this.#run(order.domain)
    if (order.action === 'report') {
      if (order.report) await this.#options.writeReport(order.report)
      return order.report ? 1 : 0
    }
    let matched = 0
    const ids = [...new Set(order.messageIds ?? [])]
    for (let from = 0; from < ids.length; from += atOnce)
      matched += await this.#some(order, ids.slice(from, from + atOnce))
    return matched
  }

  /** `domain`: only what waits for its recipients (ETRN, RFC 1985). */
  async #run(domain?: string): Promise<number> {
    const { index, journal, forgetHosts } = this.#options
    await journal.flush()
    forgetHosts()
    const at = Date.now()
    let matched = 0
    for (;;) {
      const moved = await index.ask('hasten', { at, limit: 5000, domain })
      matched += moved
      if (moved === 0) return matched
    }
  }

  async #some(order: Order, ids: string[]): Promise<number> {
    const { journal } = this.#options
    // Everything has its rows now, so the index knows each message there is.
    await journal.flush()
    switch (order.action) {
      case 'bounce':
      case 'delete':
        return this.#end(order, ids)
      default:
        return this.#change(order as Order & { action: 'hold' | 'release' | 'retry' | 'reroute' }, ids)
    }
  }

  async #change(order: Order & { action: 'hold' | 'release' | 'retry' | 'reroute' }, ids: string[]): Promise<number> {
    const { index, journal, due, record, forgetHosts } = this.#options
    const { action, orderedBy: by, to } = order
    await this.#untilBack(await due.whileStill(async () => this.#inHand(order, ids)))
    if (action === 'retry' || action === 'reroute') forgetHosts()
    const rerouted = to ? `${to.host}:${to.port}` : ''
    const matched = await due.whileStill(async () => {
      // What came into a hand meanwhile.
      this.#inHand(order, ids)
      await journal.flush()
      return index.ask('order', { action, ids, at: Date.now(), by, rerouted })
    })
    for (const messageId of matched) {
      if (action === 'hold') record('message.held', { messageId, by })
      if (action === 'release') record('message.released', { messageId, by })
      if (action === 'reroute') record('message.rerouted', { messageId, by, to: rerouted })
    }
    return matched.length
  }

  /** Holds or reroutes what is in hand and not under way; answers what has to come back first. */
  #inHand({ action, orderedBy: by, to }: Order, ids: string[]): QueuedMessage[] {
    const { journal, hands, dispatch } = this.#options
    const busy: QueuedMessage[] = []
    for (const mail of ids.flatMap((id) => hands.find(id) ?? [])) {
      if (action === 'hold') {
        const waiting = dispatch.withdraw(mail)
        const change = (r: number) =>
          ({ state: held, tries: mail.open.get(r)?.tries ?? 0, nextAt: 0, cause: by }) as const
        journal.settle(
          mail,
          waiting.map((r) => ({ r, to: change(r) })),
        )
        Object.assign(mail, { ordered: 'hold', orderedBy: by })
        hands.putDown(mail)
        if (mail.open.size > 0) busy.push(mail)
      }
      if (action === 'reroute' && to) {
        const waiting = dispatch.withdraw(mail)
        mail.rerouted = to
        dispatch.add(mail, waiting)
      }
    }
    return busy
  }

  /** Bounce and delete: whatever waits is taken in hand and gets its outcome. */
  async #end(order: Order, ids: string[]): Promise<number> {
    const { index, hands, dispatch, due } = this.#options
    const matched = new Set<string>()
    const busy: QueuedMessage[] = []
    const end = async (mail: QueuedMessage, recipients: number[]) => {
      matched.add(mail.envelope.id)
      if (recipients.length > 0) await this.#options.conclude(mail, recipients, outcomeOf(order, recipients))
    }
    await due.whileStill(async () => {
      for (const mail of ids.flatMap((id) => hands.find(id) ?? [])) {
        Object.assign(mail, { ordered: order.action, orderedBy: order.orderedBy })
        await end(mail, dispatch.withdraw(mail))
        if (mail.open.size > 0) busy.push(mail)
      }
      for (const row of await index.ask('take', ids)) {
        const mail = await due.bring(row)
        const recipients = row.recipients.map(({ r }) => r)
        if (mail) await end(mail, recipients)
      }
    })
    await this.#untilBack(busy)
    return matched.size
  }

  async #untilBack(mails: readonly QueuedMessage[]): Promise<void> {
    const until = Date.now() + patience
    const busy = () => mails.some((mail) => [...mail.open.values()].some(({ state }) => state === active))
    while (busy() && Date.now() < until) await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

function outcomeOf({ action, orderedBy }: Order, recipients: readonly number[]): AttemptResult {
  const result: Final = action === 'delete' ? { kind: 'discarded', by: orderedBy } : returnedBy(orderedBy)
  const results = new Map(recipients.map((r) => [r, result]))
  return { via: { host: 'operator' }, results, startedAt: Date.now(), durationMs: 0 }
}
