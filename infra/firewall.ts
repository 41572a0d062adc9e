import { CfnOutput, Stack, type StackProps } from 'aws-cdk-lib'
import { CfnWebACL } from 'aws-cdk-lib/aws-wafv2'
import type { Construct } from 'constructs'
import { visitorLimits } from './doors.ts'

/**
 * The firewall of the CDN: how many requests one address may make. The API itself limits wrong passwords; this keeps the
 * requests from the function. For CloudFront it must be in us-east-1.
 */
export class FirewallStack extends Stack {
  constructor(scope: Construct, id: string, props: StackProps) {
    super(scope, id, { ...props, description: 'Postern: the firewall of the CDN' })
    const visibility = (metricName: string): CfnWebACL.VisibilityConfigProperty => ({
      metricName,
      cloudWatchMetricsEnabled: true,
      // Samples would show tokens and email addresses.
      sampledRequestsEnabled: false,
    })
    const limit = (name: string, priority: number, statement: CfnWebACL.RateBasedStatementProperty) => ({
      name,
      priority,
      statement: { rateBasedStatement: statement },
      action: { block: { customResponse: tooMany } },
      visibilityConfig: visibility(`Postern${name}`),
    })
    const perAddress = { aggregateKeyType: 'IP', evaluationWindowSec: 300 }
    const acl = new CfnWebACL(this, 'WebAcl', {
      scope: 'CLOUDFRONT',
      defaultAction: { allow: {} },
      customResponseBodies: { TooMany: { contentType: 'APPLICATION_JSON', content: problem } },
      visibilityConfig: visibility('Postern'),
      rules: [
        limit('SignIn', 0, { ...perAddress, limit: visitorLimits.signIn, scopeDownStatement: isSignIn }),
        limit('All', 1, { ...perAddress, limit: visitorLimits.all }),
      ],
    })
    new CfnOutput(this, 'WebAclArn', {
      value: acl.attrArn,
      description: 'The parameter WebAclArn of the stack postern-console',
    })
  }
}

/** The API decodes a path before it looks for a route, so the firewall must too. */
const isSignIn: CfnWebACL.StatementProperty = {
  byteMatchStatement: {
    fieldToMatch: { uriPath: {} },
    positionalConstraint: 'STARTS_WITH',
    searchString: '/v1/auth/',
    textTransformations: [
      { priority: 0, type: 'URL_DECODE' },
      { priority: 1, type: 'NORMALIZE_PATH' },
    ],
  },
}

const tooMany: CfnWebACL.CustomResponseProperty = {
  responseCode: 429,
  customResponseBodyKey: 'TooMany',
  responseHeaders: [{ name: 'retry-after', value: '60' }],
}

/** As apps/api/problem.ts writes it. The firewall cannot name its media type. */
const problem = JSON.stringify({
  type: 'about:blank',
  title: 'Too many attempts',
  status: 429,
  detail: 'Too many requests from this address. Try again in some minutes.',
})
