import { readFileSync } from 'node:fs'
import { CfnOutput, CfnParameter, Duration, Fn, RemovalPolicy, SecretValue, Stack, type StackProps } from 'aws-cdk-lib'
import type { HttpApi } from 'aws-cdk-lib/aws-apigatewayv2'
import { Certificate } from 'aws-cdk-lib/aws-certificatemanager'
import {
  AllowedMethods,
  type BehaviorOptions,
  CachePolicy,
  Distribution,
  Function as EdgeFunction,
  type FunctionAssociation,
  FunctionCode,
  FunctionEventType,
  FunctionRuntime,
  HeadersFrameOption,
  HeadersReferrerPolicy,
  HttpVersion,
  OriginProtocolPolicy,
  OriginRequestPolicy,
  OriginSslPolicy,
  ResponseHeadersPolicy,
  SecurityPolicyProtocol,
  ViewerProtocolPolicy,
} from 'aws-cdk-lib/aws-cloudfront'
import { HttpOrigin, S3BucketOrigin } from 'aws-cdk-lib/aws-cloudfront-origins'
import { type IRole, PolicyDocument, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam'
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs'
import { Bucket } from 'aws-cdk-lib/aws-s3'
import { Asset } from 'aws-cdk-lib/aws-s3-assets'
import { BucketDeployment, CacheControl, Source } from 'aws-cdk-lib/aws-s3-deployment'
import type { ISecret } from 'aws-cdk-lib/aws-secretsmanager'
import type { Construct } from 'constructs'
import { acceptFindings, wildcard } from './accepted-findings.ts'
import { cachedErrors, cdnPatterns } from './doors.ts'
import { closed, type FoundationStack } from './foundation.ts'
import { edgeTokenHeader } from './function/client-address.ts'

/** The public domain and its certificate, which CloudFront requires to be in us-east-1. */
export type Site = { domain: string; certificateArn: string }

export type ConsoleStackProps = StackProps & { foundation: FoundationStack; api: HttpApi; files: string; site?: Site }

/** Allows scripts, styles and data only from the console's own address. Forbids inline code and framing. */
export const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ')

/**
 * Serves the console's files from a private bucket behind the CDN, with the API under the same name. There is one
 * origin, so CORS is not needed.
 */
export class ConsoleStack extends Stack {
  readonly distribution: Distribution

  constructor(scope: Construct, id: string, { foundation, api, files, site, ...props }: ConsoleStackProps) {
    super(scope, id, { ...props, description: 'Postern: the console behind a CDN, and the API under the same name' })
    const bucket = new Bucket(this, 'Files', {
      ...closed,
      versioned: true,
      lifecycleRules: [{ noncurrentVersionExpiration: Duration.days(30) }],
      serverAccessLogsBucket: foundation.accessLogs,
      serverAccessLogsPrefix: 'console/',
    })
    const toApi = apiBehavior(this, foundation, api)
    this.distribution = new Distribution(this, 'Cdn', {
      comment: 'Postern console and API',
      defaultRootObject: 'index.html',
      defaultBehavior: consoleBehavior(this, bucket),
      additionalBehaviors: Object.fromEntries(cdnPatterns.map((pattern) => [pattern, toApi])),
      errorResponses: cachedErrors.map((httpStatus) => ({ httpStatus, ttl: Duration.seconds(0) })),
      webAclId: firewallParameter(this).valueAsString,
      httpVersion: HttpVersion.HTTP2_AND_3,
      enableLogging: true,
      logBucket: foundation.accessLogs,
      logFilePrefix: 'cdn/',
      ...(site
        ? {
            minimumProtocolVersion: SecurityPolicyProtocol.TLS_V1_2_2021,
            domainNames: [site.domain],
            certificate: Certificate.fromCertificateArn(this, 'Certificate', site.certificateArn),
          }
        : {}),
    })
    acceptOpenDoor(this.distribution, site)
    upload(this, {
      files: new Asset(this, 'Built', { path: files }),
      bucket,
      distribution: this.distribution,
      logGroup: new LogGroup(this, 'UploadLogs', {
        retention: RetentionDays.ONE_MONTH,
        removalPolicy: RemovalPolicy.DESTROY,
      }),
    })
    new CfnOutput(this, 'ConsoleUrl', { value: `https://${site?.domain ?? this.distribution.distributionDomainName}` })
  }
}

/** The web ACL that firewall.ts makes. CloudFront requires it to be in us-east-1, as the certificate. */
function firewallParameter(stack: Stack): CfnParameter {
  return new CfnParameter(stack, 'WebAclArn', {
    type: 'String',
    description: 'The output WebAclArn of the stack postern-firewall',
    allowedPattern: '^arn:[a-z-]+:wafv2:[a-z0-9-]+:[0-9]+:global/webacl/.+$',
    constraintDescription: 'the ARN of a web ACL for CloudFront',
  })
}

function acceptOpenDoor(distribution: Distribution, site: Site | undefined): void {
  acceptFindings(distribution, {
    'AwsSolutions-CFR1': 'Administrators travel. Sign-in and roles control access, not the country',
  })
  if (!site) {
    acceptFindings(distribution, {
      'AwsSolutions-CFR4':
        'Without its own domain the distribution uses CloudFront’s certificate, whose minimum TLS version cannot be set. With -c domain and -c certificateArn it is TLS 1.2',
    })
  }
}

function consoleBehavior(stack: Stack, bucket: Bucket): BehaviorOptions {
  return {
    origin: S3BucketOrigin.withOriginAccessControl(bucket),
    viewerProtocolPolicy: ViewerProtocolPolicy.REDIRECT_TO_HTTPS,
    cachePolicy: CachePolicy.CACHING_OPTIMIZED,
    responseHeadersPolicy: securityHeaders(stack),
    functionAssociations: [viewerRequest(stack, 'ConsolePaths', 'console.js')],
    compress: true,
  }
}

/**
 * Forwards to the API without caching and keeps its security headers. HTTPS only: a redirect from HTTP would come after
 * the token was already sent unencrypted.
 */
function apiBehavior(stack: Stack, { secrets }: FoundationStack, api: HttpApi): BehaviorOptions {
  return {
    origin: new HttpOrigin(Fn.select(2, Fn.split('/', api.apiEndpoint)), {
      protocolPolicy: OriginProtocolPolicy.HTTPS_ONLY,
      originSslProtocols: [OriginSslPolicy.TLS_V1_2],
      customHeaders: { [edgeTokenHeader]: edgeToken(stack, secrets.edgeToken) },
    }),
    viewerProtocolPolicy: ViewerProtocolPolicy.HTTPS_ONLY,
    allowedMethods: AllowedMethods.ALLOW_ALL,
    cachePolicy: CachePolicy.CACHING_DISABLED,
    originRequestPolicy: OriginRequestPolicy.ALL_VIEWER_EXCEPT_HOST_HEADER,
    functionAssociations: [viewerRequest(stack, 'Visitor', 'api.js')],
  }
}

/**
 * CloudFormation reads the token again only when its version changes. Until then the CDN sends the former one, which the
 * function accepts.
 */
function edgeToken(stack: Stack, { secretArn }: ISecret): string {
  const { valueAsString: versionId } = new CfnParameter(stack, 'EdgeTokenVersion', {
    type: 'String',
    default: '',
    description: 'VersionId of the secret EdgeToken that the CDN sends. Empty: the current one when this was set',
    allowedPattern: '^[A-Za-z0-9-]*$',
  })
  return SecretValue.secretsManager(secretArn, { versionId }).unsafeUnwrap()
}

const edgeSource = (file: string) => readFileSync(new URL(`edge/${file}`, import.meta.url), 'utf8')

function viewerRequest(stack: Stack, id: string, file: string): FunctionAssociation {
  return {
    eventType: FunctionEventType.VIEWER_REQUEST,
    function: new EdgeFunction(stack, id, {
      code: FunctionCode.fromInline([file, 'not-found.js'].map(edgeSource).join('\n')),
      runtime: FunctionRuntime.JS_2_0,
    }),
  }
}

function securityHeaders(stack: Stack): ResponseHeadersPolicy {
  return new ResponseHeadersPolicy(stack, 'SecurityHeaders', {
    comment: 'Postern console',
    securityHeadersBehavior: {
      contentSecurityPolicy: { contentSecurityPolicy, override: true },
      contentTypeOptions: { override: true },
      frameOptions: { frameOption: HeadersFrameOption.DENY, override: true },
      referrerPolicy: { referrerPolicy: HeadersReferrerPolicy.NO_REFERRER, override: true },
      strictTransportSecurity: { accessControlMaxAge: Duration.days(365), includeSubdomains: true, override: true },
    },
    customHeadersBehavior: {
      customHeaders: [
        { header: 'Permissions-Policy', value: 'camera=(), geolocation=(), microphone=()', override: true },
        { header: 'Cross-Origin-Opener-Policy', value: 'same-origin', override: true },
      ],
    },
  })
}

type Upload = { files: Asset; bucket: Bucket; distribution: Distribution; logGroup: LogGroup }

/**
 * Grants only what an upload needs. The construct itself would grant every read and delete action, and access to every
 * distribution.
 */
function uploader(stack: Stack, { files, bucket, distribution, logGroup }: Upload): IRole {
  const allow = (actions: string[], ...resources: string[]) => new PolicyStatement({ actions, resources })
  const objects = bucket.arnForObjects('*')
  const role = new Role(stack, 'Uploader', {
    assumedBy: new ServicePrincipal('lambda.amazonaws.com'),
    inlinePolicies: {
      upload: new PolicyDocument({
        statements: [
          allow(['s3:GetObject'], files.bucket.arnForObjects(files.s3ObjectKey)),
          allow(['s3:ListBucket', 's3:GetBucketLocation'], bucket.bucketArn),
          allow(['s3:GetObject', 's3:PutObject', 's3:AbortMultipartUpload'], objects),
          allow(['cloudfront:CreateInvalidation', 'cloudfront:GetInvalidation'], distribution.distributionArn),
          allow(['logs:CreateLogStream', 'logs:PutLogEvents'], logGroup.logGroupArn),
        ],
      }),
    },
  })
  acceptFindings(role, {
    [wildcard(stack, objects)]: 'All files of the console, in a bucket that holds nothing else',
  })
  return role.withoutPolicyUpdates()
}

/**
 * Uploads files with hashed names first, cached forever, and then the page that references them. No visitor gets a page
 * whose files are missing.
 */
function upload(stack: Stack, parts: Upload): void {
  const { files, bucket, distribution, logGroup } = parts
  const shared = {
    sources: [Source.bucket(files.bucket, files.s3ObjectKey)],
    destinationBucket: bucket,
    role: uploader(stack, parts),
    logGroup,
    // Keep the previous release's files for pages that are still open.
    prune: false,
  }
  const hashed = new BucketDeployment(stack, 'HashedFiles', {
    ...shared,
    exclude: ['index.html', '*.br', '*.gz'],
    cacheControl: [CacheControl.fromString('public, max-age=31536000, immutable')],
  })
  const page = new BucketDeployment(stack, 'Page', {
    ...shared,
    exclude: ['*'],
    include: ['index.html'],
    cacheControl: [CacheControl.noCache()],
    distribution,
    distributionPaths: ['/index.html'],
  })
  page.node.addDependency(hashed)
  for (const child of stack.node.children.filter(({ node }) => node.id.startsWith('Custom::CDKBucketDeployment'))) {
    acceptFindings(child, {
      'AwsSolutions-L1':
        'The function belongs to the CDK library and uses the runtime it was tested with. It runs only at deployment',
    })
  }
}
