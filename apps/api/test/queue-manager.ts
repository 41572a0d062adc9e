import type { QueueCounts, WaitingMessage } from '@postern/contract/queue-mirror.ts'
import type { Fixture } from './fixture.ts'

/** For tests: a Queue Manager that tells the API what waits in it. */
export function queueManagerFor(api: () => Fixture) {
  let position = 0
  let run = 0
  const waiting = new Map<string, WaitingMessage>()
  const counted = { id: 1, since: Date.now(), messages: 0, received: 0, delivered: 0, bounced: 0, discarded: 0 }
  const counts = (): QueueCounts => ({
    ...counted,
    waiting: [...waiting.values()].reduce((sum, { recipients }) => sum + recipients.length, 0),
  })
  const send = async (body: object) =>
    api().send('POST', '/v1/worker/queue', { token: await api().tokens.queue(), body: { incarnation: 1, ...body } })
  const everything = async () => {
    const all = { run: ++run, page: 0, last: true }
    await send({ from: 0, to: position, all, waiting: [...waiting.values()], gone: [], counts: counts() })
  }
  /** Tells changes: what waits now, and what does not any more; `ended` counts recipients with an outcome. */
  const tell = async (
    change: { waiting?: WaitingMessage[]; gone?: string[] } = {},
    ended: Partial<Record<'delivered' | 'bounced' | 'discarded', number>> = {},
  ) => {
    const before = counts().waiting
    for (const id of change.gone ?? []) waiting.delete(id)
    for (const message of change.waiting ?? []) waiting.set(message.id, message)
    const { delivered = 0, bounced = 0, discarded = 0 } = ended
    counted.delivered += delivered
    counted.bounced += bounced
    counted.discarded += discarded
    counted.received += delivered + bounced + discarded + counts().waiting - before
    counted.messages = counted.received
    const from = position++
    const answer = await send({ from, to: position, waiting: [], gone: [], ...change, counts: counts() })
    if (answer.status === 409) await everything()
    return answer.status
  }
  return { tell, everything, counted }
}

export function waitingMessage(
  id: string,
  to: (Partial<WaitingMessage['recipients'][number]> & { address: string })[],
  change: Partial<WaitingMessage> = {},
): WaitingMessage {
  return {
    id,
    worker: 'smtp-1',
    receivedAt: Date.now(),
    sender: 'jane@example.org',
    size: 1234,
    subject: 'Quarterly figures',
    origin: 'smtp',
    client: { ip: '192.0.2.7' },
    revision: 1,
    recipients: to.map((recipient) => ({ original: recipient.address, attempts: 0, ...recipient })),
    ...change,
  }
}
