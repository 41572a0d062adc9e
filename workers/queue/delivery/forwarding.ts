import { HeaderEnd } from '@postern/mailauth/header.ts'
import type { SpoolReader } from '@postern/spool/spool.ts'
import { noEdits, openDelivered, withLines } from '../message/header-edits.ts'
import type { DeliveryJob, QueuedMessage } from '../message/message.ts'
import type { Outcome } from '../message/outcome.ts'
import { wasDelivered } from './maildir.ts'

/**
 * What an account forwards carries a Delivered-To field with its address, as with Postfix: mail that comes back to it is not
 * forwarded once more. Recipients that one account forwards to are a job of their own.
 */

const maxHeader = 1 << 20

/** The account that forwards the message to all recipients of this job. */
export function forwarderOf(mail: QueuedMessage, recipients: readonly number[]): string | undefined {
  return mail.envelope.recipients[recipients[0] as number]?.forwardedBy
}

/** The job as it leaves here, or what became of it: the message has been forwarded by this account before. */
export async function forwarded(
  job: DeliveryJob,
  forwarder: string,
  reader: SpoolReader,
): Promise<DeliveryJob | Outcome> {
  if (await wasDeliveredTo(job.mail, forwarder, reader))
    return {
      kind: 'bounced',
      status: '5.4.6',
      reply: `${forwarder} has forwarded the message before: a loop`,
      cause: 'loop',
    }
  const lines = `Delivered-To: ${Buffer.from(forwarder).toString('latin1')}\r\n`
  // All else is read and written where it is: what is stored may move while it is read.
  const mail: QueuedMessage = Object.create(job.mail, {
    headerEdits: { value: withLines(job.mail.headerEdits ?? noEdits, lines), writable: true },
  } satisfies { [key in keyof QueuedMessage]?: PropertyDescriptor })
  return { ...job, mail }
}

async function wasDeliveredTo(mail: QueuedMessage, address: string, reader: SpoolReader): Promise<boolean> {
  const head = new HeaderEnd(maxHeader)
  const stream = openDelivered(mail, reader)
  try {
    for await (const chunk of stream) {
      head.take(chunk as Buffer)
      if (head.ended || !head.isWhole) break
    }
  } finally {
    stream.destroy()
  }
  return wasDelivered(head, address)
}
