import { blocksIn, type Environment, EnvironmentError, portIn, serversIn } from './environment.ts'

/**
 * All environment variables of the product. The API checks values by `type`. The supervisor passes variables to its
 * workers according to `readBy`. README has the same table, and a test compares them. Each process reads its own
 * variables in its entry file.
 */
type Reader = 'api' | 'smtp' | 'queue' | 'cli' | 'function'
type Type = 'text' | 'secret' | 'port' | 'blocks' | 'servers' | 'yes or no' | 'local'

type Variable = {
  type: Type
  /** The default as shown in README. */
  default: string
  help: string
  /** `function`: the entry file of the API on AWS. */
  readBy: readonly Reader[]
  /** The supervisor gives each worker its own value, or none. */
  perWorker?: true
  /** The setting that the variable overrides. */
  fixes?: string
}

const workers: readonly Reader[] = ['smtp', 'queue']
const everyProcess: readonly Reader[] = ['api', ...workers]
const s3 = 'S3 that the route `s3` stores mail in: '

export const variables = {
  POSTERN_DATA_DIR: {
    type: 'text',
    default: '`./data`',
    help: 'databases, spool, queue, maildirs, keys',
    readBy: everyProcess,
    perWorker: true,
  },
  POSTERN_BIND: {
    type: 'text',
    default: '`127.0.0.1`',
    help: 'address that all listeners bind to',
    readBy: everyProcess,
    perWorker: true,
  },
  POSTERN_API_PORT: { type: 'port', default: '8080', help: 'API and console', readBy: ['api'] },
  POSTERN_API_PROXIES: {
    type: 'blocks',
    default: 'none',
    help: 'addresses and CIDR blocks of reverse proxies in front of the API; `X-Forwarded-For` is trusted only from them',
    readBy: ['api'],
  },
  POSTERN_SMTP_PORT: {
    type: 'port',
    default: 'setting 25 (2525 without root)',
    help: 'overrides `advanced.port`, which the API and the console then show as fixed',
    readBy: everyProcess,
    fixes: 'advanced.port',
  },
  POSTERN_SUBMISSION_PORT: {
    type: 'port',
    default: 'setting 587 (2587 without root)',
    help: 'overrides `advanced.submissionPort`',
    readBy: everyProcess,
    fixes: 'advanced.submissionPort',
  },
  POSTERN_SMTPS_PORT: {
    type: 'port',
    default: 'setting 465 (2465 without root)',
    help: 'overrides `tls.implicitTlsPort`',
    readBy: everyProcess,
    fixes: 'tls.implicitTlsPort',
  },
  POSTERN_PROXY_PROTOCOL: {
    type: 'blocks',
    default: 'setting',
    help: 'addresses and CIDR blocks of balancers that speak PROXY v1 or v2; overrides `advanced.proxyProtocol`',
    readBy: ['api', 'smtp'],
    fixes: 'advanced.proxyProtocol',
  },
  POSTERN_ADMIN_EMAIL: { type: 'text', default: 'made, printed once', help: 'first administrator', readBy: ['api'] },
  POSTERN_ADMIN_PASSWORD: {
    type: 'secret',
    default: 'made, printed once',
    help: 'password of the first administrator',
    readBy: ['api'],
  },
  POSTERN_DNS_SERVERS: { type: 'servers', default: 'the system’s', help: '`ip[:port],…`', readBy: everyProcess },
  POSTERN_DNS_VALIDATES: {
    type: 'yes or no',
    default: '`no`',
    help: '`yes`: these servers validate DNSSEC and the path to them is secure (a resolver on this host), so DANE is honoured for MX hosts and for hosts that the gateway and `smtp` routes name',
    readBy: ['api', 'queue'],
  },
  POSTERN_HOOKS_MAY_REACH: {
    type: 'blocks',
    default: 'none',
    help: 'addresses and CIDR blocks that the delivery application, webhooks and callouts may reach besides the public Internet, e.g. `127.0.0.0/8,10.20.0.0/16`',
    readBy: everyProcess,
  },
  POSTERN_CA_FILE: {
    type: 'text',
    default: 'none',
    help: 'PEM: authorities trusted for outbound TLS besides the system’s and `NODE_EXTRA_CA_CERTS`',
    readBy: ['queue'],
  },
  POSTERN_MTA_STS_PORT: {
    type: 'port',
    default: '443',
    help: 'port of MTA-STS policy hosts',
    readBy: ['api', 'queue'],
  },
  POSTERN_OUTBOUND_PORT: { type: 'port', default: '25', help: 'port of MX hosts', readBy: ['queue'] },
  POSTERN_S3_ENDPOINT: { type: 'text', default: 'AWS’s', help: `${s3}its endpoint`, readBy: ['queue'] },
  POSTERN_S3_REGION: { type: 'text', default: '`us-east-1`', help: `${s3}its region`, readBy: ['queue'] },
  POSTERN_S3_ACCESS_KEY_ID: {
    type: 'text',
    default: 'the usual `AWS_*`',
    help: `${s3}the key’s id`,
    readBy: ['queue'],
  },
  POSTERN_S3_SECRET_ACCESS_KEY: {
    type: 'secret',
    default: 'the usual `AWS_*`',
    help: `${s3}the key`,
    readBy: ['queue'],
  },
  POSTERN_DATABASE_URL: {
    type: 'text',
    default: 'a file',
    help: 'libSQL server or Turso for settings',
    readBy: ['api'],
  },
  POSTERN_DATABASE_AUTH_TOKEN: {
    type: 'secret',
    default: 'none',
    help: 'token for both libSQL servers',
    readBy: ['api'],
  },
  POSTERN_EVENTS_DATABASE_URL: {
    type: 'text',
    default: 'a file',
    help: 'libSQL server or Turso for events',
    readBy: ['api'],
  },
  POSTERN_DATA_KEY: {
    type: 'secret',
    default: '`keys/data.key`',
    help: 'encrypts secrets in the database: 32 bytes in base64',
    readBy: ['api'],
  },
  POSTERN_MASTER_KEY: {
    type: 'secret',
    default: 'none',
    help: 'as `POSTERN_DATA_KEY`, for the API on AWS',
    readBy: ['api'],
  },
  POSTERN_SQS_ENDPOINT: {
    type: 'text',
    default: 'embedded',
    help: 'endpoint of another SQS; also needs the usual `AWS_*` variables',
    readBy: everyProcess,
    perWorker: true,
  },
  POSTERN_CORS_ORIGINS: {
    type: 'text',
    default: 'none',
    help: 'origins, separated by commas, whose pages may call the API',
    readBy: ['api'],
  },
  POSTERN_WORKERS: { type: 'text', default: 'both', help: '`none`: the API starts no workers', readBy: ['api'] },
  POSTERN_LOG_LEVEL: {
    type: 'text',
    default: '`info`',
    help: 'log level of the processes’ own output',
    readBy: everyProcess,
  },
  POSTERN_SYSLOG: {
    type: 'text',
    default: '`/dev/log`',
    help: 'the local syslog: a socket in the file system, or `host:port` for UDP (RFC 5426)',
    readBy: everyProcess,
  },
  POSTERN_SPOOL: {
    type: 'local',
    default: '`local`',
    help: '`s3://bucket` is not supported yet and is refused',
    readBy: everyProcess,
  },
  POSTERN_LOG: {
    type: 'text',
    default: '`log` in the data directory',
    help: 'where the log is kept: a directory, or `s3://bucket/prefix`',
    readBy: ['api'],
  },
  POSTERN_FACTS: { type: 'text', default: 'on', help: '`off`: nothing is recorded for the replay', readBy: workers },
  POSTERN_HEALTH_PORT: {
    type: 'port',
    default: 'none',
    help: 'a worker’s own `GET /healthz`, for container and balancer checks',
    readBy: workers,
    perWorker: true,
  },
  POSTERN_API_URL: {
    type: 'text',
    default: 'set by the API',
    help: 'URL of the API, for a worker that the API did not start',
    readBy: workers,
    perWorker: true,
  },
  POSTERN_WORKER_NAME: {
    type: 'text',
    default: 'set by the API',
    help: 'name of the worker, e.g. `smtp-1`',
    readBy: workers,
    perWorker: true,
  },
  POSTERN_ENROL_TOKEN: {
    type: 'secret',
    default: 'set by the API',
    help: 'enrolment token of a worker; on AWS the API reads it from here',
    readBy: everyProcess,
    perWorker: true,
  },
  POSTERN_SMTP_ENROL_TOKEN: {
    type: 'secret',
    default: 'none',
    help: 'on AWS: enrols workers of the SMTP service only',
    readBy: ['function'],
  },
  POSTERN_QUEUE_ENROL_TOKEN: {
    type: 'secret',
    default: 'none',
    help: 'on AWS: enrols workers of the Queue Manager only',
    readBy: ['function'],
  },
  POSTERN_SECRETS: {
    type: 'text',
    default: 'none',
    help: 'on AWS: variable → ARN of the secret that holds it, as JSON',
    readBy: ['function'],
  },
  POSTERN_EDGE_TOKEN: {
    type: 'secret',
    default: 'none',
    help: 'on AWS: what the CDN says to the function',
    readBy: ['function'],
  },
  POSTERN_ARCHIVE: {
    type: 'text',
    default: 'none',
    help: 'where days of the log are copied before they are removed: a directory, or `s3://bucket/prefix`',
    readBy: ['api'],
  },
  POSTERN_URL: {
    type: 'text',
    default: '`http://127.0.0.1:8080`',
    help: 'the API that `postern` talks to',
    readBy: ['cli'],
  },
  POSTERN_TOKEN: { type: 'secret', default: 'none', help: 'API token of `postern`', readBy: ['cli'] },
  POSTERN_ORIGIN: {
    type: 'text',
    default: 'this host',
    help: 'domain for addresses without one, for `sendmail`',
    readBy: ['cli'],
  },
  POSTERN_SMTP: {
    type: 'text',
    default: 'from the API',
    help: '`host:port` of the SMTP service, for `sendmail -bs`',
    readBy: ['cli'],
  },
  POSTERN_CLI_CONFIG: {
    type: 'text',
    default: '`/etc/postern/cli.env`',
    help: 'the file of variables that the launcher reads',
    readBy: ['cli'],
  },
} as const satisfies Record<string, Variable>

