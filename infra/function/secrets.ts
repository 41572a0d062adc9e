import { GetSecretValueCommand, ResourceNotFoundException, SecretsManagerClient } from '@aws-sdk/client-secrets-manager'

/** `AWSPREVIOUS`: the value before the last rotation, which what was deployed earlier still has. */
const stages = ['AWSCURRENT', 'AWSPREVIOUS'] as const
type Stage = (typeof stages)[number]

/** Reads the text of one secret by its ARN. `undefined`: the secret was never rotated. */
export type ReadSecret = (arn: string, stage: Stage) => Promise<string | undefined>

export const fromSecretsManager = (): ReadSecret => {
  const client = new SecretsManagerClient({})
  return async (arn, stage) => {
    const command = new GetSecretValueCommand({ SecretId: arn, VersionStage: stage })
    const { SecretString } = await client.send(command).catch((error: unknown) => {
      if (stage === 'AWSPREVIOUS' && error instanceof ResourceNotFoundException) return { SecretString: undefined }
      throw error
    })
    if (stage === 'AWSCURRENT' && !SecretString) throw new Error(`secret ${arn} has no text value`)
    return SecretString
  }
}

/** Tokens are rotated while the function runs. The other secrets are read at the start only. */
const isToken = (variable: string) => variable.endsWith('_TOKEN')

type Arns = readonly (readonly [variable: string, arn: string])[]
export type SecretsOptions = { environment: NodeJS.ProcessEnv; read: ReadSecret; now: () => number }

/** A token is read again after this time, when the next request comes. */
const maxAgeMs = 5 * 60_000
/** A token was refused: the tokens are read again, but not more often than this, because a stranger can cause it. */
const minPauseMs = 10_000

/**
 * The secrets named by `POSTERN_SECRETS` (JSON: variable → ARN). Their values are put into `environment`, where the API
 * reads them: the current one as `NAME`, and a token's value before the last rotation as `NAME_PREVIOUS`. They are in no
 * template or function configuration, only in the memory of this process.
 */
export class Secrets {
  readonly #options: SecretsOptions
  readonly #arns: Arns
  #readAt = 0
  #triedAt = 0

  constructor(options: SecretsOptions) {
    this.#options = options
    this.#arns = secretArns(options.environment.POSTERN_SECRETS)
  }

  /** Throws if a secret cannot be read, because the API must not start without its secrets. */
  load(): Promise<void> {
    return this.#read(this.#arns)
  }

  /** Reads the tokens again if they are old. If that fails, the old ones stay, and a later request tries again. */
  async refresh(): Promise<void> {
    if (this.#options.now() - this.#readAt >= maxAgeMs) await this.reread()
  }

  /** Reads the tokens again because one was refused. */
  async reread(): Promise<void> {
    if (this.#options.now() - this.#triedAt < minPauseMs) return
    try {
      await this.#read(this.#arns.filter(([variable]) => isToken(variable)))
    } catch (error) {
      console.error(`the secrets cannot be read again: ${String(error)}`)
    }
  }

  async #read(arns: Arns): Promise<void> {
    const { environment, read, now } = this.#options
    this.#triedAt = now()
    const asked = arns.map(async ([variable, arn]) => {
      const wanted = isToken(variable) ? stages : stages.slice(0, 1)
      const [current, previous] = await Promise.all(wanted.map((stage) => read(arn, stage)))
      return { variable, current, previous }
    })
    for (const { variable, current, previous } of await Promise.all(asked)) {
      environment[variable] = current
      if (previous === undefined) delete environment[`${variable}_PREVIOUS`]
      else environment[`${variable}_PREVIOUS`] = previous
    }
    this.#readAt = now()
  }
}

/** The accepted values of a variable, the current one first. */
export const acceptedValues = (environment: NodeJS.ProcessEnv, variable: string): string[] =>
  [environment[variable], environment[`${variable}_PREVIOUS`]].filter((value) => value !== undefined)

function secretArns(text: string | undefined): Arns {
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
