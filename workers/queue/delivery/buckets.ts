import { S3Client } from '@aws-sdk/client-s3'

/** Milliseconds for one object. */
export const s3TimeoutMs = 120_000

/** The client is made when it is needed first: most systems have no such route. */
export class Buckets {
  readonly #env: NodeJS.ProcessEnv
  #client: S3Client | undefined

  constructor(env: NodeJS.ProcessEnv) {
    this.#env = env
  }

  get client(): S3Client {
    this.#client ??= new S3Client(clientOptions(this.#env))
    return this.#client
  }

  close(): void {
    this.#client?.destroy()
  }
}

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
