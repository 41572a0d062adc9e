import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager'

/** Reads one secret's text by its ARN. */
export type ReadSecret = (arn: string) => Promise<string>

export const fromSecretsManager = (): ReadSecret => {
  const client = new SecretsManagerClient({})
  return async (arn) => {
    const { SecretString } = await client.send(new GetSecretValueCommand({ SecretId: arn }))
    if (!SecretString) throw new Error(`secret ${arn} has no text`)
    return SecretString
  }
}

/**
 * Puts the secrets named by `POSTERN_SECRETS` (JSON: variable → ARN) into `environment`, where the API looks for them. They are
 * in no template and no function configuration, only in the memory of this process. A secret that was changed is seen by the
 * next instance that starts. Throws when one cannot be read: an API without its secrets must not answer.
 */
export async function loadSecrets(environment: NodeJS.ProcessEnv, read: ReadSecret): Promise<void> {
  const arns = secretArns(environment.POSTERN_SECRETS)
  const values = await Promise.all(arns.map(async ([variable, arn]) => [variable, await read(arn)] as const))
  for (const [variable, value] of values) environment[variable] = value
}

function secretArns(text: string | undefined): [string, string][] {
  if (text === undefined) throw new Error('POSTERN_SECRETS is not set: a JSON object of variable names and secret ARNs')
  const arns: unknown = JSON.parse(text)
  if (typeof arns !== 'object' || arns === null) throw new Error('POSTERN_SECRETS is not a JSON object')
  return Object.entries(arns).map(([variable, arn]) => {
    if (!/^POSTERN_[A-Z_]+$/.test(variable) || typeof arn !== 'string') {
      throw new Error(`POSTERN_SECRETS: ${variable} must be a POSTERN_ variable with the ARN of a secret`)
    }
    return [variable, arn]
  })
}
