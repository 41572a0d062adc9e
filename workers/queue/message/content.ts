import type { SpoolReader } from '@postern/spool/spool.ts'
import type { Mail } from './message.ts'
import { openDelivered, readDelivered } from './header-edits.ts'

/** Messages up to here are read whole; larger ones flow. */
export const wholeOctets = 1 << 20

/** The message as it is delivered, in pieces, in bounded memory. Rejects with SpoolDamaged before the end of a damaged one. */
export async function* chunksOf(mail: Mail, reader: SpoolReader): AsyncGenerator<Buffer> {
  if (mail.octets <= wholeOctets) yield await readDelivered(mail, reader)
  else yield* openDelivered(mail, reader) as AsyncIterable<Buffer>
}
