import type { EventFields, EventType } from '@postern/contract/events.ts'
import type { Offence, OffenceBatchResponse } from '@postern/contract/offences.ts'
import type { QueuePage } from '@postern/contract/queue-mirror.ts'
import type { Replica, RowKind } from '@postern/contract/rows.ts'
import type { ServiceName } from '@postern/contract/services.ts'
import type { WorkerReport } from '@postern/contract/worker-protocol.ts'
import type { WorkerRequest, WorkerRequestAnswer } from '@postern/contract/worker-requests.ts'

/**
 * The common part of every worker, whatever its service: follow the settings, report state, ship events, and shut down.
 * It never makes decisions about mail and never opens a port.
 */

/** The service's own status, requested for every report. */
export type ServiceStatus = Pick<WorkerReport, 'observed' | 'generation' | 'sessions' | 'listeners'> &
  Partial<Pick<WorkerReport, 'detail' | 'waiting' | 'acknowledged' | 'metrics'>>

/** The message that a request stores or shows, in chunks. */
export type MessageChunks = {
  fetch(n: number): Promise<Buffer>
  /** At most `chunkBytes` each, numbered from 0. */
  send(n: number, bytes: Buffer<ArrayBuffer>): Promise<void>
}

export type Service = {
  name: ServiceName
  /**
   * Applies these settings as a whole. Called once before `start` resolves and again for each new revision, never
   * concurrently. `changed` names the kinds that differ from the previous call. The service must not keep the replica:
   * it copies or compiles the parts it needs. A throw refuses the revision: the previous one stays in force, and an
   * event records the refusal.
   */
  apply(change: { replica: Replica; revision: number; changed: ReadonlySet<RowKind> }): Promise<void> | void
  status(): ServiceStatus
  /**
   * Carries out a request of the API. Called after the first `apply`, one at a time. A throw leaves the request for
   * later.
   */
  answerRequest?(request: WorkerRequest, chunks: MessageChunks): Promise<WorkerRequestAnswer>
  /** Accepts no new work and finishes work in progress (limited by the service's own drain time-out). */
  stop(): Promise<void>
}

/** Records one event. Synchronous, takes a few microseconds, never throws, and never waits for disk or network. */
export type RecordEvent = <T extends EventType>(type: T, fields: EventFields<T>) => void

export type Worker = {
  /** E.g. `smtp-1`. */
  id: string
  record: RecordEvent
  /**
   * Returns whether the log, with its current settings, includes events of this type. Check this before creating a
   * costly one.
   */
  wants(type: EventType): boolean
  /**
   * Records the facts of a decided session for the replay: JSON and its time. As cheap as `record`, but facts may be
   * lost. Absent if switched off.
   */
  facts?: { record(line: string, now: number): void } | undefined
  /** Resolves when all events recorded so far are in the operating system, so that kill -9 does not lose them. */
  flushEvents(): Promise<void>
  /** Like `flushEvents`, but on stable storage. Rejects if the disk refuses. */
  syncEvents(): Promise<void>
  /**
   * Returns whether an earlier process recorded `message.accepted` for this message among its last events. False proves
   * nothing.
   */
  wasAccepted(messageId: string): boolean
  /**
   * Reports client offences to the API, at most 500 at once, and requests the resulting settings. Rejects if the API is
   * unreachable; the same batch may be sent again.
   */
  reportOffences(offences: readonly Offence[]): Promise<OffenceBatchResponse>
  /** Requests that waiting mail for a domain is tried now (RFC 1985). Rejects if the API does not accept the request. */
  runQueue(domain: string, by: string): Promise<void>
  /**
   * Tells the API what waits in the queue. `everything`: it does not have what this page follows, and needs everything
   * again. Rejects if the API is unreachable; the same page may be sent again.
   */
  tellQueue(page: QueuePage): Promise<'stored' | 'everything'>
  /** Sends the next report now instead of at its regular time, because its content has changed. */
  reportSoon(): void
  /** Stops the service, flushes events (within a time limit), removes the change queue, and tells the API. */
  stop(cause: string): Promise<void>
}
