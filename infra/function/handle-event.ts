import { scheduledTaskSchema, sweepReportSchema } from '@postern/contract/schedule.ts'
import { isHttpEvent, withClientAddress } from './client-address.ts'

/**
 * The `handler` of apps/api/lambda.ts. Answers an HTTP event with an HTTP response. Runs a scheduled task, and returns
 * a report for `sweep`.
 */
export type ApiHandler = (event: unknown, context: unknown) => Promise<unknown>

export type HandlerOptions = {
  api: ApiHandler
  edgeToken: string | undefined
  /** Writes one line to the log. The metric filters of alarms.ts read the sweep's line. */
  print: (line: string) => void
}

/** Passes the event to the API. Throws an error for anything that is neither a request nor a scheduled task. */
export async function handleEvent(event: unknown, context: unknown, around: HandlerOptions): Promise<unknown> {
  const { api, edgeToken, print } = around
  if (isHttpEvent(event)) return api(withClientAddress(event, edgeToken), context)
  const task = scheduledTaskSchema.safeParse(event)
  if (!task.success) throw new Error(`neither an HTTP request nor a scheduled task: ${task.error.message}`)
  const result = await api(task.data, context)
  if (task.data.schedule === 'sweep') print(JSON.stringify({ sweep: sweepReportSchema.parse(result) }))
  return result
}
