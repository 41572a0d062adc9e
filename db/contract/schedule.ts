import { z } from 'zod'

/**
 * The scheduled tasks of the API. A process triggers them with its own timers; for a function, a scheduler sends this
 * object as the whole event. `sweep`, every minute: sends the change notifications that a crashed function left unsent,
 * and marks workers that no longer report. `merge`, every minute: merges small files of the log. `compaction`, every five
 * minutes: makes hours of the log that have ended one file. `retention`, daily: removes data older than its setting.
 */
export const scheduledTaskSchema = z.strictObject({ schedule: z.enum(['sweep', 'merge', 'compaction', 'retention']) })
export type ScheduledTask = z.infer<typeof scheduledTaskSchema>

/** The result of a sweep, which the handler returns. Alarms use these numbers. */
export const sweepReportSchema = z.object({
  /** Number of change notifications that were sent again. */
  resent: z.number().int().nonnegative(),
  /** Number of workers that reported recently (`live` in views.ts). */
  liveWorkers: z.number().int().nonnegative(),
  /** How long the live worker furthest behind has lacked the latest revision; 0 if all have it. */
  lagSeconds: z.number().nonnegative(),
  /** Age of the message that has waited longest for delivery, not counting held messages; 0 if the queue is empty. */
  oldestWaitingSeconds: z.number().nonnegative(),
})
export type SweepReport = z.infer<typeof sweepReportSchema>

/**
 * How long the history keeps changes that the system made by itself (automatic blocks, their expiry, orders). Changes
 * made by people are kept.
 */
export const systemHistoryDays = 30
