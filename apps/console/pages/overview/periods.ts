/** What one may look at, and how finely it is counted. */
export const periods = {
  hour: { title: 'last hour', hours: 1, stepMinutes: 1 },
  day: { title: 'last 24 hours', hours: 24, stepMinutes: 15 },
  week: { title: 'last 7 days', hours: 168, stepMinutes: 120 },
} as const
export type PeriodName = keyof typeof periods
export const periodNames = Object.keys(periods) as PeriodName[]

/** `minute`, `15 minutes`, `2 hours`: what each point of a chart counts. */
export function stepText(stepMinutes: number): string {
  if (stepMinutes === 1) return 'minute'
  return stepMinutes < 60 ? `${stepMinutes} minutes` : `${stepMinutes / 60} hours`
}
