import { type Stack, Validations } from 'aws-cdk-lib'
import type { IConstruct } from 'constructs'

/** Accepts cdk-nag findings below `scope`, each with a reason for the reviewer. */
export function acceptFindings(scope: IConstruct, reasons: Record<string, string>): void {
  const rules = Object.entries(reasons).map(([id, reason]) => ({ id, reason }))
  Validations.of(scope).acknowledge(...rules)
}

/**
 * Names the finding for a `*` resource in a policy of this stack. cdk-nag uses the ARN, with references in angle
 * brackets.
 */
export const wildcard = (stack: Stack, arn: string): string =>
  `AwsSolutions-IAM5[Resource::${flat(stack.resolve(arn))}]`

function flat(value: unknown): string {
  if (typeof value === 'string') return value
  if (typeof value !== 'object' || value === null) throw new Error(`not part of an ARN: ${value}`)
  if ('Ref' in value) return `<${value.Ref}>`
  if ('Fn::GetAtt' in value) return `<${(value['Fn::GetAtt'] as string[]).join('.')}>`
  if ('Fn::Join' in value) {
    const [delimiter, parts] = value['Fn::Join'] as [string, unknown[]]
    return parts.map(flat).join(delimiter)
  }
  throw new Error(`not part of an ARN: ${JSON.stringify(value)}`)
}
