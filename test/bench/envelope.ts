import type { Envelope } from '@postern/contract/envelope.ts'
import { envelope } from '@postern/spool/test/messages.ts'

/** The envelope of a message that a bench puts into a spool or an index itself, for `sink.test`. */
export function benchEnvelope(more: Partial<Envelope> = {}): Envelope {
  return {
    ...envelope(),
    sender: 'a@sender.test',
    recipients: [{ address: 'b@sink.test', original: 'b@sink.test' }],
    body: '7bit',
    client: { ip: '127.0.0.1', helo: 'bench' },
    ...more,
  }
}
