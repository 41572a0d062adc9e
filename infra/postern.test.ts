import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { App, Validations } from 'aws-cdk-lib'
import { Match, Template } from 'aws-cdk-lib/assertions'
import { AwsSolutionsChecks } from 'cdk-nag'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { builtAssets } from './assets.ts'
import { contentSecurityPolicy } from './console.ts'
import { dataKeyLength } from './foundation.ts'
import { drainTimeoutSeconds } from './limits.ts'
import { buildPostern } from './postern.ts'

type Stacks = ReturnType<typeof buildPostern>
type Resource = { Type: string; Properties: Record<string, unknown> }

const directory = mkdtempSync(join(tmpdir(), 'postern-infra-'))
let app: App
let templates: Record<keyof Stacks, Template>
let documents: [keyof Stacks, Record<string, Resource>][]

/** One synth for all tests; the built parts are stand-ins, since what is packed changes no template but for a hash. */
beforeAll(() => {
  for (const [path, text] of [
    ['api/index.mjs', 'export const handler = 0'],
    ['console/index.html', '<!doctype html>'],
  ] as const) {
    mkdirSync(join(directory, path, '..'), { recursive: true })
    writeFileSync(join(directory, path), text)
  }
  app = new App({ outdir: join(directory, 'cdk.out') })
  const stacks = buildPostern(app, {
    assets: { api: join(directory, 'api'), console: join(directory, 'console'), image: builtAssets.image },
  })
  const entries = Object.entries(stacks) as [keyof Stacks, Stacks[keyof Stacks]][]
  templates = Object.fromEntries(entries.map(([name, stack]) => [name, Template.fromStack(stack)])) as typeof templates
  documents = entries.map(([name]) => [name, templates[name].toJSON().Resources])
}, 120_000)

afterAll(() => rmSync(directory, { recursive: true, force: true }))

const ofType = (type: string) =>
  documents.flatMap(([stack, resources]) =>
    Object.entries(resources)
      .filter(([, resource]) => resource.Type === type)
      .map(([id, resource]) => ({ name: `${stack}/${id}`, ...resource })),
  )

const one = (type: string) => {
  const [resource] = ofType(type)
  if (!resource) throw new Error(`no ${type} in any template`)
  return resource
}

describe('the app', () => {
  test('has no cdk-nag finding that nobody explained', () => {
    const { violations } = new AwsSolutionsChecks().validateScope(app)
    expect(violations.map(({ ruleName, violatingResources }) => [ruleName, violatingResources])).toEqual([])
  })

  test('explains every accepted finding with a sentence', () => {
    const reasons = app.node
      .findAll()
      .flatMap(({ node }) => node.metadata.filter(({ type }) => type === Validations.ACKNOWLEDGED_RULES_METADATA_KEY))
      .flatMap(({ data }) => Object.entries(data as Record<string, string>))
      .filter(([id]) => id.includes('AwsSolutions'))
    expect(reasons.length).toBeGreaterThan(10)
    for (const [id, reason] of reasons) expect(reason.split(' ').length, `${id}: ${reason}`).toBeGreaterThanOrEqual(8)
  })

  test('names no account and no region', () => {
    expect(JSON.stringify(documents)).not.toMatch(/\b\d{12}\b|\b(eu|us|ap)-[a-z]+-\d\b/)
  })
})

