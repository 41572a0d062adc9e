import { CfnOutput, Duration, RemovalPolicy, Stack, type StackProps } from 'aws-cdk-lib'
import {
  FlowLogDestination,
  FlowLogTrafficType,
  GatewayVpcEndpointAwsService,
  IpAddresses,
  SubnetType,
  Vpc,
} from 'aws-cdk-lib/aws-ec2'
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam'
import { Key } from 'aws-cdk-lib/aws-kms'
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs'
import { BlockPublicAccess, Bucket, BucketEncryption, ObjectOwnership } from 'aws-cdk-lib/aws-s3'
import { Secret } from 'aws-cdk-lib/aws-secretsmanager'
import { Topic } from 'aws-cdk-lib/aws-sns'
import type { Construct } from 'constructs'
import { acceptFindings } from './accepted-findings.ts'

/** The system's secrets. As few roles as possible can read each one. */
export type Secrets = {
  /** Token for the libSQL server. The operator stores it here. */
  databaseToken: Secret
  /** The key with which the API seals its signing keys and every other secret in the database (db/store/seal.ts). */
  dataKey: Secret
  /** Enrolment tokens for workers. Each service has its own, which cannot enrol a worker of the other service. */
  enrolTokens: Record<'smtp' | 'queue', Secret>
  /** Password of the first administrator. */
  adminPassword: Secret
  /** Proves to the API that a request came from the CDN. Without it, the API answers only workers. */
  edgeToken: Secret
}

/**
 * Everything that outlives code deployments: the network with its outgoing addresses, the secrets, and the alarm topic.
 */
export class FoundationStack extends Stack {
  readonly vpc: Vpc
  readonly secrets: Secrets
  readonly accessLogs: Bucket
  readonly alarms: Topic
  /** Address blocks of the balancers. PROXY headers from these are trusted. */
  readonly balancers: string

  constructor(scope: Construct, id: string, props: StackProps) {
    super(scope, id, {
      ...props,
      description: 'Postern: network, secrets, access logs and alarm topic',
      terminationProtection: true,
    })
    this.vpc = network(this)
    this.secrets = secrets(this)
    this.accessLogs = accessLogs(this)
    this.alarms = alarmTopic(this)
    this.balancers = this.vpc.publicSubnets.map((subnet) => subnet.ipv4CidrBlock).join(',')
    new CfnOutput(this, 'AlarmTopic', {
      value: this.alarms.topicArn,
      description: 'Subscribe the people on call to this topic',
    })
  }
}

/**
 * Makes the network. Workers are in private subnets. Mail leaves through one NAT gateway per zone, whose address does
 * not change. These addresses need a PTR record, an SPF entry, and port 25 unblocked by AWS.
 */
function network(stack: Stack): Vpc {
  const vpc = new Vpc(stack, 'Vpc', {
    ipAddresses: IpAddresses.cidr('10.20.0.0/16'),
    maxAzs: 2,
    natGateways: 2,
    subnetConfiguration: [
      { name: 'balancer', subnetType: SubnetType.PUBLIC, cidrMask: 24, mapPublicIpOnLaunch: false },
      { name: 'workers', subnetType: SubnetType.PRIVATE_WITH_EGRESS, cidrMask: 22 },
    ],
    gatewayEndpoints: { S3: { service: GatewayVpcEndpointAwsService.S3 } },
  })
  const logs = new LogGroup(stack, 'FlowLogs', {
    retention: RetentionDays.ONE_MONTH,
    removalPolicy: RemovalPolicy.DESTROY,
  })
  const writer = new Role(stack, 'FlowLogWriter', { assumedBy: new ServicePrincipal('vpc-flow-logs.amazonaws.com') })
  vpc.addFlowLog('Flow', {
    destination: FlowLogDestination.toCloudWatchLogs(logs, writer),
    trafficType: FlowLogTrafficType.REJECT,
  })
  return vpc
}

/** Letters and digits are valid base64. 43 of them encode the 32 bytes of an AES-256 key. */
export const dataKeyLength = 43

