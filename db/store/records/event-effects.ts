import type { EventFields, PosternEvent } from '@postern/contract/events.ts'
import { type WaitingCause, waitingCauseOf } from '@postern/contract/waiting-causes.ts'

/**
 * Derives the effects of an event batch on messages, recipients and the books. Pure. Effects can be applied repeatedly,
 * and in any order relative to those of other workers, with the same result: maxima, final outcomes where the first
 * wins, and holds where the newest wins.
 */
type MessageEffect = {
  id: string
  accepted?: { at: number; fields: EventFields<'message.accepted'> }
  hold?: { at: number; by: string }
  touchedAt: number
}

export type Outcome = 'waiting' | 'delivered' | 'bounced' | 'discarded'

type RecipientEffect = {
  messageId: string
  address: string
  original?: string
  outcome: Outcome
  /** When the outcome became final, and by whose event. */
  finalAt: number
  attempts: number
  lastReply?: string
  cause?: string
  waitingCause?: WaitingCause
  nextTryAt?: number
  /** Number of outcomes reported after the first, in this batch. */
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
  /** Recipients that already had an outcome: delivered twice, or returned twice. */
  duplicates: number
}

export type EventEffects = {
  messages: Map<string, MessageEffect>
  recipients: Map<string, RecipientEffect>
  /** Event counts by minute. Recipient counts are added once the new recipients are known. */
  minutes: Map<number, MinuteCounts>
}

const minuteOf = (at: number): number => Math.floor(at / 60_000) * 60_000

export function countsOf(minutes: EventEffects['minutes'], at: number): MinuteCounts {
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

export function effectsOf(events: readonly PosternEvent[]): EventEffects {
  const effects: EventEffects = { messages: new Map(), recipients: new Map(), minutes: new Map() }
  for (const event of events) take(effects, event, Date.parse(event.at))
  return effects
}

function take(effects: EventEffects, event: PosternEvent, at: number): void {
  switch (event.type) {
    case 'message.accepted': {
      const message = messageIn(effects, event.messageId, at)
      const { n, at: _, type, ...fields } = event
      message.accepted ??= { at, fields }
      // A hold on acceptance comes before any release, even if the acceptance arrives late.
      if (event.held) hold(message, 1, event.held)
      for (const { address, original } of event.recipients)
        recipientIn(effects, event.messageId, address).original = original
      return
    }
    case 'delivery.delivered':
      final(effects, event, { outcome: 'delivered', at, reply: event.reply, attempt: event.attempt })
      return
    case 'delivery.bounced':
      final(effects, event, { outcome: 'bounced', at, reply: event.reply, attempt: event.attempt })
      return
    case 'delivery.discarded':
      final(effects, event, { outcome: 'discarded', at, reply: `discarded by ${event.by}`, attempt: 0 })
      return
    case 'delivery.deferred': {
      messageIn(effects, event.messageId, at)
      countsOf(effects.minutes, at).deferred += event.recipients.length
      const waitingCause = waitingCauseOf(event)
      for (const address of event.recipients) {
        const recipient = recipientIn(effects, event.messageId, address)
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
      hold(messageIn(effects, event.messageId, at), at, `${event.by}${event.reason ? `: ${event.reason}` : ''}`)
      return
    case 'message.released':
      hold(messageIn(effects, event.messageId, at), at, '')
      return
    case 'session.refused':
    case 'command.refused':
    case 'message.refused':
      countsOf(effects.minutes, at).refused++
      return
    case 'auth.failed':
      countsOf(effects.minutes, at).loginFailures++
      return
    default:
  }
}

type Final = { outcome: Exclude<Outcome, 'waiting'>; at: number; reply: string; attempt: number }

function final(
  effects: EventEffects,
  event: { messageId: string; recipients: string[] },
  { outcome, at, reply, attempt }: Final,
) {
  messageIn(effects, event.messageId, at)
  for (const address of event.recipients) {
    const recipient = recipientIn(effects, event.messageId, address)
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

function hold(message: MessageEffect, at: number, by: string): void {
  if (!message.hold || message.hold.at <= at) message.hold = { at, by }
}

function messageIn(effects: EventEffects, id: string, at: number): MessageEffect {
  let message = effects.messages.get(id)
  if (!message) {
    message = { id, touchedAt: at }
    effects.messages.set(id, message)
  }
  message.touchedAt = Math.max(message.touchedAt, at)
  return message
}

function recipientIn(effects: EventEffects, messageId: string, address: string): RecipientEffect {
  const key = recipientKey(messageId, address)
  let recipient = effects.recipients.get(key)
  if (!recipient) {
    recipient = { messageId, address, outcome: 'waiting', finalAt: 0, attempts: 0, repeated: 0 }
    effects.recipients.set(key, recipient)
  }
  return recipient
}