describe('permissions', () => {
  type Statement = { Effect: string; Action: string | string[]; Resource?: unknown; Condition?: unknown }
  const statements = () =>
    [...ofType('AWS::IAM::Policy'), ...ofType('AWS::IAM::Role')].flatMap(({ name, Properties }) => {
      const inline = (Properties.Policies ?? [{ PolicyDocument: Properties.PolicyDocument }]) as {
        PolicyDocument?: { Statement: Statement[] }
      }[]
      return inline
        .flatMap(({ PolicyDocument }) => PolicyDocument?.Statement ?? [])
        .map((statement) => ({ name, ...statement }))
    })
  const list = <T>(value: T | T[]) => (Array.isArray(value) ? value : [value])

  test('no role has an action with a wildcard, and none a managed policy', () => {
    expect(statements().length).toBeGreaterThan(8)
    expect(statements().filter(({ Action }) => list(Action).some((action) => action.includes('*')))).toEqual([])
    expect(ofType('AWS::IAM::Role').filter(({ Properties }) => Properties.ManagedPolicyArns)).toEqual([])
  })

  test('the only action on every resource is the one that knows none', () => {
    const everywhere = statements().filter(({ Resource }) => list(Resource).includes('*'))
    expect(everywhere.map(({ Action }) => Action)).toEqual(['ecr:GetAuthorizationToken'])
  })

  test('queues are reached by their prefix only, and the API only sends', () => {
    const ofQueues = statements().filter(({ Action }) => list(Action).some((action) => action.startsWith('sqs:')))
    expect(ofQueues.map(({ name }) => name.split('/')[0])).toEqual(['api', 'workers'])
    for (const { Resource } of ofQueues) {
      expect(JSON.stringify(Resource)).toMatch(/"arn:".*":sqs:".*":postern-\*"/)
    }
    expect(ofQueues[0]?.Action).toBe('sqs:SendMessage')
    expect(ofQueues[1]?.Action).not.toContain('sqs:SendMessage')
  })

  test('workers read one secret, the function its five', () => {
    const readers = statements().filter(({ Action }) => list(Action).includes('secretsmanager:GetSecretValue'))
    expect(readers.map(({ name }) => name.split('/')[0])).toEqual(['api', 'api', 'api', 'api', 'api', 'workers'])
    expect(JSON.stringify(readers[5]?.Resource)).toContain('EnrolToken')
  })
})

describe('secrets', () => {
  test('are in no environment: the function gets names, the containers a reference', () => {
    const lambda = one('AWS::Lambda::Function')
    expect(lambda.Properties.Description).toBe('Postern API')
    const { Variables } = lambda.Properties.Environment as { Variables: Record<string, unknown> }
    for (const variable of Object.keys(Variables)) expect(variable).not.toMatch(/TOKEN|PASSWORD|KEY/)
    expect(JSON.stringify(Variables)).not.toContain('resolve:secretsmanager')
    expect(JSON.stringify(Variables.POSTERN_SECRETS)).toMatch(
      /POSTERN_DATABASE_AUTH_TOKEN.*ExportsOutputRefDatabaseToken/,
    )
    templates.workers.allResourcesProperties('AWS::ECS::TaskDefinition', {
      ContainerDefinitions: Match.arrayWith([
        Match.objectLike({
          Name: 'smtp',
          Secrets: [{ Name: 'POSTERN_ENROL_TOKEN', ValueFrom: Match.anyValue() }],
          Environment: Match.not(Match.arrayWith([Match.objectLike({ Name: 'POSTERN_ENROL_TOKEN' })])),
        }),
      ]),
    })
  })

  test('of the data key are 32 octets in base64', () => {
    templates.foundation.hasResourceProperties('AWS::SecretsManager::Secret', {
      GenerateSecretString: { PasswordLength: dataKeyLength, ExcludePunctuation: true },
    })
    for (const letter of ['A', 'z', '9']) expect(atob(letter.repeat(dataKeyLength))).toHaveLength(32)
  })

  test('are made by Secrets Manager and outlive the stack', () => {
    templates.foundation.resourceCountIs('AWS::SecretsManager::Secret', 5)
    templates.foundation.allResources('AWS::SecretsManager::Secret', {
      DeletionPolicy: 'Retain',
      Properties: { GenerateSecretString: Match.anyValue() },
    })
  })
})

describe('buckets', () => {
  test('are private and encrypted, speak TLS only and stay', () => {
    const buckets = ofType('AWS::S3::Bucket')
    expect(buckets.map(({ name }) => name.split('/')[0])).toEqual(['foundation', 'api', 'console'])
    for (const bucket of buckets) {
      expect(bucket.Properties).toMatchObject({
        PublicAccessBlockConfiguration: {
          BlockPublicAcls: true,
          BlockPublicPolicy: true,
          IgnorePublicAcls: true,
          RestrictPublicBuckets: true,
        },
        BucketEncryption: expect.anything(),
      })
      expect(bucket).toMatchObject({ DeletionPolicy: 'Retain' })
    }
    const policies = ofType('AWS::S3::BucketPolicy').map(({ Properties }) => JSON.stringify(Properties))
    expect(policies).toHaveLength(3)
    for (const policy of policies) expect(policy).toContain('"aws:SecureTransport":"false"')
  })

  test('old log records can be taken back and get cheaper', () => {
    templates.api.hasResourceProperties('AWS::S3::Bucket', {
      VersioningConfiguration: { Status: 'Enabled' },
      LifecycleConfiguration: { Rules: [Match.objectLike({ NoncurrentVersionExpiration: { NoncurrentDays: 30 } })] },
    })
  })
})

