import { setTimeout as sleep } from 'node:timers/promises'
import {
  CreateQueueCommand,
  DeleteMessageBatchCommand,
  DeleteQueueCommand,
  ReceiveMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs'
import { BackOff } from '@postern/contract/back-off.ts'
import { changeNotificationSchema } from '@postern/contract/worker-protocol.ts'

/** Pauses after a failure. */
const retryPauses = { firstMs: 200, longestMs: 5_000 }

/**
 * The worker's own SQS queue: created at start, long-polled, removed at stop. A message only says that there is a newer
 * revision, so a lost, duplicate or late message does no harm. Without SQS the worker still polls every 15 s.
 */
export type ChangeQueueOptions = {
  workerId: string
  endpoint?: string | undefined
  /** Called with the highest revision in one receive. */
  notified: (revision: number) => void
  /** Called when the queue exists, with its URL. */
  ready: (url: string) => void
  failed: (error: unknown) => void
}

export class ChangeQueue {
  readonly #options: ChangeQueueOptions
  readonly #sqs: SQSClient
  readonly #stop = new AbortController()
  #url: string | undefined
  #polling: Promise<void>

  constructor(options: ChangeQueueOptions) {
    this.#options = options
    this.#sqs = new SQSClient({
      region: process.env.AWS_REGION ?? 'us-east-1',
      maxAttempts: 1,
      ...(options.endpoint ? { endpoint: options.endpoint } : {}),
    })
    this.#polling = this.#poll()
  }

  async #poll(): Promise<void> {
    const backOff = new BackOff(retryPauses)
    let failing = false
    while (!this.#stop.signal.aborted) {
      try {
        this.#url ??= await this.#create()
        await this.#receive(this.#url)
        backOff.reset()
        failing = false
      } catch (error) {
        if (this.#stop.signal.aborted) return
        if (!failing) this.#options.failed(error)
        failing = true
        // Whatever the error, creating the queue again does no harm and helps if the queue is gone.
        this.#url = undefined
        await sleep(backOff.next(), undefined, { signal: this.#stop.signal }).catch(() => {})
      }
    }
  }

  async #create(): Promise<string> {
    const { QueueUrl } = await this.#sqs.send(
      new CreateQueueCommand({
        QueueName: `postern-${this.#options.workerId}`,
        Attributes: { MessageRetentionPeriod: '300', VisibilityTimeout: '5' },
      }),
      { abortSignal: this.#stop.signal },
    )
    if (!QueueUrl) throw new Error('SQS answered CreateQueue without a URL')
    this.#options.ready(QueueUrl)
    return QueueUrl
  }

  async #receive(url: string): Promise<void> {
    const { Messages = [] } = await this.#sqs.send(
      new ReceiveMessageCommand({ QueueUrl: url, WaitTimeSeconds: 20, MaxNumberOfMessages: 10 }),
      { abortSignal: this.#stop.signal },
    )
    if (Messages.length === 0) return
    const revisions = Messages.map((message) => revisionIn(message.Body)).filter((n) => n !== undefined)
    if (revisions.length > 0) this.#options.notified(Math.max(...revisions))
    await this.#sqs.send(
      new DeleteMessageBatchCommand({
        QueueUrl: url,
        Entries: Messages.map(({ ReceiptHandle }, i) => ({ Id: String(i), ReceiptHandle })),
      }),
    )
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await this.#polling
    if (this.#url)
      await this.#sqs
        .send(new DeleteQueueCommand({ QueueUrl: this.#url }), { abortSignal: AbortSignal.timeout(2_000) })
        .catch(() => {})
    this.#sqs.destroy()
  }
}

function revisionIn(body: string | undefined): number | undefined {
  try {
    return changeNotificationSchema.parse(JSON.parse(body ?? '')).revision
  } catch {
    return undefined
  }
}
