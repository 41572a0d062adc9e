import type { EventFields, PosternEvent } from '@postern/contract/events.ts'
import { type WaitingCause, waitingCauseOf } from '@postern/contract/waiting-causes.ts'

/**
 * What a batch of events says about messages, recipients and the books. Pure. Each of these can be applied again, and in
 * any order with those of other workers, and the tables end the same: maxima, first-wins finals and newest-wins holds.
 */
type MessageNews = {
  id: string
  accepted?: { at: number; fields: EventFields<'message.accepted'> }
  hold?: { at: number; by: string }
  touchedAt: number
}

export type Outcome = 'waiting' | 'delivered' | 'bounced' | 'discarded'

type RecipientNews = {
  messageId: string
  address: string
  original?: string
  outcome: Outcome
  /** When and by whose event it became final. */
  finalAt: number
  attempts: number
  lastReply?: string
  cause?: string
  waitingCause?: WaitingCause
  nextTryAt?: number
  /** Outcomes told beyond the first, in this batch. */
  repeated: number
}

export type MinuteCounts = {
  received: number
  delivered: number
  bounced: number
  discarded: number
  messages: number
  deferred: number
  refused: number
  loginFailures: number
  /** Recipients that had their outcome before: delivered twice, or returned twice. */
  duplicates: number
}

export type News = {
  messages: Map<string, MessageNews>
  recipients: Map<string, RecipientNews>
  /** Counts of events by minute; what counts recipients is added when it is known which are new. */
  minutes: Map<number, MinuteCounts>
}

const minuteOf = (at: number): number => Math.floor(at / 60_000) * 60_000

export function countsOf(minutes: News['minutes'], at: number): MinuteCounts {
  const minute = minuteOf(at)
  let counts = minutes.get(minute)
  if (!counts) {
    counts = {
      received: 0,
      delivered: 0,
      bounced: 0,
      discarded: 0,
      messages: 0,
      deferred: 0,
      refused: 0,
      loginFailures: 0,
      duplicates: 0,
    }
    minutes.set(minute, counts)
  }
  return counts
}

export const recipientKey = (messageId: string, address: string): string => `${messageId} ${address}`

export function project(events: readonly PosternEvent[]): News {
  const news: News = { messages: new Map(), recipients: new Map(), minutes: new Map() }
  for (const event of events) take(news, event, Date.parse(event.at))
  return news
}

function take(news: News, event: PosternEvent, at: number): void {
  switch (event.type) {
    case 'message.accepted': {
      const message = messageIn(news, event.messageId, at)
      const { n, at: _, type, ...fields } = event
      message.accepted ??= { at, fields }
      // Before any release, however late the acceptance is heard of.
      if (event.held) hold(message, 1, event.held)
      for (const { address, original } of event.recipients)
        recipientIn(news, event.messageId, address).original = original
      return
    }
    case 'delivery.delivered':
      final(news, event, { outcome: 'delivered', at, reply: event.reply, attempt: event.attempt })
      return
    case 'delivery.bounced':
      final(news, event, { outcome: 'bounced', at, reply: event.reply, attempt: event.attempt })
      return
    case 'delivery.discarded':
      final(news, event, { outcome: 'discarded', at, reply: `discarded by ${event.by}`, attempt: 0 })
      return
    case 'delivery.deferred': {
      messageIn(news, event.messageId, at)
      countsOf(news.minutes, at).deferred += event.recipients.length
      const waitingCause = waitingCauseOf(event)
      for (const address of event.recipients) {
        const recipient = recipientIn(news, event.messageId, address)
        if (event.attempt < recipient.attempts) continue
        recipient.attempts = event.attempt
        recipient.lastReply = event.reply
        recipient.cause = event.cause
        recipient.waitingCause = waitingCause
        recipient.nextTryAt = Date.parse(event.nextTryAt)
      }
      return
    }
    case 'message.held':
      hold(messageIn(news, event.messageId, at), at, `${event.by}${event.reason ? `: ${event.reason}` : ''}`)
      return
    case 'message.released':
      hold(messageIn(news, event.messageId, at), at, '')
      return
    case 'session.refused':
    case 'command.refused':
    case 'message.refused':
      countsOf(news.minutes, at).refused++
      return
    case 'auth.failed':
      countsOf(news.minutes, at).loginFailures++
      return
    default:
  }
}

type Final = { outcome: Exclude<Outcome, 'waiting'>; at: number; reply: string; attempt: number }

function final(news: News, event: { messageId: string; recipients: string[] }, { outcome, at, reply, attempt }: Final) {
  messageIn(news, event.messageId, at)
  for (const address of event.recipients) {
    const recipient = recipientIn(news, event.messageId, address)
    if (recipient.outcome !== 'waiting') {
      recipient.repeated++
      continue
    }
    recipient.outcome = outcome
    recipient.finalAt = at
    recipient.attempts = Math.max(recipient.attempts, attempt)
    recipient.lastReply = reply
  }
}

function hold(message: MessageNews, at: number, by: string): void {
  if (!message.hold || message.hold.at <= at) message.hold = { at, by }
}

function messageIn(news: News, id: string, at: number): MessageNews {
  let message = news.messages.get(id)
  if (!message) {
    message = { id, touchedAt: at }
    news.messages.set(id, message)
  }
  message.touchedAt = Math.max(message.touchedAt, at)
  return message
}

function recipientIn(news: News, messageId: string, address: string): RecipientNews {
  const key = recipientKey(messageId, address)
  let recipient = news.recipients.get(key)
  if (!recipient) {
    recipient = { messageId, address, outcome: 'waiting', finalAt: 0, attempts: 0, repeated: 0 }
    news.recipients.set(key, recipient)
  }
  return recipient
}
