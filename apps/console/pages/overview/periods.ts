/** The selectable periods, and the interval of their counts. */
export const periods = {
  hour: { title: 'last hour', hours: 1, stepMinutes: 1 },
  day: { title: 'last 24 hours', hours: 24, stepMinutes: 15 },
  week: { title: 'last 7 days', hours: 168, stepMinutes: 120 },
} as const
export type PeriodName = keyof typeof periods
export const periodNames = Object.keys(periods) as PeriodName[]

/** Returns the interval of each point of a chart: `minute`, `15 minutes`, `2 hours`. */
export function stepText(stepMinutes: number): string {
  if (stepMinutes === 1) return 'minute'
  if (stepMinutes === 60) return 'hour'
  if (stepMinutes === 1440) return 'day'
  return stepMinutes < 60 ? `${stepMinutes} minutes` : `${stepMinutes / 60} hours`
}
