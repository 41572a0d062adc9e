import type { ScheduledTask } from '@postern/contract/schedule.ts'
import {
  CfnOutput,
  CfnParameter,
  CustomResource,
  Duration,
  FileSystem,
  RemovalPolicy,
  Size,
  Stack,
  type StackProps,
} from 'aws-cdk-lib'
import { AccessLogFormat } from 'aws-cdk-lib/aws-apigateway'
import { type CfnStage, HttpApi, HttpMethod, HttpStage, LogGroupLogDestination } from 'aws-cdk-lib/aws-apigatewayv2'
import { HttpLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations'
import { PolicyDocument, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam'
import {
  Architecture,
  Code,
  type FunctionProps,
  Function as Lambda,
  LoggingFormat,
  Runtime,
} from 'aws-cdk-lib/aws-lambda'
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs'
import type { Bucket } from 'aws-cdk-lib/aws-s3'
import { Schedule, ScheduleExpression, ScheduleGroup, ScheduleTargetInput } from 'aws-cdk-lib/aws-scheduler'
import { LambdaInvoke } from 'aws-cdk-lib/aws-scheduler-targets'
import type { Construct } from 'constructs'
import { acceptFindings, wildcard } from './accepted-findings.ts'
import { athenaTables } from './athena.ts'
import { gatewayRoutes } from './doors.ts'
import { grantLog, logBucket } from './event-log.ts'
import type { FoundationStack } from './foundation.ts'
import { queues } from './limits.ts'

export type ApiStackProps = StackProps & { foundation: FoundationStack; bundle: string }

/** The API as a function behind an HTTP API, the schedules that call it, and the bucket of the log. */
export class ApiStack extends Stack {
  readonly api: HttpApi
  readonly lambda: Lambda
  readonly logs: LogGroup
  readonly schedules: ScheduleGroup

  constructor(scope: Construct, id: string, { foundation, bundle, ...props }: ApiStackProps) {
    super(scope, id, {
      ...props,
      description: 'Postern: the API as a function behind an HTTP API, its schedules and its log',
    })
    this.logs = new LogGroup(this, 'FunctionLogs', kept)
    const eventLog = logBucket(this, foundation.accessLogs)
    athenaTables(this, eventLog)
    this.lambda = apiFunction(this, { foundation, bundle, logs: this.logs, eventLog })
    this.api = httpApi(this, this.lambda)
    this.schedules = schedules(this, this.lambda)
    new CfnOutput(this, 'ApiUrl', {
      value: this.api.apiEndpoint,
      description: 'The address of the API for workers. People and their programs use ConsoleUrl',
    })
    new CfnOutput(this, 'LogBucket', { value: eventLog.bucketName, description: 'The bucket with the log' })
  }
}

const kept = { retention: RetentionDays.THREE_MONTHS, removalPolicy: RemovalPolicy.RETAIN } as const

/** A run of the function ends before the next compaction begins, so two never compact the same hour. */
const compactionEvery = Duration.minutes(5)

/** Asks at deployment for what only the operator knows. */
function parameters(stack: Stack) {
  const database = (id: string, description: string) =>
    new CfnParameter(stack, id, {
      type: 'String',
      description,
      allowedPattern: '^(libsql|https)://[A-Za-z0-9.-]+(:[0-9]+)?(/.*)?$',
      constraintDescription: 'a libsql:// or https:// address without a token',
    })
  return {
    settings: database('DatabaseUrl', 'libSQL server with the settings, e.g. libsql://settings.example.org'),
    events: database('EventsDatabaseUrl', 'libSQL server with the queue, the workers and the books'),
    admin: new CfnParameter(stack, 'AdminEmail', {
      type: 'String',
      description: 'Email address of the first administrator. The password is in the secret AdminPassword',
      allowedPattern: '^[^@\\s]+@[^@\\s]+$',
    }),
  }
}

type FunctionOptions = { foundation: FoundationStack; bundle: string; logs: LogGroup; eventLog: Bucket }

function apiFunction(stack: Stack, { foundation, bundle, logs, eventLog }: FunctionOptions): Lambda {
  const { settings, events, admin } = parameters(stack)
  const { databaseToken, dataKey, enrolTokens, adminPassword, edgeToken } = foundation.secrets
  const secrets = {
    POSTERN_DATABASE_AUTH_TOKEN: databaseToken,
    POSTERN_MASTER_KEY: dataKey,
    POSTERN_SMTP_ENROL_TOKEN: enrolTokens.smtp,
    POSTERN_QUEUE_ENROL_TOKEN: enrolTokens.queue,
    POSTERN_ADMIN_PASSWORD: adminPassword,
    POSTERN_EDGE_TOKEN: edgeToken,
  }
  const role = new Role(stack, 'FunctionRole', { assumedBy: new ServicePrincipal('lambda.amazonaws.com') })
  logs.grantWrite(role)
  for (const secret of Object.values(secrets)) secret.grantRead(role)
  grantNotifications(stack, role)
  grantLog(role, eventLog)
  acceptFindings(role, {
    [wildcard(stack, queues(stack))]:
      'Workers create their own queues, so only the prefix of their names is known. The only action is SendMessage',
  })
  const shared = {
    runtime: Runtime.NODEJS_24_X,
    // The bundled argon2 and DuckDB are for this architecture (bundle.ts).
    architecture: Architecture.X86_64,
    code: Code.fromAsset(bundle),
    role,
    logGroup: logs,
    loggingFormat: LoggingFormat.JSON,
    // Enough for argon2id and a large document, or for the compaction of an hour: a Parquet file and DuckDB's 256 MB.
    memorySize: 1536,
    // Files of the log that a search has fetched (512 MiB), or what sorting an hour needs: 570 bytes an event.
    ephemeralStorageSize: Size.gibibytes(10),
    environment: {
      NODE_ENV: 'production',
      POSTERN_DATABASE_URL: settings.valueAsString,
      POSTERN_EVENTS_DATABASE_URL: events.valueAsString,
      POSTERN_ADMIN_EMAIL: admin.valueAsString,
      // The workers use this value, so the API shows the matching setting as fixed.
      POSTERN_PROXY_PROTOCOL: foundation.balancers,
      POSTERN_SQS_ENDPOINT: `https://sqs.${stack.region}.${stack.urlSuffix}`,
      POSTERN_LOG: `s3://${eventLog.bucketName}`,
      POSTERN_ARCHIVE: `s3://${eventLog.bucketName}/archive`,
      // The names of secrets, not their values (function/secrets.ts).
      POSTERN_SECRETS: stack.toJsonString(
        Object.fromEntries(Object.entries(secrets).map(([variable, secret]) => [variable, secret.secretArn])),
      ),
    },
  }
  const lambda = new Lambda(stack, 'Function', {
    ...shared,
    description: 'Postern API',
    handler: 'index.handler',
    // The gateway ends HTTP requests after 30 s. Compaction and retention take longer.
    timeout: compactionEvery,
  })
  lambda.node.addDependency(migrations(stack, shared, FileSystem.fingerprint(bundle)))
  return lambda
}

/**
 * A step of each deployment that brings a new release: its own function migrates the databases before the API's gets the
 * code. If that fails, the API stays as it was. The former release goes on beside it, so a migration must not take what
 * that one uses (db/store/open.ts).
 */
function migrations(stack: Stack, shared: Omit<FunctionProps, 'handler'>, release: string): CustomResource {
  const lambda = new Lambda(stack, 'Migrate', {
    ...shared,
    description: 'Postern: brings the databases up to date at a deployment',
    handler: 'index.migrate',
    timeout: Duration.minutes(15),
  })
  return new CustomResource(stack, 'Migrations', {
    serviceToken: lambda.functionArn,
    properties: { Release: release },
  })
}

/** Lets the API notify workers of a new revision. It can do nothing else with a queue. */
function grantNotifications(stack: Stack, role: Role): void {
  role.addToPolicy(
    new PolicyStatement({
      sid: 'NotifyWorkers',
      actions: ['sqs:SendMessage'],
      resources: [queues(stack)],
    }),
  )
}

function httpApi(stack: Stack, lambda: Lambda): HttpApi {
  const api = new HttpApi(stack, 'HttpApi', {
    apiName: 'postern',
    description: 'Postern API',
    createDefaultStage: false,
  })
  const integration = new HttpLambdaIntegration('Lambda', lambda)
  const routes = gatewayRoutes.flatMap(({ path }) => api.addRoutes({ path, integration, methods: [HttpMethod.ANY] }))
  acceptFindings(api, {
    'AwsSolutions-APIG4':
      'The API checks every request itself: its own short JWTs, hashed API tokens and roles, and some paths must be public (sign-in, JWKS)',
  })
  const stage = new HttpStage(stack, 'Stage', {
    httpApi: api,
    stageName: '$default',
    autoDeploy: true,
    detailedMetricsEnabled: true,
    accessLogSettings: {
      destination: new LogGroupLogDestination(new LogGroup(stack, 'AccessLogs', kept)),
      // Omits the query and headers, to keep tokens and email addresses out of the log.
      format: AccessLogFormat.custom(
        JSON.stringify({
          requestId: '$context.requestId',
          time: '$context.requestTimeEpoch',
          ip: '$context.identity.sourceIp',
          method: '$context.httpMethod',
          path: '$context.path',
          status: '$context.status',
          bytes: '$context.responseLength',
          ms: '$context.responseLatency',
          error: '$context.integrationErrorMessage',
        }),
      ),
    },
  })
  // The construct has no property for them. A route must exist before the stage names it.
  const { node } = stage
  ;(node.defaultChild as CfnStage).addPropertyOverride('RouteSettings', throttles())
  node.addDependency(...routes)
  return api
}

const throttles = () =>
  Object.fromEntries(
    gatewayRoutes.map(({ path, throttle }) => [
      `ANY ${path}`,
      {
        ThrottlingRateLimit: throttle.rateLimit,
        ThrottlingBurstLimit: throttle.burstLimit,
        DetailedMetricsEnabled: true,
      },
    ]),
  )

/**
 * Makes the schedules. They need no dead-letter queue, because the calls carry no data: the next run makes up for a lost
 * one. Failures raise an alarm.
 */
function schedules(stack: Stack, lambda: Lambda): ScheduleGroup {
  const caller = new Role(stack, 'SchedulerRole', {
    assumedBy: new ServicePrincipal('scheduler.amazonaws.com', {
      conditions: { StringEquals: { 'aws:SourceAccount': stack.account } },
    }),
    inlinePolicies: {
      call: new PolicyDocument({
        statements: [new PolicyStatement({ actions: ['lambda:InvokeFunction'], resources: [lambda.functionArn] })],
      }),
    },
  })
  // The target would grant access to every version of the function.
  const role = caller.withoutPolicyUpdates()
  const scheduleGroup = new ScheduleGroup(stack, 'Schedules', { removalPolicy: RemovalPolicy.DESTROY })
  const run = (task: ScheduledTask, tries: { retryAttempts: number; maxEventAge: Duration }) =>
    new LambdaInvoke(lambda, { input: ScheduleTargetInput.fromObject(task), role, ...tries })
  new Schedule(stack, 'Sweep', {
    scheduleGroup,
    description: 'Postern: send the change notifications that a crashed function left unsent',
    schedule: ScheduleExpression.rate(Duration.minutes(1)),
    target: run({ schedule: 'sweep' }, { retryAttempts: 0, maxEventAge: Duration.minutes(1) }),
  })
  new Schedule(stack, 'Merge', {
    scheduleGroup,
    description: 'Postern: merge small files of the log, so that a search opens few',
    schedule: ScheduleExpression.rate(Duration.minutes(1)),
    target: run({ schedule: 'merge' }, { retryAttempts: 0, maxEventAge: Duration.minutes(1) }),
  })
  new Schedule(stack, 'Compaction', {
    scheduleGroup,
    description: 'Postern: make each hour of the log that has ended one Parquet file',
    schedule: ScheduleExpression.rate(compactionEvery),
    target: run({ schedule: 'compaction' }, { retryAttempts: 0, maxEventAge: Duration.minutes(1) }),
  })
  new Schedule(stack, 'Retention', {
    scheduleGroup,
    description:
      'Postern: remove events and revisions older than their settings, and compact hours whose events came late',
    schedule: ScheduleExpression.cron({ minute: '17', hour: '3' }),
    target: run({ schedule: 'retention' }, { retryAttempts: 3, maxEventAge: Duration.hours(6) }),
  })
  return scheduleGroup
}