describe('the function', () => {
  test('runs on Node 24 for the architecture of its native packages', () => {
    templates.api.hasResourceProperties('AWS::Lambda::Function', {
      Runtime: 'nodejs24.x',
      Architectures: ['x86_64'],
      Handler: 'index.handler',
    })
  })

  test('is asked for the API’s paths and nothing else', () => {
    const routes = ofType('AWS::ApiGatewayV2::Route').map(({ Properties }) => Properties.RouteKey)
    expect(routes.sort()).toEqual([
      'ANY /v1/{proxy+}',
      'GET /.well-known/{proxy+}',
      'GET /docs',
      'GET /docs/{proxy+}',
      'GET /healthz',
      'GET /openapi.json',
    ])
    templates.api.hasResourceProperties('AWS::ApiGatewayV2::Stage', {
      DefaultRouteSettings: Match.objectLike({ ThrottlingRateLimit: Match.anyValue() }),
      AccessLogSettings: { Format: Match.not(Match.stringLikeRegexp('querystring|header|authorizer')) },
    })
  })

  test('sweeps every minute and cleans up every day', () => {
    templates.api.hasResourceProperties('AWS::Scheduler::Schedule', {
      ScheduleExpression: 'rate(1 minute)',
      Target: Match.objectLike({ Input: '{"schedule":"sweep"}' }),
    })
    templates.api.hasResourceProperties('AWS::Scheduler::Schedule', {
      ScheduleExpression: 'cron(17 3 * * ? *)',
      Target: Match.objectLike({ Input: '{"schedule":"retention"}' }),
    })
  })
})

describe('the console', () => {
  test('comes with a strict policy and the other security headers', () => {
    expect(contentSecurityPolicy).not.toMatch(/unsafe|\*|https?:/)
    expect(contentSecurityPolicy).toMatch(/^default-src 'none'; script-src 'self'; style-src 'self';/)
    templates.console.hasResourceProperties('AWS::CloudFront::ResponseHeadersPolicy', {
      ResponseHeadersPolicyConfig: Match.objectLike({
        SecurityHeadersConfig: {
          ContentSecurityPolicy: { ContentSecurityPolicy: contentSecurityPolicy, Override: true },
          ContentTypeOptions: { Override: true },
          FrameOptions: { FrameOption: 'DENY', Override: true },
          ReferrerPolicy: { ReferrerPolicy: 'no-referrer', Override: true },
          StrictTransportSecurity: { AccessControlMaxAgeSec: 31_536_000, IncludeSubdomains: true, Override: true },
        },
      }),
    })
  })

  test('is read by the CDN alone, through origin access control', () => {
    templates.console.hasResourceProperties('AWS::S3::BucketPolicy', {
      PolicyDocument: Match.objectLike({
        Statement: Match.arrayWith([
          Match.objectLike({
            Effect: 'Allow',
            Action: 's3:GetObject',
            Principal: { Service: 'cloudfront.amazonaws.com' },
            Condition: { StringEquals: { 'AWS:SourceArn': Match.anyValue() } },
          }),
        ]),
      }),
    })
    templates.console.hasResourceProperties('AWS::CloudFront::OriginAccessControl', {
      OriginAccessControlConfig: Match.objectLike({ SigningBehavior: 'always' }),
    })
  })

  test('shares its name with the API, which is never cached', () => {
    const cdn = one('AWS::CloudFront::Distribution')
    const config = cdn.Properties.DistributionConfig as {
      CacheBehaviors: Record<string, unknown>[]
      Origins: unknown[]
    }
    const paths = config.CacheBehaviors.map(({ PathPattern }) => PathPattern)
    expect(paths).toEqual(['/v1/*', '/.well-known/*', '/openapi.json', '/docs', '/docs/*', '/healthz'])
    for (const behavior of config.CacheBehaviors) {
      expect(behavior).toMatchObject({
        // AWS's own policies: no caching; all of the visitor's headers but Host.
        CachePolicyId: '4135ea2d-6df8-44a3-9df3-4b5a84be39ad',
        OriginRequestPolicyId: 'b689b0a8-53d0-40ab-baf2-68738e2966ac',
        ViewerProtocolPolicy: 'https-only',
        FunctionAssociations: [{ EventType: 'viewer-request' }],
      })
    }
    expect(JSON.stringify(config.Origins)).toContain('{{resolve:secretsmanager:')
  })
})

