import type { Order, OrderAction, QueueFilter } from '@postern/contract/orders.ts'
import type { MessageView, QueueItem, WriteResult } from '@postern/contract/views.ts'
import {
  type MessageRow,
  queueCounts,
  queuedIds,
  queuedMessages,
  type RecipientRow,
  recipientsOf,
  waitingMessage,
} from '@postern/store/records/queue.ts'
import { messageStory } from '../message-story.ts'
import { afterCursor, iso, pageOf } from '../pagination.ts'
import { invalid, notFound, ProblemError } from '../problem.ts'
import { type Call, writeRevision } from '../write-revision.ts'

/**
 * The queue as the Queue Managers tell it, and the orders that operators place. An order is a row: numbered, audited and never
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
  const next = recipients.map(({ nextTryAt }) => nextTryAt).filter((at) => at !== null)
  const reply = recipients.find(({ lastReply }) => lastReply !== null)?.lastReply
  const cause = row.state === 'held' ? `held by ${row.hold}` : reply
  return {
    id: row.id,
    state: row.state,
    sender: row.sender,
    recipients: recipients.map(({ address }) => address),
    size: row.size,
    ...(row.subject === null ? {} : { subject: row.subject }),
    receivedAt: iso(row.receivedAt),
    attempts: Math.max(0, ...recipients.map(({ attempts }) => attempts)),
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
  const found = await messageStory(parts, id)
  if (!found) throw notFound(`message ${id}`)
  return found
}

export type Asked = { action: OrderAction; to?: Order['to'] }

/**
 * Places an order for one message. Refuses a message that has finished. Only the Queue Manager knows whether any other
 * message still waits.
 */
export async function orderForMessage(call: Call, id: string, asked: Asked): Promise<WriteResult> {
  if (await waitingMessage(call.parts.records, id)) return placeOrder(call, asked, [id])
  // A message that is being delivered for the first time has no row yet. The Queue Manager knows it.
  const story = await messageStory(call.parts, id)
  if (!story) throw notFound(`message ${id}`)
  if (story.state === 'finished') throw new ProblemError(409, `Message ${id} is no longer in the queue.`)
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
