import type { SpoolReader } from '@postern/spool/spool.ts'
import type { Mail } from './mail.ts'

/** Messages up to here are read whole; larger ones flow. */
export const wholeOctets = 1 << 20

/** A message that is copied on while it is read is read again where it lies now. */
export async function readWhole(mail: Mail, reader: SpoolReader): Promise<Buffer> {
  const { location } = mail
  try {
    return await reader.readBody(location)
  } catch (error) {
    if (mail.location === location) throw error
    return reader.readBody(mail.location)
  }
}

/** The message in pieces, in bounded memory. Rejects with SpoolDamaged before the end of a damaged one. */
export async function* chunksOf(mail: Mail, reader: SpoolReader): AsyncGenerator<Buffer> {
  if (mail.octets <= wholeOctets) yield await readWhole(mail, reader)
  else yield* reader.openBody(mail.location) as AsyncIterable<Buffer>
}
