import { Validations } from 'aws-cdk-lib'
import { Match } from 'aws-cdk-lib/assertions'
import { AwsSolutionsChecks } from 'cdk-nag'
import { afterAll, describe, expect, test } from 'vitest'
import { contentSecurityPolicy } from './console.ts'
import { cachedErrors, cdnPatterns, gatewayRoutes } from './doors.ts'
import { dataKeyLength } from './foundation.ts'
import { synthesise } from './synthesised.ts'

const { app, templates, ofType, one, remove } = synthesise()
afterAll(remove)

describe('the app', () => {
  test('has no unexplained cdk-nag finding', () => {
    const { violations } = new AwsSolutionsChecks().validateScope(app)
    expect(violations.map(({ ruleName, violatingResources }) => [ruleName, violatingResources])).toEqual([])
  })

  test('explains every accepted finding in a sentence', () => {
    const reasons = app.node
      .findAll()
      .flatMap(({ node }) => node.metadata.filter(({ type }) => type === Validations.ACKNOWLEDGED_RULES_METADATA_KEY))
      .flatMap(({ data }) => Object.entries(data as Record<string, string>))
      .filter(([id]) => id.includes('AwsSolutions'))
    expect(reasons.length).toBeGreaterThan(10)
    for (const [id, reason] of reasons) expect(reason.split(' ').length, `${id}: ${reason}`).toBeGreaterThanOrEqual(8)
  })

  test('names no account and no region', () => {
    expect(JSON.stringify(Object.values(templates).map((template) => template.toJSON()))).not.toMatch(
      /\b\d{12}\b|\b(eu|us|ap)-[a-z]+-\d\b/,
    )
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

  test('the only action on all resources is the one that does not support resources', () => {
    const everywhere = statements().filter(({ Resource }) => list(Resource).includes('*'))
    expect(everywhere.map(({ Action }) => Action)).toEqual(['ecr:GetAuthorizationToken'])
  })

  test('queues are limited to their prefix, and the API can only send', () => {
    const ofQueues = statements().filter(({ Action }) => list(Action).some((action) => action.startsWith('sqs:')))
    expect(ofQueues.map(({ name }) => name.split('/')[0])).toEqual(['api', 'workers'])
    for (const { Resource } of ofQueues) {
      expect(JSON.stringify(Resource)).toMatch(/"arn:".*":sqs:".*":postern-\*"/)
    }
    expect(ofQueues[0]?.Action).toBe('sqs:SendMessage')
    expect(ofQueues[1]?.Action).not.toContain('sqs:SendMessage')
  })

  test('workers read the two enrolment tokens, the function its six secrets', () => {
    const readers = statements().filter(({ Action }) => list(Action).includes('secretsmanager:GetSecretValue'))
    expect(readers.map(({ name }) => name.split('/')[0])).toEqual([
      'api',
      'api',
      'api',
      'api',
      'api',
      'api',
      'workers',
      'workers',
    ])
    for (const reader of readers.slice(6)) expect(JSON.stringify(reader.Resource)).toContain('EnrolToken')
  })
})

describe('secrets', () => {
  test('are in no environment: the function gets names, the containers a reference', () => {
    const [lambda] = ofType('AWS::Lambda::Function').filter(({ Properties }) => Properties.Handler === 'index.handler')
    if (!lambda) throw new Error('the API has no function')
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

  test('each container gets only the enrolment token of its own service', () => {
    const task = one('AWS::ECS::TaskDefinition')
    const containers = task.Properties.ContainerDefinitions as { Name: string; Secrets?: { ValueFrom: unknown }[] }[]
    const handed = containers.map(({ Name, Secrets = [] }) => [
      Name,
      [...JSON.stringify(Secrets).matchAll(/(Smtp|Queue)EnrolToken/g)].map(([token]) => token),
    ])
    expect(Object.fromEntries(handed)).toMatchObject({ smtp: ['SmtpEnrolToken'], queue: ['QueueEnrolToken'] })
  })

  test('of the data key are 32 bytes in base64', () => {
    templates.foundation.hasResourceProperties('AWS::SecretsManager::Secret', {
      GenerateSecretString: { PasswordLength: dataKeyLength, ExcludePunctuation: true },
    })
    for (const letter of ['A', 'z', '9']) expect(atob(letter.repeat(dataKeyLength))).toHaveLength(32)
  })

  test('are made by Secrets Manager and outlive the stack', () => {
    templates.foundation.resourceCountIs('AWS::SecretsManager::Secret', 6)
    templates.foundation.allResources('AWS::SecretsManager::Secret', {
      DeletionPolicy: 'Retain',
      Properties: { GenerateSecretString: Match.anyValue() },
    })
  })
})

describe('buckets', () => {
  test('are private, encrypted, TLS only, and kept', () => {
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
})

describe('the function', () => {
  test('runs on Node 24 for the architecture of its native packages', () => {
    templates.api.hasResourceProperties('AWS::Lambda::Function', {
      Runtime: 'nodejs24.x',
      Architectures: ['x86_64'],
      Handler: 'index.handler',
    })
  })

  test('gets only requests for the API’s paths, each with a limit of its own', () => {
    const routes = ofType('AWS::ApiGatewayV2::Route').map(({ Properties }) => Properties.RouteKey)
    expect(routes.sort()).toEqual(gatewayRoutes.map(({ path }) => `ANY ${path}`).sort())
    const stage = one('AWS::ApiGatewayV2::Stage')
    const settings = stage.Properties.RouteSettings as Record<string, { ThrottlingRateLimit: number }>
    expect(Object.keys(settings).sort()).toEqual(routes)
    for (const { path, throttle } of gatewayRoutes)
      expect(settings[`ANY ${path}`]).toMatchObject({
        ThrottlingRateLimit: throttle.rateLimit,
        ThrottlingBurstLimit: throttle.burstLimit,
      })
    templates.api.hasResourceProperties('AWS::ApiGatewayV2::Stage', {
      AccessLogSettings: { Format: Match.not(Match.stringLikeRegexp('querystring|header|authorizer')) },
    })
    // A stage cannot name a route that does not exist yet.
    const stages = Object.values(templates.api.findResources('AWS::ApiGatewayV2::Stage')) as { DependsOn: string[] }[]
    for (const id of Object.keys(templates.api.findResources('AWS::ApiGatewayV2::Route')))
      expect(stages[0]?.DependsOn).toContain(id)
  })

  test('gets a release only after its migrations have run', () => {
    const [step] = Object.entries(templates.api.findResources('AWS::CloudFormation::CustomResource'))
    const functions = templates.api.findResources('AWS::Lambda::Function') as Record<
      string,
      { Properties: { Handler: string; Code: unknown }; DependsOn: string[] }
    >
    const byHandler = Object.fromEntries(
      Object.entries(functions).map(([id, { Properties, DependsOn }]) => [
        Properties.Handler,
        { id, Properties, DependsOn },
      ]),
    )
    const [api, migrate] = [byHandler['index.handler'], byHandler['index.migrate']]
    expect(api?.DependsOn).toContain(step?.[0])
    expect(migrate?.Properties.Code).toEqual(api?.Properties.Code)
    expect(step?.[1].Properties).toMatchObject({
      ServiceToken: { 'Fn::GetAtt': [migrate?.id, 'Arn'] },
      Release: expect.stringMatching(/^[0-9a-f]{32,}$/),
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
  test('has a strict policy and the other security headers', () => {
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

  test('can be read only by the CDN, through origin access control', () => {
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
    expect(paths).toEqual(cdnPatterns)
    for (const behavior of config.CacheBehaviors) {
      expect(behavior).toMatchObject({
        // AWS's managed policies: no caching, and all of the visitor's headers except Host.
        CachePolicyId: '4135ea2d-6df8-44a3-9df3-4b5a84be39ad',
        OriginRequestPolicyId: 'b689b0a8-53d0-40ab-baf2-68738e2966ac',
        ViewerProtocolPolicy: 'https-only',
        FunctionAssociations: [{ EventType: 'viewer-request' }],
      })
    }
    expect(JSON.stringify(config.Origins)).toContain('{{resolve:secretsmanager:')
  })
})

describe('the CDN', () => {
  const config = () => one('AWS::CloudFront::Distribution').Properties.DistributionConfig as Record<string, unknown>

  test('forwards exactly what the gateway routes, and keeps no error', () => {
    const routed = gatewayRoutes.map(({ path }) => path.replace('{proxy+}', '*'))
    for (const pattern of cdnPatterns) expect(routed).toContain(pattern)
    for (const path of routed) {
      const isForwarded = cdnPatterns.some((pattern) => path.startsWith(pattern.replace('*', '')))
      expect([path, isForwarded]).toEqual([path, true])
    }
    expect(config().CustomErrorResponses).toEqual(
      cachedErrors.map((ErrorCode) => ({ ErrorCode, ErrorCachingMinTTL: 0 })),
    )
  })

  test('has a firewall that limits how often one address signs in, however it writes the path', () => {
    expect(config().WebACLId).toEqual({ Ref: 'WebAclArn' })
    templates.firewall.hasResourceProperties('AWS::WAFv2::WebACL', {
      Scope: 'CLOUDFRONT',
      Rules: [
        {
          Name: 'SignIn',
          Action: { Block: { CustomResponse: Match.objectLike({ ResponseCode: 429 }) } },
          Statement: {
            RateBasedStatement: {
              Limit: 100,
              AggregateKeyType: 'IP',
              EvaluationWindowSec: 300,
              ScopeDownStatement: {
                ByteMatchStatement: {
                  SearchString: '/v1/auth/',
                  PositionalConstraint: 'STARTS_WITH',
                  FieldToMatch: { UriPath: {} },
                  TextTransformations: [
                    { Priority: 0, Type: 'URL_DECODE' },
                    { Priority: 1, Type: 'NORMALIZE_PATH' },
                  ],
                },
              },
            },
          },
        },
        { Name: 'All', Statement: { RateBasedStatement: { AggregateKeyType: 'IP' } } },
      ].map((rule) => Match.objectLike(rule)),
    })
  })

  test('gets a new token when its version is given', () => {
    const parameter = { Ref: 'EdgeTokenVersion' }
    expect(JSON.stringify(config().Origins)).toMatch(new RegExp(`:SecretString:::",${JSON.stringify(parameter)},"}}`))
  })
})

describe('alarms', () => {
  test('cover every important failure, and notify the topic', () => {
    const names = Object.keys(templates.watch.findResources('AWS::CloudWatch::Alarm')).map((id) =>
      id.replace(/[0-9A-F]{8}$/, ''),
    )
    expect(names.sort()).toEqual([
      'ApiFunctionErrors',
      'ApiServerErrors',
      'ApiThrottled',
      'NoHealthyReceiver',
      'NoWorker',
      'NotificationsWaitqueue1',
      'NotificationsWaitsmtp1',
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

  test('missing data is an alarm if it is itself a fault', () => {
    const silent = Object.entries(
      templates.watch.findResources('AWS::CloudWatch::Alarm', { Properties: { TreatMissingData: 'breaching' } }),
    )
    expect(silent.map(([id]) => id.replace(/[0-9A-F]{8}$/, '')).sort()).toEqual([
      'NoHealthyReceiver',
      'NoWorker',
      'SettingsLag',
    ])
  })

  test('can publish to the topic although its policy refuses plain text', () => {
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

  test('every log group has a retention period', () => {
    const groups = ofType('AWS::Logs::LogGroup')
    expect(groups).toHaveLength(5)
    for (const { name, Properties } of groups) expect(Properties.RetentionInDays, name).toBeGreaterThan(0)
  })
})
