import { scheduledTaskSchema, sweepReportSchema } from '@postern/contract/schedule.ts'
import { isHttpEvent, withClientAddress } from './client-address.ts'

/** `handler` of apps/api/lambda.ts: an HTTP event in, an HTTP answer out; a scheduled task in, for `sweep` its report out. */
export type ApiHandler = (event: unknown, context: unknown) => Promise<unknown>

export type HandlerOptions = {
  api: ApiHandler
  edgeToken: string | undefined
  /** Writes one line to the log. The metric filters of api.ts read the sweep's. */
  print: (line: string) => void
}

/** Hands the event to the API. Anything that is neither a request nor a scheduled task is refused with an error. */
export async function handleEvent(event: unknown, context: unknown, around: HandlerOptions): Promise<unknown> {
  const { api, edgeToken, print } = around
  if (isHttpEvent(event)) return api(withClientAddress(event, edgeToken), context)
  const task = scheduledTaskSchema.safeParse(event)
  if (!task.success) throw new Error(`neither an HTTP request nor a scheduled task: ${task.error.message}`)
  const result = await api(task.data, context)
  if (task.data.schedule === 'sweep') print(JSON.stringify({ sweep: sweepReportSchema.parse(result) }))
  return result
}
