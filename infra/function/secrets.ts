import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager'

/** Reads the text of one secret by its ARN. */
export type ReadSecret = (arn: string) => Promise<string>

export const fromSecretsManager = (): ReadSecret => {
  const client = new SecretsManagerClient({})
  return async (arn) => {
    const { SecretString } = await client.send(new GetSecretValueCommand({ SecretId: arn }))
    if (!SecretString) throw new Error(`secret ${arn} has no text value`)
    return SecretString
  }
}

/**
 * Loads the secrets named by `POSTERN_SECRETS` (JSON: variable → ARN) into `environment`, where the API reads them.
 * They are in no template or function configuration, only in the memory of this process. A changed secret takes effect
 * in the next instance that starts. Throws if one cannot be read, because the API must not run without its secrets.
 */
export async function loadSecrets(environment: NodeJS.ProcessEnv, read: ReadSecret): Promise<void> {
  const arns = secretArns(environment.POSTERN_SECRETS)
  const values = await Promise.all(arns.map(async ([variable, arn]) => [variable, await read(arn)] as const))
  for (const [variable, value] of values) environment[variable] = value
}

function secretArns(text: string | undefined): [string, string][] {
  if (text === undefined)
    throw new Error('POSTERN_SECRETS is not set. It must be a JSON object of variable names and secret ARNs')
  const arns: unknown = JSON.parse(text)
  if (typeof arns !== 'object' || arns === null) throw new Error('POSTERN_SECRETS is not a JSON object')
  return Object.entries(arns).map(([variable, arn]) => {
    if (!/^POSTERN_[A-Z_]+$/.test(variable) || typeof arn !== 'string') {
      throw new Error(`POSTERN_SECRETS: ${variable} must be a POSTERN_ variable with the ARN of a secret`)
    }
    return [variable, arn]
  })
}
