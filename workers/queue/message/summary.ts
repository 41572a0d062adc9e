import type { Envelope } from '@postern/contract/envelope.ts'
import type { WaitingMessage } from '@postern/contract/queue-mirror.ts'

/** What an operator is shown of a waiting message, from its envelope. The index keeps it as JSON, so that telling the API reads no spool. */
export type Summary = Omit<WaitingMessage, 'id' | 'size' | 'hold' | 'recipients'> & {
  to: [address: string, original?: string][]
}

export function summaryOf(envelope: Envelope): Summary {
  const { worker, receivedAt, sender, subject, origin, client, revision, recipients } = envelope
  const { ip, helo, login, tls } = client
  return {
    worker,
    receivedAt,
    sender,
    ...(subject === undefined ? {} : { subject }),
    origin,
    ...(origin === 'dsn' || origin === 'report'
      ? {}
      : {
          client: {
            ip,
            ...(helo ? { helo } : {}),
            ...(login === undefined ? {} : { login }),
            ...(tls ? { tls: `${tls.version} ${tls.cipher}` } : {}),
          },
        }),
    revision,
    to: recipients.map(({ address, original }) => (original === address ? [address] : [address, original])),
  }
}

/** Of a message whose envelope cannot be read. */
export function unreadableSummary(receivedAt: number): Summary {
  return { worker: '?', receivedAt, sender: '', origin: 'smtp', revision: 0, to: [] }
}
