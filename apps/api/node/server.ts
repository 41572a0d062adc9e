import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type ServerType, serve } from '@hono/node-server'
import { blocksIn, EnvironmentError, portIn } from '@postern/contract/environment.ts'
import { checkVariables } from '@postern/contract/variables.ts'
import { checkpointOf } from '@postern/store/checkpoint.ts'
import { DatabaseError, openControl, openRecords } from '@postern/store/open.ts'
import { createApp } from '../app.ts'
import { renewCertificates } from '../certificates.ts'
import type { EventStore } from '../dependencies.ts'
import { startChangeQueues } from '../embedded/change-queues.ts'
import { DataDirectoryInUse, lockDataDirectory, openDataDirectory } from '../embedded/data-directory.ts'
import { type EmbeddedWorkers, startWorkers } from '../embedded/workers.ts'
import { makeOwner, seed } from '../first-start.ts'
import { applyRetention, compactLog, mergeLog, sweep } from '../housekeeping.ts'
import { TokenKeys } from '../identity/keys.ts'
import { periodically } from '../periodic.ts'
import { clientAddressBehind } from './client-address.ts'
import { consoleAt } from './console.ts'
import { dataKeyOf } from './data-key.ts'
import { makeParts, processLog } from './dependencies.ts'
import { openEventStore } from './event-store.ts'
import { exporterTo } from './former-events.ts'

/** The API as a process: API, console, change queues and workers on one machine. Started with `npm start`. */

const sweepEveryMs = 2_000
const retainEveryMs = 3_600_000
const tendEveryMs = 60_000
const root = resolve(import.meta.dirname, '../../..')

class StartError extends Error {
  override name = 'StartError'
}

async function start(env: NodeJS.ProcessEnv): Promise<void> {
  checkVariables(env)
  const dataDirectory = resolve(env.POSTERN_DATA_DIR || './data')
  openDataDirectory(dataDirectory)
  const unlock = lockDataDirectory(dataDirectory)
  const log = processLog(env)
  const eventStore = await openEventStore({ env, directory: dataDirectory, log, now: () => Date.now() })
  const databases = await openDatabases(env, { dataDirectory, eventStore })
  const clientAddress = clientAddressBehind(blocksIn(env, 'POSTERN_API_PROXIES') ?? [])
  const bind = env.POSTERN_BIND || '127.0.0.1'
  const embeddedQueues = env.POSTERN_SQS_ENDPOINT
    ? undefined
    : await startChangeQueues(join(dataDirectory, 'db', 'change-queues.port'))
  const sqsEndpoint = env.POSTERN_SQS_ENDPOINT || (embeddedQueues?.endpoint ?? '')
  const awsEnv = embeddedQueues ? { ...env, ...embeddedAws, POSTERN_SQS_ENDPOINT: sqsEndpoint } : env
  if (embeddedQueues) Object.assign(process.env, embeddedAws)
  const { parts, settled } = await makeParts({
    ...databases,
    eventStore,
    log,
    dataKey: dataKeyOf(env, dataDirectory),
    env: awsEnv,
    clientAddress,
  })
  if (env.POSTERN_WORKERS !== 'none') parts.missingSyslog = () => missingSyslog(env.POSTERN_SYSLOG || '/dev/log')
  await seed(parts, env.POSTERN_ADMIN_EMAIL)
  const owner = await makeOwner(parts, { email: env.POSTERN_ADMIN_EMAIL, password: env.POSTERN_ADMIN_PASSWORD })
  if (owner?.wasMade)
    console.log(
      `postern first start: sign in as ${owner.email} with the password ${owner.password} (shown only once; change it)`,
    )

  const app = createApp(parts)
  const page = consoleAt(join(root, 'apps/console/dist'))
  if (!page)
    parts.log.warn(
      {},
      'the console is not built. Start with npm start, which builds it, or run npm run build -w @postern/console',
    )
  app.all('*', async (context, next) => page?.(context) ?? (await next()))
  const server = await listen({ fetch: app.fetch, hostname: bind, port: portIn(env, 'POSTERN_API_PORT') ?? 8080 })
  const apiUrl = urlOf(server)
  parts.log.info({ apiUrl, dataDirectory }, 'the API is listening')

  const keys = new TokenKeys(parts)
  const failed = (error: unknown) => parts.log.warn({ error: String(error) }, 'housekeeping failed; will retry')
  const housekeeping = [
    periodically(sweepEveryMs, () => sweep(parts), failed),
    periodically(retainEveryMs, () => applyRetention(parts, keys), failed),
    periodically(tendEveryMs, () => renewCertificates(parts), failed),
    periodically(tendEveryMs, () => mergeLog(parts), failed),
    periodically(tendEveryMs, () => compactLog(parts), failed),
  ]
  let starting: Promise<EmbeddedWorkers> | undefined
  let isStopping = false
  const stop = async (signal: string) => {
    if (isStopping) return
    isStopping = true
    parts.log.info({ signal }, 'stopping')
    await (await starting)?.stop()
    await Promise.all(housekeeping.map((work) => work.stop()))
    await settled()
    await close(server)
    await embeddedQueues?.close()
    databases.control.$client.close()
    databases.records.$client.close()
    await eventStore.close()
    unlock()
    process.exit(0)
  }
  process.on('SIGTERM', () => void stop('SIGTERM'))
  process.on('SIGINT', () => void stop('SIGINT'))

  // May take long, because a worker with another configuration is first stopped in order.
  if (env.POSTERN_WORKERS !== 'none')
    starting = startWorkers({ parts, env, dataDirectory, apiUrl, sqsEndpoint, isEmbeddedSqs: !!embeddedQueues, root })
  const lines = (await (await starting)?.ready()) ?? ['workers=none']
  if (!isStopping) console.log(`postern ready api=${apiUrl}${page ? ` console=${apiUrl}/` : ''} ${lines.join(' ')}`)
}