/** `rotation` explains why Secrets Manager does not rotate the secret, and who does. */
type Description = { description: string; rotation: string; length?: number }

function secrets(stack: Stack): Secrets {
  const secret = (id: string, { description, rotation, length = 48 }: Description) => {
    const made = new Secret(stack, id, {
      description,
      generateSecretString: { passwordLength: length, excludePunctuation: true },
      removalPolicy: RemovalPolicy.RETAIN,
    })
    acceptFindings(made, { 'AwsSolutions-SMG4': rotation })
    return made
  }
  const enrolToken = (id: string, service: string) =>
    secret(id, {
      description: `Postern: enrolment token for workers of ${service}`,
      rotation:
        'Given to running tasks, which only a new deployment can change. The API accepts the current and the previous value (README, Rotating)',
    })
  return {
    databaseToken: secret('DatabaseToken', {
      description:
        'Postern: token of the libSQL server. Created with a random value. Store the real one before the first request',
      rotation:
        'Issued by the libSQL server, from which Secrets Manager cannot request a new one. Replace it with put-secret-value',
    }),
    dataKey: secret('DataKey', {
      description:
        'Postern: key of the secrets in the database. If it is lost, the signing keys and every stored secret are lost',
      rotation: 'A new value would make all stored secrets unreadable. The API rotates the signing keys itself',
      length: dataKeyLength,
    }),
    enrolTokens: {
      smtp: enrolToken('SmtpEnrolToken', 'the SMTP service'),
      queue: enrolToken('QueueEnrolToken', 'the Queue Manager'),
    },
    adminPassword: secret('AdminPassword', {
      description: 'Postern: password of the first administrator, read at the first start only',
      rotation:
        'Read once, when no user exists; after the password is changed in the console, this value gives no access',
    }),
    edgeToken: secret('EdgeToken', {
      description: 'Postern: proves to the API that a request came through the CDN',
      rotation:
        'CloudFront gets it at a deployment. The API accepts the current and the previous value (README, Rotating)',
    }),
  }
}

/** Private, encrypted and TLS only. Kept when the stack is deleted. */
export const closed = {
  blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
  encryption: BucketEncryption.S3_MANAGED,
  enforceSSL: true,
  minimumTLSVersion: 1.2,
  removalPolicy: RemovalPolicy.RETAIN,
} as const

function accessLogs(stack: Stack): Bucket {
  const bucket = new Bucket(stack, 'AccessLogs', {
    ...closed,
    // CloudFront delivers its standard logs with an ACL.
    objectOwnership: ObjectOwnership.BUCKET_OWNER_PREFERRED,
    lifecycleRules: [{ expiration: Duration.days(90) }],
  })
  acceptFindings(bucket, {
    'AwsSolutions-S1': 'This bucket receives access logs. Logging its own writes would loop',
  })
  return bucket
}

function alarmTopic(stack: Stack): Topic {
  const key = new Key(stack, 'AlarmKey', { description: 'Postern: alarms in transit', enableKeyRotation: true })
  key.addToResourcePolicy(
    new PolicyStatement({
      principals: [new ServicePrincipal('cloudwatch.amazonaws.com')],
      actions: ['kms:Decrypt', 'kms:GenerateDataKey'],
      // In a key policy, `*` means the key itself.
      resources: ['*'],
      conditions: { StringEquals: { 'aws:SourceAccount': stack.account } },
    }),
  )
  const topic = new Topic(stack, 'Alarms', { displayName: 'Postern alarms', masterKey: key, enforceSSL: true })
  // A topic with its own policy loses the default one, which allows the account's alarms to publish.
  topic.addToResourcePolicy(
    new PolicyStatement({
      sid: 'AlarmsOfThisAccount',
      principals: [new ServicePrincipal('cloudwatch.amazonaws.com')],
      actions: ['sns:Publish'],
      resources: [topic.topicArn],
      conditions: { StringEquals: { 'aws:SourceAccount': stack.account } },
    }),
  )
  return topic
}
