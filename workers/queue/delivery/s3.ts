import { Readable } from 'node:stream'
import type { Recipient } from '@postern/contract/envelope.ts'
import { chunksOf, wholeBytes } from '../message/content.ts'
import { deliveredBytes, readDelivered } from '../message/header-edits.ts'
import type { DeliveryJob } from '../message/message.ts'
import { domainOf, type QueuedMessage } from '../message/message.ts'
import { deferredOutcome, type Outcome, type Outcomes } from '../message/outcome.ts'
import type { Destination } from '../route/destination.ts'
import type { AttemptContext } from './attempt-context.ts'
import { s3TimeoutMs } from './buckets.ts'

/**
 * The route `s3`: two objects a message and domain, `<prefix><yyyy>/<mm>/<dd>/<id>-<domain>.json` with the envelope and
 * then `….eml` with the message: whoever sees the second finds the first. The keys depend on the message alone, so one that
 * is delivered again replaces itself.
 */

type Bucket = Extract<Destination, { kind: 's3' }>

type Abortable = AttemptContext & { signal: AbortSignal }

export async function deliverToBucket(job: DeliveryJob, bucket: Bucket, context: Abortable): Promise<Outcomes> {
  const result = await putBoth(job.mail, bucket, context)
  const host = `s3 ${bucket.bucket}`
  return { via: { host }, outcomes: new Map(job.recipients.map((r) => [r, result])) }
}

async function putBoth(mail: QueuedMessage, { bucket, prefix, domain }: Bucket, context: Abortable): Promise<Outcome> {
  const [day = ''] = new Date(mail.envelope.receivedAt).toISOString().split('T')
  const key = `${prefix}${day.replaceAll('-', '/')}/${mail.envelope.id}-${domain}`
  const of = new MessageBody(mail, context)
  try {
    await put(context, {
      bucket,
      key: `${key}.json`,
      type: 'application/json',
      body: envelopeOf(mail, domain, context),
    })
    await put(context, {
      bucket,
      key: `${key}.eml`,
      type: 'message/rfc822',
      body: await of.open(),
      bytes: deliveredBytes(mail),
      signal: of.signal,
    })
    return { kind: 'delivered', status: '2.0.0', reply: `kept as s3://${bucket}/${key}.eml`, dsnPassedOn: false }
  } catch (error) {
    // What is wrong with the stored message itself is the caller's affair.
    if (of.failure) throw of.failure
    return refused(error as Error & { $metadata?: { httpStatusCode?: number } }, bucket)
  }
}

type Put = {
  bucket: string
  key: string
  type: string
  body: Buffer | Readable | string
  bytes?: number
  signal?: AbortSignal
}

async function put(
  { buckets, signal: stopped }: Abortable,
  { bucket, key, type, body, bytes, signal }: Put,
): Promise<void> {
  const object = {
    Bucket: bucket,
    Key: key,
    Body: body,
    ContentType: type,
    ...(bytes === undefined ? {} : { ContentLength: bytes }),
  }
  const ends = [AbortSignal.timeout(s3TimeoutMs), stopped, ...(signal ? [signal] : [])]
  await buckets.put(object, AbortSignal.any(ends))
}

/** The body of a request. A damaged message aborts the request, so that no object is written. */
class MessageBody {
  readonly #mail: QueuedMessage
  readonly #context: AttemptContext
  readonly #broken = new AbortController()
  failure: Error | undefined

  constructor(mail: QueuedMessage, context: AttemptContext) {
    this.#mail = mail
    this.#context = context
  }

  get signal(): AbortSignal {
    return this.#broken.signal
  }

  async open(): Promise<Buffer | Readable> {
    try {
      if (this.#mail.bytes <= wholeBytes) return await readDelivered(this.#mail, this.#context.reader)
    } catch (error) {
      this.failure = error as Error
      throw error
    }
    const flow = Readable.from(chunksOf(this.#mail, this.#context.reader), { objectMode: false })
    flow.on('error', (error) => {
      if (error.name === 'AbortError') return
      this.failure ??= error
      this.#broken.abort()
    })
    return flow
  }
}

function envelopeOf({ envelope }: QueuedMessage, domain: string, context: AttemptContext): string {
  const { domains } = context.settings()
  const recipients = envelope.recipients
    .filter(({ address }) => domains.get(domainOf(address))?.name === domain)
    .map(({ address, original }: Recipient) => ({ address, original }))
  const { id, sender, client } = envelope
  return JSON.stringify({ id, receivedAt: new Date(envelope.receivedAt).toISOString(), sender, recipients, client })
}

/** Whatever S3 says against it, an operator can mend it: bucket, rights, network. So the mail waits. */
function refused(
  { name, message, $metadata }: Error & { $metadata?: { httpStatusCode?: number } },
  bucket: string,
): Outcome {
  const status = $metadata?.httpStatusCode
  if (status === undefined)
    return deferredOutcome('4.4.1', `s3 ${bucket}: ${name}: ${message}`.slice(0, 500), 'cannot-connect')
  return deferredOutcome('4.3.5', `s3 ${bucket}: HTTP ${status} ${name}: ${message}`.slice(0, 500), 'refused-for-now')
}
