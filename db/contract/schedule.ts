import { z } from 'zod'

/**
 * What runs by the clock in the API. As a process its own timers say it; as a function a scheduler sends this as the whole event.
 * `sweep`, every minute: send the change notifications that a crashed function left unsent, mark workers that no longer report. `retention`, daily: remove what is older than its setting.
 */
export const scheduledTaskSchema = z.strictObject({ schedule: z.enum(['sweep', 'retention']) })
export type ScheduledTask = z.infer<typeof scheduledTaskSchema>

/** What a sweep found and the handler returns; alarms hang on these numbers. */
export const sweepReportSchema = z.object({
  /** Change notifications that had to be sent again. */
  resent: z.number().int().nonnegative(),
  /** Workers heard of lately (`live` in views.ts). */
  liveWorkers: z.number().int().nonnegative(),
  /** For how long the live worker furthest behind has not had the latest revision in force; 0 when all have it. */
  lagSeconds: z.number().nonnegative(),
  /** Age of the message that has waited longest for delivery, held ones apart; 0 with an empty queue. */
  oldestWaitingSeconds: z.number().nonnegative(),
})
export type SweepReport = z.infer<typeof sweepReportSchema>

/** So long the history keeps what the system changed by itself (automatic blocks, their end, orders); what people changed stays. */
export const systemHistoryDays = 30
