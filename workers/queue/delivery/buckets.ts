import type { PutObjectCommandInput, S3Client } from '@aws-sdk/client-s3'

/** Milliseconds for one object. */
export const s3TimeoutMs = 120_000

/** Stores objects. The SDK is loaded and the client is made for the first one: most systems have no such route. */
export class Buckets {
  readonly #env: NodeJS.ProcessEnv
  #client: Promise<{ client: S3Client; sdk: Sdk }> | undefined

  constructor(env: NodeJS.ProcessEnv) {
    this.#env = env
  }

  async put(object: PutObjectCommandInput, abortSignal: AbortSignal): Promise<void> {
    this.#client ??= this.#load()
    const { client, sdk } = await this.#client
    await client.send(new sdk.PutObjectCommand(object), { abortSignal })
  }

  async close(): Promise<void> {
    ;(await this.#client)?.client.destroy()
  }

  async #load(): Promise<{ client: S3Client; sdk: Sdk }> {
    const sdk = await import('@aws-sdk/client-s3')
    return { client: new sdk.S3Client(clientOptions(this.#env)), sdk }
  }
}

type Sdk = typeof import('@aws-sdk/client-s3')

function clientOptions(env: NodeJS.ProcessEnv) {
  const { POSTERN_S3_ENDPOINT: endpoint, POSTERN_S3_ACCESS_KEY_ID: id, POSTERN_S3_SECRET_ACCESS_KEY: secret } = env
  return {
    region: env.POSTERN_S3_REGION || env.AWS_REGION || 'us-east-1',
    maxAttempts: 1,
    // A body that flows has no checksum before its end; the length and TLS guard it.
    requestChecksumCalculation: 'WHEN_REQUIRED' as const,
    requestHandler: { connectionTimeout: 10_000, requestTimeout: s3TimeoutMs },
    ...(endpoint ? { endpoint, forcePathStyle: true } : {}),
    ...(id && secret ? { credentials: { accessKeyId: id, secretAccessKey: secret } } : {}),
  }
}
