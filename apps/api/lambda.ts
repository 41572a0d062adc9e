import { type ScheduledTask, type SweepReport, scheduledTaskSchema } from '@postern/contract/schedule.ts'
import { openControl, openRecords } from '@postern/store/open.ts'
import { handle, type LambdaEvent } from 'hono/aws-lambda'
import { createApp } from './app.ts'
import { renewCertificates } from './certificates.ts'
import { keepEnrolTokens, makeOwner, seed } from './first-start.ts'
import { applyRetention, sweepAndReport } from './housekeeping.ts'
import { TokenKeys } from './identity/keys.ts'
import { makeParts } from './node/dependencies.ts'

/** The API as a function: HTTP events of API Gateway (payload 2.0), and what a scheduler sends. */

type Started = Awaited<ReturnType<typeof start>>
let started: Promise<Started> | undefined

/** Octets of a message that fit into a function's 6 MB of request or answer, base64 and all. */
const functionOctets = 4 * 1024 * 1024

/** What the answer does not wait for has so long until the function is frozen; the sweep makes up for the rest. */
const lastWordsMs = 1_500

export async function handler(event: unknown, context?: unknown): Promise<unknown> {
  // A start that failed is tried again by the next request: the database may have been away.
  started ??= start(process.env).catch((error: unknown) => {
    started = undefined
    throw error
  })
  const { answer, task, settled } = await started
  const scheduled = scheduledTaskSchema.safeParse(event)
  const result = scheduled.success ? await task(scheduled.data) : await answer(event as LambdaEvent, context as never)
  await Promise.race([settled(), new Promise((resolve) => setTimeout(resolve, lastWordsMs))])
  return result
}

async function start(env: NodeJS.ProcessEnv) {
  const authToken = env.POSTERN_DATABASE_AUTH_TOKEN
  const url = required(env, 'POSTERN_DATABASE_URL')
  const dataKey = env.POSTERN_MASTER_KEY || required(env, 'POSTERN_DATA_KEY')
  const control = await openControl({ url, authToken })
  const records = await openRecords({ url: env.POSTERN_EVENTS_DATABASE_URL || url, authToken })
  const { parts, settled } = await makeParts({ control, records, dataKey, env, clientAddress })
  parts.maxBody = functionOctets
  await seed(parts, env.POSTERN_ADMIN_EMAIL)
  // A password made up here could only be shown in a log: without one there is no first owner.
  if (env.POSTERN_ADMIN_PASSWORD)
    await makeOwner(parts, { email: env.POSTERN_ADMIN_EMAIL, password: env.POSTERN_ADMIN_PASSWORD })
  await keepEnrolTokens(parts, {
    any: env.POSTERN_ENROL_TOKEN,
    smtp: env.POSTERN_SMTP_ENROL_TOKEN,
    queue: env.POSTERN_QUEUE_ENROL_TOKEN,
  })
  const keys = new TokenKeys(parts)
  const task = async ({ schedule }: ScheduledTask): Promise<SweepReport | undefined> => {
    if (schedule === 'sweep') {
      const report = await sweepAndReport(parts)
      await renewCertificates(parts)
      return report
    }
    await applyRetention(parts, keys)
    return undefined
  }
  return { answer: handle(createApp(parts)), task, settled }
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
