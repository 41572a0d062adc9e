import type { Envelope } from '@postern/contract/envelope.ts'
import { uuidv7 } from 'uuidv7'

/** Messages whose body can be told from their id: for tests that ask another process what it wrote. */

export function envelope(): Envelope {
  return {
    id: uuidv7(),
    receivedAt: Date.now(),
    worker: 'smtp-1',
    revision: 1,
    origin: 'smtp',
    sender: 'alice@example.org',
    recipients: [{ address: 'bob@example.net', original: 'bob@example.net' }],
    body: '8bitmime',
    smtpUtf8: false,
    hops: 1,
    client: { ip: '127.0.0.1', helo: 'client.example.org' },
  }
}

export function repeated(id: string, bytes: number): Buffer {
  return bytes === 0 ? Buffer.alloc(0) : Buffer.alloc(bytes, id)
}
