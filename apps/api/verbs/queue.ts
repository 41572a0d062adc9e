import type { Order, OrderAction, QueueFilter } from '@postern/contract/orders.ts'
import type { MessageView, QueueItem, WriteResult } from '@postern/contract/views.ts'
import {
  type MessageRow,
  messageById,
  queueCounts,
  queuedIds,
  queuedMessages,
  type RecipientRow,
  recipientsOf,
} from '@postern/store/records/queue.ts'
import { afterCursor, iso, pageOf } from '../pagination.ts'
import { invalid, notFound, ProblemError } from '../problem.ts'
import { type Call, writeRevision } from '../write-revision.ts'
import { eventView } from './events.ts'

/**
 * The queue as recorded in events, and the orders that operators place. An order is a row: numbered, audited and never
 * lost.
 */

const idsAnOrder = 10_000
const maxMatched = 1_000_000

export type QueuePageQuery = QueueFilter & { limit: number; cursor?: string | undefined; q?: string | undefined }

export async function readQueue({ parts }: Call, { limit, cursor, q, ...filter }: QueuePageQuery) {
  const page = { filter: { ...filter, text: q }, now: parts.now(), limit: limit + 1, after: afterCursor(cursor) }
  const found = await queuedMessages(parts.records, page)
  const recipients = await recipientsOf(
    parts.records,
    found.map(({ id }) => id),
  )
  const byMessage = Map.groupBy(recipients, ({ messageId }) => messageId)
  return pageOf(found, { limit, key: ({ id }) => id, view: (row) => itemView(row, byMessage.get(row.id) ?? []) })
}

function itemView(row: MessageRow, recipients: RecipientRow[]): QueueItem {
  const waiting = recipients.filter(({ outcome }) => outcome === 'waiting')
  const next = waiting.map(({ nextTryAt }) => nextTryAt).filter((at) => at !== null)
  const reply = waiting.find(({ lastReply }) => lastReply !== null)?.lastReply
  const cause = row.state === 'held' ? `held by ${row.hold}` : reply
  return {
    id: row.id,
    state: row.state === 'finished' ? 'active' : row.state,
    sender: row.sender,
    recipients: waiting.map(({ address }) => address),
    size: row.size,
    ...(row.subject === null ? {} : { subject: row.subject }),
    receivedAt: iso(row.acceptedAt ?? 0),
    attempts: Math.max(0, ...waiting.map(({ attempts }) => attempts)),
    ...(next.length > 0 && row.state === 'deferred' ? { nextTryAt: iso(Math.min(...next)) } : {}),
    ...(cause ? { cause } : {}),
    worker: row.worker,
  }
}

export async function readSummary({ parts }: Call) {
  const { states, domains, causes } = await queueCounts(parts.records)
  const count = (state: string) => states.find((row) => row.state === state)?.n ?? 0
  const byState = { active: count('active'), deferred: count('deferred'), held: count('held') }
  const oldest = Math.min(...states.map(({ oldest }) => oldest))
  return {
    messages: byState.active + byState.deferred + byState.held,
    byState,
    ...(Number.isFinite(oldest) ? { oldestReceivedAt: iso(oldest) } : {}),
    topDomains: domains,
    topCauses: causes,
  }
}

export async function readMessage({ parts }: Call, id: string): Promise<MessageView> {
  const row = await messageById(parts.records, id)
  if (!row) throw notFound(`message ${id}`)
  const recipients = await recipientsOf(parts.records, [id])
  const trace = (await parts.eventStore.trace(id)).map(eventView)
  return {
    id,
    // Delivery events may arrive before the acceptance event. Until then, the other recipients are unknown.
    state: row.acceptedAt === null && row.state === 'finished' ? 'active' : row.state,
    sender: row.sender,
    recipients: recipients.map(({ address, original, outcome, attempts, lastReply, nextTryAt }) => ({
      address,
      original,
      outcome,
      attempts,
      ...(lastReply === null ? {} : { lastReply }),
      ...(nextTryAt === null || outcome !== 'waiting' ? {} : { nextTryAt: iso(nextTryAt) }),
    })),
    size: row.size,
    ...(row.subject === null ? {} : { subject: row.subject }),
    ...(row.acceptedAt === null ? {} : { receivedAt: iso(row.acceptedAt) }),
    origin: row.origin,
    ...(row.client === null ? {} : { client: JSON.parse(row.client) as { ip: string } }),
    ...(row.revision === null ? {} : { revision: row.revision }),
    attempts: trace.filter(({ type }) => attemptTypes.has(type)).map(attemptView),
    trace,
  }
}

