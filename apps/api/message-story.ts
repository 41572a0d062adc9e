import type { MessageView, RecordedEvent } from '@postern/contract/views.ts'
import { type MessageRow, type RecipientRow, recipientsOf, waitingMessage } from '@postern/store/records/queue.ts'
import type { Dependencies } from './dependencies.ts'
import { iso } from './pagination.ts'
import { eventView } from './verbs/events.ts'

/**
 * One message, waiting or finished: what waits is in the rows that the Queue Manager told, the rest in its events. Either may
 * be missing: the log of a message that waits may be lost, and a finished one has no rows.
 */

/** `undefined`: nobody knows the message. */
export async function messageStory(parts: Dependencies, id: string): Promise<MessageView | undefined> {
  const found = await waitingMessage(parts.records, id)
  const waiting = found ? await recipientsOf(parts.records, [id]) : []
  // A message that leaves the queue between the two reads has no recipients: what is known of it is in its events.
  const row = waiting.length === 0 ? undefined : found
  // The events are read last: they are told before the rows change, so a message that has just ended is still found in them.
  const trace = await traceOfMessage(parts, id)
  if (!row && trace.length === 0) return undefined
  return viewOf({ id, row, waiting, trace })
}

/** The events of a message, its acceptance first. The only place that asks the log for them. */
async function traceOfMessage({ eventStore }: Dependencies, id: string): Promise<RecordedEvent[]> {
  return (await eventStore.trace(id)).map(eventView)
}

type Recipients = Map<string, MessageView['recipients'][number]>
type Known = { id: string; row: MessageRow | undefined; waiting: RecipientRow[]; trace: RecordedEvent[] }

export function viewOf({ id, row, waiting, trace }: Known): MessageView {
  const accepted = trace.find(({ type }) => type === 'message.accepted') as Accepted | undefined
  const recipients = recipientsIn(trace, accepted)
  for (const { address, original, attempts, lastReply, nextTryAt } of waiting)
    recipients.set(address, {
      address,
      original,
      outcome: 'waiting',
      attempts,
      ...(lastReply === null ? {} : { lastReply }),
      ...(nextTryAt === null ? {} : { nextTryAt: iso(nextTryAt) }),
    })
  const all = [...recipients.values()]
  // Delivery events may arrive before the acceptance event. Until then, the other recipients are unknown.
  const isFinished = accepted !== undefined && all.every(({ outcome }) => outcome !== 'waiting')
  return {
    id,
    state: row?.state ?? (isFinished ? 'finished' : 'active'),
    ...envelopeOf(row, accepted),
    recipients: all,
    attempts: trace.filter(({ type }) => attemptTypes.has(type)).map(attemptView),
    trace,
  }
}

type Accepted = RecordedEvent & {
  sender: string
  size: number
  subject?: string
  origin: string
  client?: { ip: string }
  revision?: number
  recipients: { address: string; original: string }[]
}

function envelopeOf(row: MessageRow | undefined, accepted: Accepted | undefined) {
  const subject = row?.subject ?? accepted?.subject
  const client = row?.client ? (JSON.parse(row.client) as { ip: string }) : accepted?.client
  const revision = row?.revision ?? accepted?.revision
  const receivedAt = accepted?.at ?? (row && iso(row.receivedAt))
  return {
    sender: row?.sender ?? accepted?.sender ?? '',
    size: accepted?.size ?? row?.size ?? 0,
    ...(subject === undefined ? {} : { subject }),
    ...(receivedAt === undefined ? {} : { receivedAt }),
    origin: row?.origin ?? accepted?.origin ?? 'smtp',
    ...(client === undefined ? {} : { client }),
    ...(revision === undefined ? {} : { revision }),
  }
}

/** Recipients with their first final outcome, or else their last attempt. */
function recipientsIn(trace: readonly RecordedEvent[], accepted: Accepted | undefined): Recipients {
  const found: Recipients = new Map()
  const recipient = (address: string, original = '') => {
    const known = found.get(address) ?? { address, original, outcome: 'waiting' as const, attempts: 0 }
    found.set(address, known)
    return known
  }
  for (const { address, original } of accepted?.recipients ?? []) recipient(address, original)
  for (const event of trace) {
    const outcome = outcomes[event.type]
    if (!outcome) continue
    const { recipients, attempt = 0, reply, by, nextTryAt } = event as unknown as Delivery
    for (const address of recipients) {
      const known = recipient(address)
      // An operator's order ends a message without another attempt.
      if (known.outcome !== 'waiting' || (outcome === 'waiting' && attempt < known.attempts)) continue
      known.outcome = outcome
      known.attempts = Math.max(known.attempts, attempt)
      known.lastReply = reply ?? `discarded by ${by}`
      if (outcome === 'waiting' && nextTryAt) known.nextTryAt = nextTryAt
      else delete known.nextTryAt
    }
  }
  return found
}

type Delivery = { recipients: string[]; attempt?: number; reply?: string; by?: string; nextTryAt?: string }

const outcomes: Record<string, MessageView['recipients'][number]['outcome']> = {
  'delivery.delivered': 'delivered',
  'delivery.bounced': 'bounced',
  'delivery.discarded': 'discarded',
  'delivery.deferred': 'waiting',
}

const attemptTypes = new Set(['delivery.delivered', 'delivery.deferred', 'delivery.bounced'])

function attemptView(event: RecordedEvent): MessageView['attempts'][number] {
  const { id: _, n, text, title, type, messageId, ...fields } = event
  return { ...fields, outcome: type.slice('delivery.'.length) } as unknown as MessageView['attempts'][number]
}
