import { CfnOutput, Duration, IgnoreMode, RemovalPolicy, Stack, type StackProps } from 'aws-cdk-lib'
import type { HttpApi } from 'aws-cdk-lib/aws-apigatewayv2'
import { SecurityGroup, type Vpc } from 'aws-cdk-lib/aws-ec2'
import { Platform } from 'aws-cdk-lib/aws-ecr-assets'
import {
  AvailabilityZoneRebalancing,
  Capability,
  Cluster,
  type ContainerDefinition,
  ContainerImage,
  ContainerInsights,
  CpuArchitecture,
  FargatePlatformVersion,
  FargateService,
  FargateTaskDefinition,
  Secret as InjectedSecret,
  LinuxParameters,
  LogDrivers,
  OperatingSystemFamily,
} from 'aws-cdk-lib/aws-ecs'
import { type AccessPoint, FileSystem, PerformanceMode, ThroughputMode } from 'aws-cdk-lib/aws-efs'
import type { NetworkLoadBalancer, NetworkTargetGroup } from 'aws-cdk-lib/aws-elasticloadbalancingv2'
import { AnyPrincipal, Effect, PolicyDocument, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam'
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs'
import type { Construct } from 'constructs'
import { acceptFindings, wildcard } from './accepted-findings.ts'
import { balancer, listen } from './balancer.ts'
import type { FoundationStack } from './foundation.ts'
import { nodeUser, queues, stopTimeoutSeconds, workerNames, workerPorts } from './limits.ts'
import { workerEnvironment } from './worker-environment.ts'

export type WorkersStackProps = StackProps & { foundation: FoundationStack; api: HttpApi; imageContext: string }

const spoolNotice =
  'One worker on purpose: the spool is on one EFS volume with one writer for each file. The spool in S3 and SQS, with which any number of workers share the mail, is a later release; do not raise the desired count'

/**
 * The receiver and the Queue Manager, as two containers of one task. They share the spool: the Queue Manager reads what
 * the receiver appends. Tasks on two hosts would see each other's writes only under NFS close-to-open consistency. One
 * task mounts the volume once, so both containers share a page cache and are placed, stopped and replaced together.
 * fdatasync on EFS returns once the bytes are stored in several zones. A message accepted with 250 therefore survives
 * the loss of the host and its zone.
 */
export class WorkersStack extends Stack {
  readonly cluster: Cluster
  readonly service: FargateService
  readonly targets: NetworkTargetGroup[]

  constructor(scope: Construct, id: string, { foundation, api, imageContext, ...props }: WorkersStackProps) {
    super(scope, id, {
      ...props,
      description: `Postern: SMTP service and Queue Manager on Fargate. ${spoolNotice}`,
      terminationProtection: true,
    })
    const { vpc } = foundation
    const network = new SecurityGroup(this, 'WorkerNetwork', {
      vpc,
      description: 'Postern workers: inbound mail from the balancer, all outbound traffic',
      // Mail goes to any address, and a route may name any port.
      allowAllOutbound: true,
    })
    this.cluster = new Cluster(this, 'Cluster', { vpc, containerInsightsV2: ContainerInsights.ENABLED })
    const volume = spoolVolume(this, vpc, network)
    const task = taskDefinition(this, volume)
    addContainers(this, { task, foundation, api, imageContext })
    this.service = service(this, { cluster: this.cluster, task, network })
    this.service.node.addDependency(volume.files.mountTargetsAvailable)
    const front = balancer(this, vpc, network)
    this.targets = listen(this, front, this.service)
    outputs(this, front, vpc)
  }
}

type Volume = { files: FileSystem; door: AccessPoint }

/**
 * Makes the volume for everything that must outlive a task: the spool, the queue index, unsent events, and mail of
 * maildir routes.
 */
function spoolVolume(stack: Stack, vpc: Vpc, worker: SecurityGroup): Volume {
  const securityGroup = new SecurityGroup(stack, 'VolumeNetwork', {
    vpc,
    description: 'Postern spool: NFS from the workers only',
    allowAllOutbound: false,
  })
  const files = new FileSystem(stack, 'Volume', {
    vpc,
    securityGroup,
    encrypted: true,
    performanceMode: PerformanceMode.GENERAL_PURPOSE,
    // Mail comes in bursts, and burst credits would run out at peak load.
    throughputMode: ThroughputMode.ELASTIC,
    enableAutomaticBackups: true,
    fileSystemPolicy: closedVolume(),
    removalPolicy: RemovalPolicy.RETAIN,
  })
  files.connections.allowDefaultPortFrom(worker, 'NFS from the workers')
  const door = files.addAccessPoint('Data', {
    path: '/postern',
    posixUser: { uid: nodeUser, gid: nodeUser },
    createAcl: { ownerUid: nodeUser, ownerGid: nodeUser, permissions: '700' },
  })
  return { files, door }
}

/**
 * Grants nothing, so only the role that names the access point gets in. Refuses even that role without TLS or without
 * the access point. Without a policy, or with the library's default one, every host in the network could mount the
 * root.
 */
function closedVolume(): PolicyDocument {
  const refuse = (sid: string, conditions: Record<string, Record<string, string>>) =>
    new PolicyStatement({
      sid,
      effect: Effect.DENY,
      principals: [new AnyPrincipal()],
      actions: ['elasticfilesystem:ClientMount', 'elasticfilesystem:ClientWrite', 'elasticfilesystem:ClientRootAccess'],
      conditions,
    })
  return new PolicyDocument({
    statements: [
      refuse('TlsOnly', { Bool: { 'aws:SecureTransport': 'false' } }),
      refuse('AccessPointOnly', { Null: { 'elasticfilesystem:AccessPointArn': 'true' } }),
    ],
  })
}

function taskDefinition(stack: Stack, { files, door }: Volume): FargateTaskDefinition {
  const assumedBy = new ServicePrincipal('ecs-tasks.amazonaws.com')
  const taskRole = new Role(stack, 'WorkerRole', { assumedBy, description: 'Permissions of the workers' })
  const executionRole = new Role(stack, 'StarterRole', {
    assumedBy,
    description: 'Pulls the image, reads the secret and writes the logs',
  })
  grantOwnQueue(stack, taskRole)
  taskRole.addToPolicy(
    new PolicyStatement({
      sid: 'Spool',
      actions: ['elasticfilesystem:ClientMount', 'elasticfilesystem:ClientWrite'],
      resources: [files.fileSystemArn],
      conditions: { StringEquals: { 'elasticfilesystem:AccessPointArn': door.accessPointArn } },
    }),
  )
  const task = new FargateTaskDefinition(stack, 'Task', {
    cpu: 2048,
    memoryLimitMiB: 4096,
    taskRole,
    executionRole,
    // CI runs the workers and their native packages on this architecture.
    runtimePlatform: { cpuArchitecture: CpuArchitecture.X86_64, operatingSystemFamily: OperatingSystemFamily.LINUX },
    volumes: [
      {
        name: 'data',
        efsVolumeConfiguration: {
          fileSystemId: files.fileSystemId,
          transitEncryption: 'ENABLED',
          authorizationConfig: { accessPointId: door.accessPointId, iam: 'ENABLED' },
        },
      },
    ],
  })
  acceptFindings(task, {
    'AwsSolutions-ECS2':
      'The environment only holds addresses, ports and names. The only secret of each worker, its enrolment token, comes from Secrets Manager',
  })
  acceptFindings(executionRole, {
    [wildcard(stack, '*')]:
      'ecr:GetAuthorizationToken does not support resources. Pulling is limited to one repository',
  })
  return task
}

/**
 * Lets each worker make its own queue at start and remove it at stop. It needs no dead-letter queue: a message only
 * announces a new revision number, and every worker also polls every 15 s.
 */
function grantOwnQueue(stack: Stack, role: Role): void {
  role.addToPolicy(
    new PolicyStatement({
      sid: 'OwnQueue',
      actions: ['sqs:CreateQueue', 'sqs:ReceiveMessage', 'sqs:DeleteMessage', 'sqs:DeleteQueue'],
      resources: [queues(stack)],
    }),
  )
  acceptFindings(role, {
    [wildcard(stack, queues(stack))]:
      'Each worker gives its queue its own name. A later spool allows any number of workers',
  })
}

type Containers = { task: FargateTaskDefinition; foundation: FoundationStack; api: HttpApi; imageContext: string }

function addContainers(stack: Stack, { task, foundation, api, imageContext }: Containers): void {
  const image = ContainerImage.fromAsset(imageContext, {
    file: 'infra/Dockerfile',
    platform: Platform.LINUX_AMD64,
    ignoreMode: IgnoreMode.DOCKER,
  })
  const logs = new LogGroup(stack, 'WorkerLogs', {
    retention: RetentionDays.THREE_MONTHS,
    removalPolicy: RemovalPolicy.RETAIN,
  })
  const shared = {
    POSTERN_DATA_DIR: '/data',
    AWS_REGION: stack.region,
    POSTERN_API_URL: api.apiEndpoint,
    POSTERN_SQS_ENDPOINT: `https://sqs.${stack.region}.${stack.urlSuffix}`,
    ...workerEnvironment(stack),
  }
  const container = (name: 'smtp' | 'queue', healthPort: number, environment: Record<string, string>) =>
    task.addContainer(name, {
      image,
      command: [`workers/${name}/main.ts`],
      environment: {
        ...shared,
        POSTERN_WORKER_NAME: workerNames[name],
        POSTERN_HEALTH_PORT: `${healthPort}`,
        ...environment,
      },
      secrets: { POSTERN_ENROL_TOKEN: InjectedSecret.fromSecretsManager(foundation.secrets.enrolTokens[name]) },
      healthCheck,
      stopTimeout: Duration.seconds(stopTimeoutSeconds),
      // A container that exits is restarted in place, so the other one keeps running with its sessions.
      enableRestartPolicy: true,
      essential: true,
      user: nodeUser,
      readonlyRootFilesystem: true,
      linuxParameters: hardened(stack, name),
      logging: LogDrivers.awsLogs({ streamPrefix: name, logGroup: logs }),
    })
  const receiver = container('smtp', workerPorts.smtpHealth, {
    POSTERN_BIND: '0.0.0.0',
    POSTERN_SMTP_PORT: `${workerPorts.smtp}`,
    POSTERN_SUBMISSION_PORT: `${workerPorts.submission}`,
    POSTERN_SMTPS_PORT: `${workerPorts.smtps}`,
    // PROXY headers are trusted only from the balancer's addresses.
    POSTERN_PROXY_PROTOCOL: foundation.balancers,
  })
  for (const containerPort of [workerPorts.smtp, workerPorts.smtps, workerPorts.submission, workerPorts.smtpHealth]) {
    receiver.addPortMappings({ containerPort })
  }
  for (const one of [receiver, container('queue', workerPorts.queueHealth, {})]) mountData(one)
}

const mountData = (container: ContainerDefinition) =>
  container.addMountPoints({ sourceVolume: 'data', containerPath: '/data', readOnly: false })

/** Requests the worker's own health port. The Dockerfile has the same HEALTHCHECK, but ECS does not read it. */
export const healthCommand = [
  'CMD',
  'node',
  '-e',
  "fetch('http://127.0.0.1:'+process.env.POSTERN_HEALTH_PORT+'/healthz').then(r=>process.exit(r.ok?0:1),()=>process.exit(1))",
]

const healthCheck = {
  command: healthCommand,
  interval: Duration.seconds(30),
  timeout: Duration.seconds(5),
  retries: 3,
  startPeriod: Duration.seconds(60),
}

function hardened(stack: Stack, name: string): LinuxParameters {
  const parameters = new LinuxParameters(stack, `${name}Limits`, { initProcessEnabled: true })
  parameters.dropCapabilities(Capability.ALL)
  return parameters
}

type FargateServiceOptions = { cluster: Cluster; task: FargateTaskDefinition; network: SecurityGroup }

/**
 * Stops the old task before the new one starts, because two tasks would write to one spool. Clients that cannot connect
 * for that minute try again.
 */
function service(stack: Stack, { cluster, task, network }: FargateServiceOptions): FargateService {
  return new FargateService(stack, 'Service', {
    cluster,
    taskDefinition: task,
    securityGroups: [network],
    assignPublicIp: false,
    platformVersion: FargatePlatformVersion.LATEST,
    desiredCount: 1,
    minHealthyPercent: 0,
    maxHealthyPercent: 100,
    availabilityZoneRebalancing: AvailabilityZoneRebalancing.DISABLED,
    circuitBreaker: { enable: true, rollback: true },
    healthCheckGracePeriod: Duration.seconds(120),
    // A shell in the worker could read everyone's mail.
    enableExecuteCommand: false,
  })
}

function outputs(stack: Stack, front: NetworkLoadBalancer, vpc: Vpc): void {
  new CfnOutput(stack, 'MailHost', { value: front.loadBalancerDnsName, description: 'Point the MX host name here' })
  new CfnOutput(stack, 'Spool', { value: spoolNotice })
  new CfnOutput(stack, 'TrustedBalancers', {
    value: vpc.publicSubnets.map((subnet) => subnet.ipv4CidrBlock).join(','),
    description: 'advanced.proxyProtocol of the receiver, set through its environment',
  })
}
