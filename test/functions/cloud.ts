import { execFile } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { json } from 'node:stream/consumers'
import { promisify } from 'node:util'
import type { ServiceName } from '@postern/contract/services.ts'
import { type HranaServer, startHranaServer } from '@postern/store/test/hrana.ts'
import { afterAll, beforeAll } from 'vitest'
import { startFakeS3 } from '../peers/fake-s3.ts'
import { freePort, temporaryDirectory } from '../peers/peer.ts'
import { Api } from '../system/api.ts'
import { credentials, mailIn } from '../system/postern.ts'
import { startFakeSqs } from '../system/sqs.ts'
import { startByHand, type WorkerProcess } from '../system/worker-process.ts'
import { type Cdn, startCdn } from './cdn.ts'
import { type Gateway, startGateway } from './gateway.ts'

/** An installation as on AWS: the API as functions, a libSQL server, SQS, S3 and Secrets Manager; workers as processes. */
export type Cloud = {
  /** The address for workers. */
  readonly gateway: Gateway
  /** The address for people. */
  readonly cdn: Cdn
  readonly api: Api
  readonly host: string
  readonly smtpPort: number
  readonly database: HranaServer
  /** Stores a new value of a secret. The value before it stays readable as the previous one. */
  rotate(variable: string, value: string): void
  /** Makes the keys that sign tokens as old as the retention waits for. */
  ageSigningKeys(): void
  /** Deploys the CDN with another token. */
  deployCdn(edgeToken: string): void
  startWorker(service: ServiceName): Promise<WorkerProcess>
  mail(recipient: string): Promise<string[]>
  stop(): Promise<void>
}

export type CloudOptions = {
  /** Round trip to the libSQL server in milliseconds. Default: 2. */
  databaseMs?: number
  maxInstances?: number
}

const root = join(import.meta.dirname, '../..')
const databaseToken = 'the token of the database'
export const enrolTokens = { smtp: 'the long token of smtp', queue: 'the long token of queue' }

/** Builds the function as the deployment does, for one test file: others build theirs at the same time. */
export function bundleForTests(): { readonly directory: string } {
  let directory: string
  beforeAll(async () => {
    directory = await temporaryDirectory('bundle')
    await promisify(execFile)(process.execPath, [join(root, 'infra/bundle.ts'), directory])
  })
  afterAll(() => rm(directory, { recursive: true, force: true }))
  return {
    get directory() {
      return directory
    },
  }
}

export async function startCloud(
  bundle: string,
  { databaseMs = 2, maxInstances = 20 }: CloudOptions = {},
): Promise<Cloud> {
  const directory = await temporaryDirectory('cloud')
  const dataDirectory = join(directory, 'data')
  const database = await startHranaServer(join(directory, 'server.db'), databaseToken, databaseMs)
  const [s3, sqs] = [await startFakeS3(), await startFakeSqs()]
  let edgeToken = 'the token of the CDN'
  const secrets = await startSecrets({
    POSTERN_DATABASE_AUTH_TOKEN: databaseToken,
    POSTERN_MASTER_KEY: btoa('0123456789abcdef0123456789abcdef'),
    POSTERN_SMTP_ENROL_TOKEN: enrolTokens.smtp,
    POSTERN_QUEUE_ENROL_TOKEN: enrolTokens.queue,
    POSTERN_ADMIN_PASSWORD: credentials.password,
    POSTERN_EDGE_TOKEN: edgeToken,
  })
  const gateway = await startGateway({
    bundle,
    maxInstances,
    env: {
      ...sqs.env,
      NODE_ENV: 'production',
      AWS_ENDPOINT_URL_SECRETS_MANAGER: secrets.endpoint,
      AWS_ENDPOINT_URL_S3: s3.endpoint,
      POSTERN_SECRETS: secrets.arns,
      POSTERN_DATABASE_URL: database.url,
      POSTERN_ADMIN_EMAIL: credentials.email,
      POSTERN_LOG: 's3://log',
    },
  })
  const cdn = await startCdn({ gatewayUrl: gateway.url, edgeToken: () => edgeToken })
  const ports = { smtp: await freePort('127.0.0.1'), submission: await freePort('127.0.0.1') }
  const smtps = await freePort('127.0.0.1')
  const workers: WorkerProcess[] = []
  return {
    gateway,
    cdn,
    api: new Api(cdn.url, credentials),
    host: '127.0.0.1',
    smtpPort: ports.smtp,
    database,
    rotate: secrets.rotate,
    ageSigningKeys: () => {
      const settings = new DatabaseSync(join(directory, 'server.db'))
      settings.exec(`update signing_keys set created_at = created_at - ${31 * 86_400_000}`)
      settings.close()
    },
    deployCdn: (token) => {
      edgeToken = token
    },
    startWorker: async (service) => {
      const worker = startByHand(service, {
        ...sqs.env,
        PATH: process.env.PATH ?? '',
        POSTERN_API_URL: gateway.url,
        POSTERN_ENROL_TOKEN: enrolTokens[service],
        POSTERN_WORKER_NAME: `${service}-1`,
        POSTERN_DATA_DIR: dataDirectory,
        POSTERN_BIND: '127.0.0.1',
        POSTERN_SMTP_PORT: String(ports.smtp),
        POSTERN_SUBMISSION_PORT: String(ports.submission),
        POSTERN_SMTPS_PORT: String(smtps),
      })
      workers.push(worker)
      return worker
    },
    mail: (recipient) => mailIn(dataDirectory, recipient),
    stop: async () => {
      for (const worker of workers) await worker.stop()
      await cdn.stop()
      await gateway.stop()
      for (const each of [s3, sqs, secrets]) await each.stop()
      await database.close()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

/** Secrets Manager, as far as the function uses it. `arns`: the value of `POSTERN_SECRETS`. */
async function startSecrets(values: Record<string, string>) {
  const previous: Record<string, string | undefined> = {}
  const server = createServer(async (request, response) => {
    const { SecretId, VersionStage } = (await json(request)) as { SecretId: string; VersionStage?: string }
    const SecretString = (VersionStage === 'AWSPREVIOUS' ? previous : values)[SecretId.replace('arn:', '')]
    response.writeHead(SecretString ? 200 : 400, { 'content-type': 'application/x-amz-json-1.1' })
    const missing = { __type: 'ResourceNotFoundException', message: 'no such version' }
    response.end(JSON.stringify(SecretString ? { ARN: SecretId, SecretString } : missing))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    arns: JSON.stringify(Object.fromEntries(Object.keys(values).map((name) => [name, `arn:${name}`]))),
    rotate: (variable: string, value: string) => {
      previous[variable] = values[variable]
      values[variable] = value
    },
    stop: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