const embeddedAws = { AWS_REGION: 'us-east-1', AWS_ACCESS_KEY_ID: 'embedded', AWS_SECRET_ACCESS_KEY: 'embedded' }

async function openDatabases(
  env: NodeJS.ProcessEnv,
  { dataDirectory, eventStore }: { dataDirectory: string; eventStore: EventStore },
) {
  const authToken = env.POSTERN_DATABASE_AUTH_TOKEN
  const url = env.POSTERN_DATABASE_URL
  const file = (name: string) => join(dataDirectory, 'db', name)
  const checkpoint = checkpointOf(file('settings.db'))
  return {
    control: await openControl(url ? { url, authToken } : { url: `file:${file('settings.db')}`, checkpoint }),
    records: await openRecords(
      { url: env.POSTERN_EVENTS_DATABASE_URL || url || `file:${file('events.db')}`, authToken },
      exporterTo(eventStore),
    ),
  }
}

/** Returns the socket if it does not exist. A `host:port` address cannot be checked this way. */
function missingSyslog(where: string): string | undefined {
  return where.includes(':') || existsSync(where) ? undefined : where
}

/**
 * Longer than proxies keep an idle connection (one minute for nginx and AWS load balancers). The client must be the one
 * that closes it. Otherwise its next request may hit a connection that has just been closed.
 */
const keepAliveMs = 75_000

function listen(options: {
  fetch: Parameters<typeof serve>[0]['fetch']
  hostname: string
  port: number
}): Promise<ServerType> {
  return new Promise((resolve, reject) => {
    const server = serve({ ...options, serverOptions: { keepAliveTimeout: keepAliveMs } }, () => resolve(server))
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        new StartError(
          `The API cannot listen on ${options.hostname}:${options.port} (${error.code ?? error.message}). Set POSTERN_API_PORT or POSTERN_BIND.`,
        ),
      ),
    )
  })
}

function urlOf(server: ServerType): string {
  const address = server.address()
  if (typeof address !== 'object' || !address) throw new StartError('The API has no address')
  const host = address.address === '0.0.0.0' || address.address === '::' ? '127.0.0.1' : address.address
  return `http://${host.includes(':') ? `[${host}]` : host}:${address.port}`
}

function close(server: ServerType): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    if ('closeAllConnections' in server) server.closeAllConnections()
  })
}

start(process.env).catch((error: unknown) => {
  const isExplained = [StartError, DatabaseError, EnvironmentError, DataDirectoryInUse].some(
    (kind) => error instanceof kind,
  )
  console.error(isExplained ? `postern cannot start: ${(error as Error).message}` : error)
  process.exit(1)
})
