import type { SpoolReader } from '@postern/spool/spool.ts'
import { openDelivered, readDelivered } from './header-edits.ts'
import type { QueuedMessage } from './message.ts'

/** Messages up to here are read whole; larger ones flow. */
export const wholeBytes = 1 << 20

/** The message as it is delivered, in pieces, in bounded memory. Rejects with SpoolDamaged before the end of a damaged one. */
export async function* chunksOf(mail: QueuedMessage, reader: SpoolReader): AsyncGenerator<Buffer> {
  if (mail.bytes <= wholeBytes) yield await readDelivered(mail, reader)
  else yield* openDelivered(mail, reader) as AsyncIterable<Buffer>
}