const attemptTypes = new Set(['delivery.delivered', 'delivery.deferred', 'delivery.bounced'])

function attemptView(event: ReturnType<typeof eventView>): MessageView['attempts'][number] {
  const { id: _, n, text, title, type, messageId, ...fields } = event
  return { ...fields, outcome: type.slice('delivery.'.length) } as unknown as MessageView['attempts'][number]
}

export type Asked = { action: OrderAction; to?: Order['to'] }

/**
 * Places an order for one message. Refuses a message that has finished. Only the Queue Manager knows whether any other
 * message still waits.
 */
export async function orderForMessage(call: Call, id: string, asked: Asked): Promise<WriteResult> {
  const row = await messageById(call.parts.records, id)
  if (!row) throw notFound(`message ${id}`)
  if (row.state === 'finished') throw new ProblemError(409, `Message ${id} is no longer in the queue.`)
  return placeOrder(call, asked, [id])
}

/** Places orders for all messages that match now. */
export async function orderForQueue(call: Call, asked: Asked, filter: QueueFilter): Promise<WriteResult> {
  const ids: string[] = []
  for (let after = ''; ids.length < maxMatched; ) {
    const page = { filter, now: call.parts.now(), limit: idsAnOrder, after }
    const found = await queuedIds(call.parts.records, page)
    ids.push(...found.map(({ id }) => id))
    after = found.at(-1)?.id ?? after
    if (found.length < idsAnOrder) break
  }
  if (ids.length === 0)
    return writeRevision(call, { action: `queue.${asked.action}` }, async () => ({ answer: { matched: 0 } }))
  return placeOrder(call, asked, ids)
}

/** Tries all waiting messages now. */
export function runQueue(call: Call): Promise<WriteResult> {
  return placeOrder(call, { action: 'run' }, undefined)
}

/**
 * Tries the messages for one domain now. A worker places this order when a client sends ETRN (RFC 1985). It is the only
 * order that a worker may place.
 */
export async function runForDomain(call: Call, { domain, by }: { domain: string; by: string }): Promise<void> {
  const about = { action: 'queue.run', kind: 'order', entity: `mail for ${domain}` }
  await writeRevision(call, about, async (changeSet) => {
    const orderedBy = `${by} (ETRN)`
    await changeSet.put('order', call.parts.newId(), {
      action: 'run',
      domain,
      orderedBy,
      orderedAt: iso(call.parts.now()),
    })
    return {}
  })
}

function placeOrder(call: Call, { action, to }: Asked, ids: string[] | undefined): Promise<WriteResult> {
  if (action === 'reroute' && !to) throw invalid([{ path: 'to', message: 'to is missing; reroute needs {host, port}' }])
  if (action !== 'reroute' && to) throw invalid([{ path: 'to', message: `to is only for reroute, not for ${action}` }])
  const entity = ids === undefined ? 'the whole queue' : ids.length === 1 ? String(ids[0]) : `${ids.length} messages`
  return writeRevision(call, { action: `queue.${action}`, kind: 'order', entity }, async (changeSet) => {
    const order = { action, ...(to ? { to } : {}), orderedBy: call.who.actor, orderedAt: iso(call.parts.now()) }
    const orderIds: string[] = []
    for (let from = 0; from < (ids?.length ?? 1); from += idsAnOrder) {
      const orderId = call.parts.newId()
      orderIds.push(orderId)
      await changeSet.put('order', orderId, {
        ...order,
        ...(ids ? { messageIds: ids.slice(from, from + idsAnOrder) } : {}),
      })
    }
    return { answer: { orderIds, ...(ids ? { matched: ids.length } : {}) } }
  })
}
