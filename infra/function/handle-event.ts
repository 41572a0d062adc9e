import { scheduledTaskSchema, sweepReportSchema } from '@postern/contract/schedule.ts'
import { mayBypassCdn } from '../doors.ts'
import { edgeTokenHeader, type HttpEvent, isFromCdn, isHttpEvent, withClientAddress } from './client-address.ts'

/**
 * The `handler` of apps/api/lambda.ts. Answers an HTTP event with an HTTP response. Runs a scheduled task, and returns
 * a report for `sweep`.
 */
export type ApiHandler = (event: unknown, context: unknown) => Promise<unknown>

export type HandlerOptions = {
  api: ApiHandler
  /** The tokens that the CDN may send. Empty for an installation without a CDN. */
  edgeTokens: () => readonly string[]
  /** Reads the secrets again, because the CDN may have a newer token. */
  reread: () => Promise<unknown>
  /** Writes one line to the log. The metric filters of alarms.ts read the sweep's line. */
  print: (line: string) => void
}

/** Passes the event to the API. Throws an error for anything that is neither a request nor a scheduled task. */
export async function handleEvent(event: unknown, context: unknown, around: HandlerOptions): Promise<unknown> {
  const { api, print } = around
  if (isHttpEvent(event)) {
    const fromCdn = await comesFromCdn(event, around)
    if (!fromCdn && around.edgeTokens().length > 0 && !mayBypassCdn(event.rawPath)) return forWorkersOnly
    return api(withClientAddress(event, fromCdn), context)
  }
  const task = scheduledTaskSchema.safeParse(event)
  if (!task.success) throw new Error(`neither an HTTP request nor a scheduled task: ${task.error.message}`)
  const result = await api(task.data, context)
  if (task.data.schedule === 'sweep') print(JSON.stringify({ sweep: sweepReportSchema.parse(result) }))
  return result
}

async function comesFromCdn(event: HttpEvent, { edgeTokens, reread }: HandlerOptions): Promise<boolean> {
  if (isFromCdn(event, edgeTokens())) return true
  if (event.headers[edgeTokenHeader] === undefined) return false
  await reread()
  return isFromCdn(event, edgeTokens())
}

const forWorkersOnly = {
  statusCode: 403,
  headers: { 'content-type': 'application/problem+json', 'cache-control': 'no-store' },
  body: JSON.stringify({
    type: 'about:blank',
    title: 'Not allowed',
    status: 403,
    detail: 'This address is for workers. People and their programs use the address of the console.',
  }),
}
