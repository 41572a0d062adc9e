import type { QueueDoctorItem } from '@postern/contract/views.ts'
import { type WaitingCause, waitingCauses } from '@postern/contract/waiting-causes.ts'
import { formatSpan, plural } from '../../ui/format.ts'
import { visibleText } from '../../ui/visible-text.ts'
import type { Finding } from './finding.ts'

/** What goes wrong with mail now, from why mail waits and from the counts of the last day. Pure. */

/** Refusals and failed logins per quarter of an hour, of the last day, oldest first. */
export type QuarterHour = { at: string; refused: number; loginFailures: number }

/** Fewer messages for one destination are not worth a line: a few always wait. */
const manyWaiting = 100
/** At most this many destinations are listed, the one with the most messages first. */
const maxDestinations = 5
/** Fewer events in an hour are not a burst, however quiet the day was. */
const leastBurst = 100
/** A burst has at least this many times the events of an average hour of the day before. */
const burstFactor = 5
const hourMs = 3_600_000

/** Causes that end only when something is changed on this side: one message is enough. */
const isOurs = (cause: WaitingCause) => waitingCauses[cause].tone === 'danger'
/** Mail that waits without a failure is no incident. */
const isFailure = ({ cause }: QueueDoctorItem) => cause !== 'not-tried' && cause !== 'held'

export function ofWaiting(waiting: readonly QueueDoctorItem[], now: number): Finding[] {
  const failing = waiting.filter(isFailure)
  const ours = Map.groupBy(
    failing.filter(({ cause }) => isOurs(cause)),
    ({ cause }) => cause,
  )
  const theirs = failing.filter(({ cause, messages }) => !isOurs(cause) && messages >= manyWaiting)
  const rest = theirs.slice(maxDestinations)
  return [
    ...[...ours].map(([cause, items]) => ofOurs(cause, items)),
    ...theirs.slice(0, maxDestinations).map((item) => ofDestination(item, now)),
    ...(rest.length === 0 ? [] : [ofRest(rest)]),
  ]
}

function ofOurs(cause: WaitingCause, items: readonly QueueDoctorItem[]): Finding {
  const named = items.slice(0, 3).map(({ destination }) => visibleText(destination))
  const more = items.length - named.length
  const to = more > 0 ? `${named.join(', ')} and ${plural(more, 'other destination')}` : named.join(', ')
  return {
    severity: 'danger',
    title: `${waitingCauses[cause].title}: ${plural(sumOf(items), 'message')} for ${to}`,
    detail: `${waitingCauses[cause].explanation}${replyOf(items[0])}`,
    to: '/queue',
    search: { cause },
  }
}

function ofDestination(item: QueueDoctorItem, now: number): Finding {
  const { destination, cause, messages, oldestReceivedAt, filter } = item
  const age = formatSpan(now - Date.parse(oldestReceivedAt))
  return {
    severity: 'warn',
    title: `${plural(messages, 'message')} for ${visibleText(destination)}: ${waitingCauses[cause].title}`,
    detail: `The oldest has waited ${age}.${replyOf(item)}`,
    to: '/queue',
    search: filter,
  }
}

function ofRest(items: readonly QueueDoctorItem[]): Finding {
  return {
    severity: 'warn',
    title: `${plural(sumOf(items), 'message')} for ${plural(items.length, 'other destination')}`,
    detail: `At least ${manyWaiting} messages wait for each of them.`,
    to: '/queue',
    search: { state: 'deferred' },
  }
}

function replyOf(item: QueueDoctorItem | undefined): string {
  return item?.example.reply ? ` Last reply: ${visibleText(item.example.reply)}` : ''
}

function sumOf(items: readonly QueueDoctorItem[]): number {
  return items.reduce((sum, { messages }) => sum + messages, 0)
}

const bursts = [
  {
    key: 'loginFailures',
    noun: 'failed login',
    advice: 'Somebody may be guessing passwords. Look at the clients, and block them.',
    search: { type: 'auth.failed', range: 'hour', by: 'client_ip' },
  },
  {
    key: 'refused',
    noun: 'refusal',
    advice: 'Look at the rules that refused, and whether a changed setting is the cause.',
    search: { type: 'session.refused,command.refused,message.refused', range: 'hour', by: 'rule' },
  },
] as const

/** Finds events that have become much more frequent in the last hour than they were in the day before. */
export function ofTraffic(quarters: readonly QuarterHour[], now: number): Finding[] {
  return bursts.flatMap(({ key, noun, advice, search }): Finding[] => {
    const sum = (these: readonly QuarterHour[]) => these.reduce((all, one) => all + one[key], 0)
    const recent = sum(quarters.filter(({ at }) => now - Date.parse(at) <= hourMs))
    const usual = (sum(quarters) - recent) / 23
    if (recent < leastBurst || recent < burstFactor * usual) return []
    const average = Math.round(usual)
    return [
      {
        severity: 'warn',
        title: `${plural(recent, noun)} in the last hour`,
        detail: `${average === 0 ? 'There were almost none' : `The average was ${plural(average, noun)} an hour`} in the day before. ${advice}`,
        to: '/events',
        search,
      },
    ]
  })
}
