import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Match } from 'aws-cdk-lib/assertions'
import { afterAll, describe, expect, test } from 'vitest'
import { drainTimeoutSeconds } from './limits.ts'
import { synthesise } from './synthesised.ts'

const { app, templates, ofType, one, remove } = synthesise()
afterAll(remove)

describe('the workers', () => {
  test('are one task, which stops before the next one starts', () => {
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

  test('are built from a context with only their sources', () => {
    const { dockerImages } = JSON.parse(readFileSync(join(app.outdir, 'postern-workers.assets.json'), 'utf8'))
    const [image] = Object.values(dockerImages) as { source: { directory: string; dockerFile: string } }[]
    expect(image?.source.dockerFile).toBe('infra/Dockerfile')
    const files = readdirSync(join(app.outdir, image!.source.directory), { recursive: true }).map(String)
    expect(files).toEqual(
      expect.arrayContaining(['infra/Dockerfile', 'package-lock.json', 'workers/queue/package.json']),
    )
    expect(files).toContain('db/contract/settings.ts')
    const strange = files.filter((file) =>
      /node_modules|\.test\.ts|^apps|^test|^infra\/(?!Dockerfile)|(^|\/)\.(git|env)/.test(file),
    )
    expect(strange).toEqual([])
  })

  test('keep the spool on an encrypted volume that nothing else can mount', () => {
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

  test.each([
    ['POSTERN_DNS_SERVERS', 'DnsServers', ['', '10.20.0.2', '192.0.2.53:53,[2001:db8::53]:53'], ['dns.test']],
    ['POSTERN_DNS_VALIDATES', 'DnsValidates', ['', 'yes', 'no'], ['true']],
    ['POSTERN_CA_FILE', 'CaFile', ['', '/data/authorities.pem'], ['/etc/passwd', 'ca.pem']],
    ['POSTERN_HOOKS_MAY_REACH', 'HooksMayReach', ['', '10.20.0.0/16, fd00::/8'], ['everything']],
    ['POSTERN_SYSLOG', 'Syslog', ['', 'log.example.org:514', '10.20.4.7:514'], ['/dev/log', 'log.example.org']],
  ])('have %s in both containers, from the parameter %s', (variable, id, good, bad) => {
    const containers = one('AWS::ECS::TaskDefinition').Properties.ContainerDefinitions as {
      Environment: { Name: string; Value: unknown }[]
    }[]
    for (const { Environment } of containers)
      expect(Environment.find(({ Name }) => Name === variable)?.Value).toEqual({ Ref: id })
    const { Default, AllowedPattern, AllowedValues } = templates.workers.toJSON().Parameters[id]
    expect(Default).toBe('')
    const takes = (text: string) => AllowedValues?.includes(text) ?? new RegExp(AllowedPattern).test(text)
    expect(good.map(takes)).toEqual(good.map(() => true))
    expect(bad.map(takes)).toEqual(bad.map(() => false))
  })

  test('are behind the balancer, with PROXY v2 on every mail port', () => {
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

  test('trust PROXY headers only from the balancer’s subnets, and can be reached only from there', () => {
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
