import type { EventFields, EventType } from '@postern/contract/events.ts'
import type { Offence, OffenceBatchResponse } from '@postern/contract/offences.ts'
import type { Replica, RowKind } from '@postern/contract/rows.ts'
import type { ServiceName } from '@postern/contract/services.ts'
import type { WorkerReport } from '@postern/contract/worker-protocol.ts'
import type { WorkerRequest, WorkerRequestAnswer } from '@postern/contract/worker-requests.ts'

/**
 * What every worker does, whatever its service: follow the settings, report its state, ship its events, stop and kill.
 * This room never decides about mail and never opens a port.
 */

/** What the service tells about itself; asked for every report. */
export type ServiceStatus = Pick<WorkerReport, 'observed' | 'generation' | 'sessions' | 'listeners'> &
  Partial<Pick<WorkerReport, 'detail' | 'waiting' | 'metrics'>>

/** The message that a request stores or shows, in chunks. */
export type MessageChunks = {
  fetch(n: number): Promise<Buffer>
  /** At most `chunkBytes` each, numbered from 0. */
  send(n: number, octets: Buffer<ArrayBuffer>): Promise<void>
}

export type Service = {
  name: ServiceName
  /**
   * Take these settings as a whole. Called once before `start` resolves and again for each new revision, never twice at
   * the same time. `changed` names the kinds that differ from the call before. The replica must not be kept: copy or
   * compile what is needed. A throw refuses the revision: the one before stays in force, and the refusal is an event.
   */
  apply(change: { replica: Replica; revision: number; changed: ReadonlySet<RowKind> }): Promise<void> | void
  status(): ServiceStatus
  /** Does what the API asks for; called after the first `apply`, one at a time. A throw leaves the request for later. */
  answerRequest?(request: WorkerRequest, chunks: MessageChunks): Promise<WorkerRequestAnswer>
  /** Take no more, finish what is in progress (bounded by the service's own drain time-out). */
  stop(): Promise<void>
}

/** Records one event: synchronous, a few microseconds, never throws, never waits for disk or network. */
export type RecordEvent = <T extends EventType>(type: T, fields: EventFields<T>) => void

export type Worker = {
  /** E.g. `smtp-1`. */
  id: string
  record: RecordEvent
  /** Whether the log, as it is set now, has events of this type: ask before making a costly one. */
  wants(type: EventType): boolean
  /** Facts of a decided session, for the replay: as JSON, and when it was. As cheap as `record`; may be lost. Absent when switched off. */
  facts?: { record(line: string, now: number): void } | undefined
  /** Resolves when all events recorded so far are with the operating system: a kill -9 does not take them along. */
  flushEvents(): Promise<void>
  /** As `flushEvents`, and they are on stable storage. Rejects when the disk refuses. */
  syncEvents(): Promise<void>
  /** Whether an earlier process recorded `message.accepted` of this message among its last events. No says nothing. */
  wasAccepted(messageId: string): boolean
  /**
   * Tells the API what clients did, at most 500 offences at once, and asks for the settings that came of it. Rejects when the
   * API is away: the same batch may be sent again.
   */
  reportOffences(offences: readonly Offence[]): Promise<OffenceBatchResponse>
  /** Has what waits for a domain tried now (RFC 1985). Rejects when the API does not take it. */
  runQueue(domain: string, by: string): Promise<void>
  /** Something the report shows has changed: send it now instead of at the next beat. */
  reportSoon(): void
  /** Stop the service, flush events (bounded), remove the change queue, tell the API. */
  stop(cause: string): Promise<void>
}
