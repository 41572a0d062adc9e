import { pauseAfter } from '@postern/contract/back-off.ts'
import type { QueueSettings } from '@postern/contract/settings.ts'

/** When waiting mail is tried again, and when it has waited long enough. Pure: `now` and `jitter` are given. */

export type ScheduleSettings = Pick<
  QueueSettings,
  'retryTimerMinutes' | 'retryBackoff' | 'retryMaxMinutes' | 'triesBeforeReturn' | 'maxQueueHours'
>

export type NextTry = { kind: 'retry'; at: number } | { kind: 'return'; because: 'tries' | 'age' }

const minute = 60_000
const hour = 60 * minute

/**
 * What follows the `tries`-th failed try (from 1) of a message received at `firstAt`. Times in milliseconds.
 * `constant`: the next tick of a clock that ticks every retryTimerMinutes, the same for all waiting mail.
 * `exponential`: the timer doubles with each try up to retryMaxMinutes (never below the timer itself); `jitter` (0…1, 0.5
 * changes nothing) moves it by up to a tenth, so that a recovered host is not met by everything at once.
 * The last try is made when maxQueueHours end, not skipped because the next pause would reach beyond them.
 */
export function nextTry(given: {
  tries: number
  firstAt: number
  now: number
  settings: ScheduleSettings
  jitter?: number
}): NextTry {
  const { tries, firstAt, now, settings, jitter = 0.5 } = given
  if (tries >= settings.triesBeforeReturn) return { kind: 'return', because: 'tries' }
  const end = firstAt + settings.maxQueueHours * hour
  if (now >= end) return { kind: 'return', because: 'age' }
  const at =
    settings.retryBackoff === 'constant'
      ? nextTick(now, settings.retryTimerMinutes * minute)
      : now + Math.round(pause(tries, settings) * (0.9 + 0.2 * jitter))
  return { kind: 'retry', at: Math.min(at, Math.max(end, now + 1)) }
}

function nextTick(now: number, timer: number): number {
  return (Math.floor(now / timer) + 1) * timer
}

function pause(tries: number, settings: ScheduleSettings): number {
  const firstMs = settings.retryTimerMinutes * minute
  return pauseAfter(tries, { firstMs, longestMs: Math.max(settings.retryMaxMinutes * minute, firstMs) })
}

/** Whether the one "delayed" notification is due: after delayWarningHours (0: never). */
export function delayWarningDue(given: { firstAt: number; now: number; delayWarningHours: number }): boolean {
  return given.delayWarningHours > 0 && given.now - given.firstAt >= given.delayWarningHours * hour
}