export type VariableName = keyof typeof variables
const rows = Object.entries(variables) as [VariableName, Variable][]

/** Returns the variables that the supervisor passes to a worker unchanged. */
export function handedOnTo(service: 'smtp' | 'queue'): VariableName[] {
  return rows.filter(([, { readBy, perWorker }]) => readBy.includes(service) && !perWorker).map(([name]) => name)
}

/** Maps each overridden setting to its variable. */
export const fixedSettings: Readonly<Record<string, VariableName>> = Object.fromEntries(
  rows.flatMap(([name, { fixes }]) => (fixes ? [[fixes, name]] : [])),
)

/** Refuses a value at startup that a process would otherwise refuse repeatedly later. Throws an EnvironmentError. */
export function checkVariables(env: Environment): void {
  for (const [name, { type }] of rows) checks[type](env, name)
}

const checks: Record<Type, (env: Environment, name: VariableName) => unknown> = {
  text: () => {},
  secret: () => {},
  port: portIn,
  blocks: blocksIn,
  servers: serversIn,
  'yes or no': (env, name) => {
    const text = env[name] ?? ''
    if (!['', 'yes', 'no'].includes(text)) throw new EnvironmentError(`${name} is "${text}" but must be yes or no`)
  },
  local: (env, name) => {
    const text = env[name]
    if (text && text !== 'local')
      throw new EnvironmentError(
        `${name} is "${text}" but only "local" is supported so far; s3:// is not supported yet`,
      )
  },
}

/** Returns the table for README. */
export function variablesTable(): string {
  const lines = rows.map(
    ([name, { default: value, help, readBy }]) => `| \`${name}\` | ${value} | ${help} | ${readBy.join(', ')} |`,
  )
  return ['| variable | default | what | read by |', '|---|---|---|---|', ...lines].join('\n')
}