describe('the workers', () => {
  test('are one task that is away before the next one starts', () => {
    templates.workers.resourceCountIs('AWS::ECS::Service', 1)
    templates.workers.hasResourceProperties('AWS::ECS::Service', {
      DesiredCount: 1,
      DeploymentConfiguration: Match.objectLike({ MinimumHealthyPercent: 0, MaximumPercent: 100 }),
      AvailabilityZoneRebalancing: 'DISABLED',
      EnableExecuteCommand: false,
      NetworkConfiguration: { AwsvpcConfiguration: Match.objectLike({ AssignPublicIp: 'DISABLED' }) },
    })
    expect(templates.workers.toJSON().Description).toContain('S3 and SQS')
    templates.workers.hasOutput('Spool', { Value: Match.stringLikeRegexp('One worker on purpose') })
  })

  test('are two hardened containers that share the volume', () => {
    const task = one('AWS::ECS::TaskDefinition')
    const containers = task.Properties.ContainerDefinitions as Record<string, unknown>[]
    expect(containers.map(({ Name, Command }) => [Name, Command])).toEqual([
      ['smtp', ['workers/smtp/main.ts']],
      ['queue', ['workers/queue/main.ts']],
    ])
    for (const container of containers) {
      expect(container).toMatchObject({
        User: '1000',
        ReadonlyRootFilesystem: true,
        LinuxParameters: { InitProcessEnabled: true, Capabilities: { Drop: ['ALL'] } },
        MountPoints: [{ ContainerPath: '/data', SourceVolume: 'data', ReadOnly: false }],
        HealthCheck: expect.anything(),
        LogConfiguration: { LogDriver: 'awslogs' },
      })
      expect(container.Privileged).toBeUndefined()
      expect(container.StopTimeout).toBeGreaterThan(drainTimeoutSeconds)
      expect(container.StopTimeout).toBeLessThanOrEqual(120)
    }
    templates.workers.hasResourceProperties('AWS::ECS::TaskDefinition', {
      RuntimePlatform: { CpuArchitecture: 'X86_64', OperatingSystemFamily: 'LINUX' },
      Volumes: [
        Match.objectLike({
          EFSVolumeConfiguration: Match.objectLike({
            TransitEncryption: 'ENABLED',
            AuthorizationConfig: Match.objectLike({ IAM: 'ENABLED' }),
          }),
        }),
      ],
    })
  })

  test('keep the spool on an encrypted volume that lets nobody else in', () => {
    templates.workers.hasResource('AWS::EFS::FileSystem', {
      DeletionPolicy: 'Retain',
      Properties: Match.objectLike({ Encrypted: true, BackupPolicy: { Status: 'ENABLED' } }),
    })
    const files = one('AWS::EFS::FileSystem')
    const { Statement } = files.Properties.FileSystemPolicy as { Statement: { Effect: string; Sid: string }[] }
    expect(Statement.map(({ Effect, Sid }) => [Effect, Sid])).toEqual([
      ['Deny', 'TlsOnly'],
      ['Deny', 'AccessPointOnly'],
    ])
    templates.workers.hasResourceProperties('AWS::EFS::AccessPoint', { PosixUser: { Uid: '1000', Gid: '1000' } })
  })

  test('stand behind the balancer with PROXY v2 on every mail port', () => {
    const listeners = ofType('AWS::ElasticLoadBalancingV2::Listener').map(({ Properties }) => [
      Properties.Port,
      Properties.Protocol,
    ])
    expect(listeners).toEqual([
      [25, 'TCP'],
      [465, 'TCP'],
      [587, 'TCP'],
    ])
    templates.workers.resourceCountIs('AWS::ElasticLoadBalancingV2::TargetGroup', 3)
    templates.workers.allResourcesProperties('AWS::ElasticLoadBalancingV2::TargetGroup', {
      HealthCheckProtocol: 'HTTP',
      HealthCheckPath: '/healthz',
      TargetGroupAttributes: Match.arrayWith([
        { Key: 'deregistration_delay.timeout_seconds', Value: `${drainTimeoutSeconds}` },
        { Key: 'proxy_protocol_v2.enabled', Value: 'true' },
        { Key: 'preserve_client_ip.enabled', Value: 'false' },
      ]),
    })
    templates.workers.hasResourceProperties('AWS::ElasticLoadBalancingV2::LoadBalancer', {
      Type: 'network',
      LoadBalancerAttributes: Match.arrayWith([{ Key: 'load_balancing.cross_zone.enabled', Value: 'true' }]),
    })
  })

  test('believe the PROXY header of the balancer’s subnets only, and are reached from there only', () => {
    const subnets = ofType('AWS::EC2::Subnet')
      .filter(({ name }) => name.includes('balancer'))
      .map(({ Properties }) => Properties.CidrBlock)
    expect(subnets).toHaveLength(2)
    const task = one('AWS::ECS::TaskDefinition')
    const [smtp] = task.Properties.ContainerDefinitions as { Environment: { Name: string; Value: unknown }[] }[]
    expect(smtp?.Environment.find(({ Name }) => Name === 'POSTERN_PROXY_PROTOCOL')?.Value).toBe(subnets.join(','))
    const open = ofType('AWS::EC2::SecurityGroup').filter(({ Properties }) =>
      JSON.stringify(Properties.SecurityGroupIngress ?? '').includes('0.0.0.0/0'),
    )
    expect(open.map(({ name }) => name.replace(/[0-9A-F]{8}$/, ''))).toEqual(['workers/BalancerNetwork'])
  })
})

