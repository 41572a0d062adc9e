import type { Poster } from '@postern/runtime/hooks/post.ts'
import type { RecordEvent, Worker } from '@postern/runtime/worker.ts'
import type { SpoolReader } from '@postern/spool/spool.ts'
import type { Assurance } from '../assure/assurance.ts'
import type { Timeouts } from '../client/dial.ts'
import type { Pool } from '../client/pool.ts'
import type { Result } from '../client/transaction.ts'
import type { Converter } from '../form/converter.ts'
import type { Signer } from '../form/signer.ts'
import type { DeliverySettings } from '../route/delivery-settings.ts'
import type { Dns } from '../route/dns.ts'
import type { Ourselves } from '../route/hosts.ts'
import type { Buckets } from './s3.ts'

/** What an attempt needs, and what comes of it. */

export type AttemptContext = {
  settings(): DeliverySettings
  reader: SpoolReader
  pool: Pool
  dns: Dns
  assurance: Assurance
  record: RecordEvent
  wants: Worker['wants']
  signer: Signer
  converter: Converter
  ourselves(): Ourselves
  /** Port of MX hosts. */
  port: number
  timeouts: Timeouts
  mailDirectory: string
  /** The disk of the maildirs is full; `undefined`: it takes mail. */
  mailTrouble(error: Error | undefined): void
  /** For the route webhook. */
  poster: Poster
  /** For the route s3. */
  buckets: Buckets
}

export type Via = { host: string; address?: string; port?: number; tls?: string }
/** What an attempt ends with. `via`: who said it, where that is not the host with which the attempt ended. */
export type Final = (Exclude<Result, { kind: 'again' | 'lost' }> | { kind: 'discarded'; by: string }) & { via?: Via }
export type AttemptResult = {
  via: Via
  results: Map<number, Final>
  startedAt: number
  durationMs: number
  /** We broke it off ourselves: it counts as no try, and the next is at once. */
  isBrokenOff?: true
}

export function deferredFor(status: string, reply: string, cause: string): Final {
  return { kind: 'deferred', status, reply, cause }
}
