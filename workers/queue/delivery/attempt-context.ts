import type { Dns } from '@postern/net/dns.ts'
import type { Poster } from '@postern/net/http/post.ts'
import type { RecordEvent, Worker } from '@postern/runtime/worker.ts'
import type { SpoolReader } from '@postern/spool/spool.ts'
import type { Assurance } from '../assure/assurance.ts'
import type { Timeouts } from '../client/connect-options.ts'
import type { Pool } from '../client/pool.ts'
import type { Converter } from '../form/converter.ts'
import type { Signer } from '../form/signer.ts'
import type { DeliverySettings } from '../route/delivery-settings.ts'
import type { OwnAddresses } from '../route/hosts.ts'
import type { Buckets } from './buckets.ts'

/** What an attempt needs. */

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
  ownAddresses(): OwnAddresses
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
