import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ScheduledTask, type SweepReport, scheduledTaskSchema } from '@postern/contract/schedule.ts'
import { type StartState, startState } from '@postern/store/control/start-state.ts'
import { openControl, openRecords } from '@postern/store/open.ts'
import { handle, type LambdaEvent } from 'hono/aws-lambda'
import { createApp } from './app.ts'
import { renewCertificates } from './certificates.ts'
import type { Dependencies } from './dependencies.ts'
import { keepEnrolTokens, makeOwner, seed } from './first-start.ts'
import { applyRetention, compactLog, mergeLog, sweepAndReport } from './housekeeping.ts'
import { TokenKeys } from './identity/keys.ts'
import { fetchWithToken } from './node/database-token.ts'
import { makeParts, processLog } from './node/dependencies.ts'
import { openEventStore } from './node/event-store.ts'
import { exporterTo } from './node/former-events.ts'

/** The API as a function. Takes HTTP events from API Gateway (payload 2.0) and events from the scheduler. */

type Started = Awaited<ReturnType<typeof start>>
let started: Promise<Started> | undefined

/** The largest message in bytes that fits into a function's 6 MB request or answer in base64. */
const functionBytes = 4 * 1024 * 1024

/** A scheduled task that takes long is ended this long before the function would be. */
const spareMs = 15_000

/** Background work gets this long before the function is frozen. The sweep completes the rest. */
const lastWordsMs = 1_500

/** Set by infra/function/entry.ts, which put the tokens into the environment. */
let reread = async (): Promise<void> => {}

/** Takes what reads the tokens again after one was refused. */
export function onRefusedToken(again: () => Promise<void>): void {
  reread = again
}

/** Brings the databases up to date: the step of a deployment before its first request. Each start would do it, too. */
export async function migrate(): Promise<void> {
  await ensureStarted()
}

/** If the start fails, the next request tries again. The database may have been unavailable. */
function ensureStarted(): Promise<Started> {
  started ??= start(process.env).catch((error: unknown) => {
    started = undefined
    throw error
  })
  return started
}

export async function handler(event: unknown, context?: unknown): Promise<unknown> {
  const { answer, task, settled, enrolTokens } = await ensureStarted()
  await enrolTokens.followEnvironment()
  const scheduled = scheduledTaskSchema.safeParse(event)
  let result = scheduled.success
    ? await task(scheduled.data, deadlineOf(context))
    : await answer(event as LambdaEvent, context as never)
  if (isRefusedEnrolment(event, result)) {
    await reread()
    if (await enrolTokens.keep()) result = await answer(event as LambdaEvent, context as never)
  }
  await Promise.race([settled(), new Promise((resolve) => setTimeout(resolve, lastWordsMs))])
  return result
}

async function start(env: NodeJS.ProcessEnv) {
  const tokens = { current: () => accepted(env, 'POSTERN_DATABASE_AUTH_TOKEN'), reread: () => reread() }
  const server = { fetch: fetchWithToken(tokens) }
  const url = required(env, 'POSTERN_DATABASE_URL')
  const dataKey = env.POSTERN_MASTER_KEY || required(env, 'POSTERN_DATA_KEY')
  const log = processLog(env)
  const eventStore = await openEventStore({ env, directory: join(tmpdir(), 'postern'), log, now: () => Date.now() })
  const address = { url: env.POSTERN_EVENTS_DATABASE_URL || url, ...server }
  const [control, records] = await Promise.all([
    openControl({ url, ...server }),
    openRecords(address, exporterTo(eventStore)),
  ])
  const { parts, settled } = await makeParts({ control, records, eventStore, dataKey, env, log, clientAddress })
  parts.maxBody = functionBytes
  parts.streams = 'polled'
  const found = await startState(control)
  if (found.revision === 0) await seed(parts, env.POSTERN_ADMIN_EMAIL)
  // A generated password could only be shown in a log, so without a given password no first owner is created.
  if (found.users === 0 && env.POSTERN_ADMIN_PASSWORD)
    await makeOwner(parts, { email: env.POSTERN_ADMIN_EMAIL, password: env.POSTERN_ADMIN_PASSWORD })
  const enrolTokens = enrolTokensIn(env, parts)
  await enrolTokens.keep(found.enrolTokens)
  const keys = new TokenKeys(parts)
  const task = async ({ schedule }: ScheduledTask, deadline?: AbortSignal): Promise<SweepReport | undefined> => {
    if (schedule === 'merge') await mergeLog(parts, deadline)
    if (schedule === 'compaction') await compactLog(parts, deadline)
    if (schedule === 'retention') await applyRetention(parts, keys, deadline)
    if (schedule !== 'sweep') return undefined
    const report = await sweepAndReport(parts)
    await renewCertificates(parts)
    return report
  }
  return { answer: handle(createApp(parts)), task, settled, enrolTokens }
}

/** The accepted values of a token: the current one, and the one before its last rotation. */
const accepted = (env: NodeJS.ProcessEnv, name: string): string[] =>
  [env[name], env[`${name}_PREVIOUS`]].filter((value) => value !== undefined && value !== '') as string[]

/** The enrolment tokens in the environment, which may change while the function runs. */
function enrolTokensIn(env: NodeJS.ProcessEnv, parts: Dependencies) {
  let kept = ''
  const now = () => ({
    any: accepted(env, 'POSTERN_ENROL_TOKEN'),
    smtp: accepted(env, 'POSTERN_SMTP_ENROL_TOKEN'),
    queue: accepted(env, 'POSTERN_QUEUE_ENROL_TOKEN'),
  })
  /** Makes the database accept these tokens. Returns whether it did not. */
  const keep = async (known?: StartState['enrolTokens']) => {
    const tokens = now()
    const changed = await keepEnrolTokens(parts, tokens, known)
    kept = JSON.stringify(tokens)
    return changed
  }
  const followEnvironment = async () => {
    if (JSON.stringify(now()) !== kept) await keep()
  }
  return { keep, followEnvironment }
}

/** A worker may have a newer token than this instance, or another instance may have stored older ones. */
function isRefusedEnrolment(event: unknown, result: unknown): boolean {
  const { rawPath } = event as { rawPath?: string }
  return rawPath === '/v1/worker/enrol' && (result as { statusCode?: number }).statusCode === 401
}

/** Lambda passes a context that knows how long the function may still run. */
function deadlineOf(context: unknown): AbortSignal | undefined {
  const remainingMs = (context as { getRemainingTimeInMillis?(): number } | undefined)?.getRemainingTimeInMillis?.()
  return remainingMs === undefined ? undefined : AbortSignal.timeout(Math.max(0, remainingMs - spareMs))
}

type HttpContext = { env?: { event?: { requestContext?: { http?: { sourceIp?: string } } } } }

function clientAddress(context: unknown): string | undefined {
  return (context as HttpContext).env?.event?.requestContext?.http?.sourceIp
}

function required(env: NodeJS.ProcessEnv, name: string): string {
  const value = env[name]
  if (!value) throw new Error(`${name} is not set; the API function needs it`)
  return value
}