describe('alarms', () => {
  test('watch what must not go unnoticed, and tell the topic', () => {
    const names = Object.keys(templates.watch.findResources('AWS::CloudWatch::Alarm')).map((id) =>
      id.replace(/[0-9A-F]{8}$/, ''),
    )
    expect(names.sort()).toEqual([
      'ApiFunctionErrors',
      'ApiServerErrors',
      'ApiThrottled',
      'NoHealthyReceiver',
      'NoWorker',
      'NudgesWaitqueue1',
      'NudgesWaitsmtp1',
      'OldestMail',
      'SchedulesFail',
      'SettingsLag',
      'WorkerMemory',
    ])
    templates.watch.allResourcesProperties('AWS::CloudWatch::Alarm', {
      AlarmDescription: Match.anyValue(),
      AlarmActions: [Match.anyValue()],
      OKActions: [Match.anyValue()],
    })
  })

  test('silence is an alarm where it is itself the fault', () => {
    const silent = Object.entries(
      templates.watch.findResources('AWS::CloudWatch::Alarm', { Properties: { TreatMissingData: 'breaching' } }),
    )
    expect(silent.map(([id]) => id.replace(/[0-9A-F]{8}$/, '')).sort()).toEqual([
      'NoHealthyReceiver',
      'NoWorker',
      'SettingsLag',
    ])
  })

  test('may reach the topic although its policy refuses plain text', () => {
    templates.foundation.hasResourceProperties('AWS::SNS::TopicPolicy', {
      PolicyDocument: Match.objectLike({
        Statement: Match.arrayWith([
          Match.objectLike({
            Effect: 'Allow',
            Action: 'sns:Publish',
            Principal: { Service: 'cloudwatch.amazonaws.com' },
          }),
        ]),
      }),
    })
  })

  test('every log group ends', () => {
    const groups = ofType('AWS::Logs::LogGroup')
    expect(groups).toHaveLength(5)
    for (const { name, Properties } of groups) expect(Properties.RetentionInDays, name).toBeGreaterThan(0)
  })
})
