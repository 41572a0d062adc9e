import type { Connection } from '../client/connection.ts'
import type { DeliveryJob, QueuedMessage } from '../message/message.ts'

/** A job whose envelope was sent together with the body of the job before it: it is delivered next, on that connection. */
export type PipelinedJob = { job: DeliveryJob; connection: Connection }

/** The concurrency slot that a delivery holds, as the attempt sees it. */
export type ConcurrencySlot = {
  pipelined: PipelinedJob | undefined
  /** Takes the job that may follow on the same connection. */
  takeNext(fits: (mail: QueuedMessage, recipients: readonly number[]) => boolean): DeliveryJob | undefined
  /** Set by the attempt when it has sent the envelope of that job. */
  nextPipelined: PipelinedJob | undefined
  /** The attempt starts to wait for a connection to another host. */
  connecting(): void
  /** A connection is ready. A delivery that was suspended may have to wait for a free slot. */
  connected(connection: Connection): Promise<void> | undefined
  /** Aborts what the attempt waits for when the delivery is abandoned. */
  readonly signal: AbortSignal
  /** The result is not used any more: start nothing new. */
  readonly abandoned: boolean
  /** Set by the attempt: the outcome is being recorded. */
  concluding: boolean
  /** Set by the attempt: whether the destination took mail (true) or could not be reached (false). */
  reachable: boolean | undefined
}
