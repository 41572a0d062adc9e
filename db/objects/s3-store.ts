import {
  DeleteObjectsCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  NoSuchKey,
  PutObjectCommand,
  S3Client,
  type S3ClientConfig,
} from '@aws-sdk/client-s3'
import {
  checkFolder,
  checkKey,
  type ListRange,
  maxListed,
  type ObjectStore,
  type StoredObject,
} from './object-store.ts'

/**
 * Objects in a bucket. `create` is a conditional write (`If-None-Match: *`). The SDK repeats what the store refuses for
 * now (503 SlowDown, 500, a lost connection), with growing pauses; each request has a deadline.
 */
export type S3StoreOptions = {
  bucket: string
  /** '' or ends with `/`. It goes before each key. */
  prefix: string
  client: S3ClientConfig
}

const maxAttempts = 6
const connectionTimeoutMs = 5_000
const requestTimeoutMs = 60_000
/** S3 removes no more in a request. */
const maxRemoved = 1_000

export function openS3Store({ bucket, prefix, client }: S3StoreOptions): ObjectStore {
  checkFolder(prefix)
  const options = {
    maxAttempts,
    retryMode: 'standard',
    requestHandler: { connectionTimeout: connectionTimeoutMs, requestTimeout: requestTimeoutMs },
    ...client,
  }
  return new S3Store(bucket, prefix, new S3Client(options))
}

class S3Store implements ObjectStore {
  readonly #bucket: string
  readonly #prefix: string
  readonly #client: S3Client

  constructor(bucket: string, prefix: string, client: S3Client) {
    this.#bucket = bucket
    this.#prefix = prefix
    this.#client = client
  }

  async create(key: string, content: Uint8Array): Promise<'created' | 'taken'> {
    checkKey(key)
    for (let conflicts = 0; ; conflicts++) {
      try {
        await this.#client.send(new PutObjectCommand({ ...this.#object(key), Body: content, IfNoneMatch: '*' }))
        return 'created'
      } catch (error) {
        if (statusOf(error) === 412) return 'taken'
        // Somebody else writes the same key at this moment: S3 asks to try again.
        if (statusOf(error) !== 409 || conflicts === maxAttempts) throw error
      }
    }
  }

  async put(key: string, content: Uint8Array): Promise<void> {
    checkKey(key)
    await this.#client.send(new PutObjectCommand({ ...this.#object(key), Body: content }))
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    checkKey(key)
    try {
      const { Body } = await this.#client.send(new GetObjectCommand(this.#object(key)))
      return await Body?.transformToByteArray()
    } catch (error) {
      if (error instanceof NoSuchKey) return undefined
      throw error
    }
  }

  async list({ prefix, after, limit = maxListed }: ListRange): Promise<StoredObject[]> {
    const { Contents = [] } = await this.#client.send(
      new ListObjectsV2Command({
        Bucket: this.#bucket,
        Prefix: this.#prefix + prefix,
        MaxKeys: Math.min(limit, maxListed),
        ...(after ? { StartAfter: this.#prefix + after } : {}),
      }),
    )
    return Contents.map(({ Key = '', Size = 0 }) => ({ key: Key.slice(this.#prefix.length), bytes: Size }))
  }

  async folders(folder: string): Promise<string[]> {
    checkFolder(folder)
    const found: string[] = []
    let token: string | undefined
    do {
      const answer = await this.#client.send(
        new ListObjectsV2Command({
          Bucket: this.#bucket,
          Prefix: this.#prefix + folder,
          Delimiter: '/',
          ContinuationToken: token,
        }),
      )
      for (const { Prefix = '' } of answer.CommonPrefixes ?? []) found.push(Prefix.slice(this.#prefix.length))
      token = answer.NextContinuationToken
    } while (token)
    return found
  }

  async remove(keys: readonly string[]): Promise<void> {
    keys.forEach(checkKey)
    for (let from = 0; from < keys.length; from += maxRemoved) {
      const Objects = keys.slice(from, from + maxRemoved).map((key) => ({ Key: this.#prefix + key }))
      const { Errors = [] } = await this.#client.send(
        new DeleteObjectsCommand({ Bucket: this.#bucket, Delete: { Objects, Quiet: true } }),
      )
      const [first] = Errors
      if (first) throw new Error(`S3 did not remove ${Errors.length} objects: ${first.Key}: ${first.Code}`)
    }
  }

  close(): void {
    this.#client.destroy()
  }

  #object(key: string) {
    return { Bucket: this.#bucket, Key: this.#prefix + key }
  }
}

const statusOf = (error: unknown): number | undefined =>
  (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode
