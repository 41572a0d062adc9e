import type { Envelope, Recipient } from '@postern/contract/envelope.ts'
import type { RecordEvent } from '@postern/runtime/worker.ts'
import { SpoolDamaged, type SpoolReader, type SpoolWriter } from '@postern/spool/spool.ts'
import { uuidv7 } from 'uuidv7'
import { deliveredBytes, openDelivered, readDelivered } from '../message/header-edits.ts'
import type { QueuedMessage } from '../message/message.ts'
import type { DeliverySettings } from '../route/delivery-settings.ts'
import { ownRecipients } from '../route/own-recipients.ts'
import { type Action, type RecipientReport, writeReport } from './report.ts'

/** Who is told what: NOTIFY (RFC 3461 §4.1), never a notification about a null sender (RFC 5321 §4.5.5), one for each event. */

export type DsnContext = {
  settings(): DeliverySettings
  reader: SpoolReader
  writer: SpoolWriter
  record: RecordEvent
}

/** Bytes of a message that are returned in full; of a larger one the header comes back (RFC 3461 §6.2 allows it). */
const maxReturned = 256 << 10
const maxHeader = 64 << 10

const notifyWords: { [action in Action]: 'failure' | 'delay' | 'success' } = {
  failed: 'failure',
  delayed: 'delay',
  delivered: 'success',
  relayed: 'success',
}

/** Whether the sender is told this of this recipient. Without NOTIFY: failures and delays (RFC 3461 §4.1). */
export function wantsNotification(envelope: Envelope, to: Recipient, action: Action): boolean {
  if (envelope.sender === '') return false
  const keyword = notifyWords[action]
  return to.notify ? to.notify.includes(keyword) : keyword !== 'success'
}

/**
 * Writes one notification about these recipients, durably; resolves when it is stored. Nothing is written when nobody
 * wants it. Rejects with SpoolFull or SpoolFailure.
 */
export async function notify(
  mail: QueuedMessage,
  told: (RecipientReport & { r: number })[],
  context: DsnContext,
): Promise<void> {
  const { envelope } = mail
  const wanted = told.filter(({ r, action }) =>
    wantsNotification(envelope, envelope.recipients[r] as Recipient, action),
  )
  if (wanted.length === 0) return
  const settings = context.settings()
  const now = Date.now()
  const id = uuidv7()
  const action = (wanted[0] as RecipientReport).action
  const returned = await returnedPart(mail, action, context.reader)
  const { bytes: body, eightBit } = writeReport({
    hostname: settings.hostname,
    sender: envelope.sender,
    ...(envelope.envid ? { envid: envelope.envid } : {}),
    smtpUtf8: envelope.smtpUtf8,
    receivedAt: envelope.receivedAt,
    recipients: wanted,
    returned,
    messageId: id,
    now,
  })
  await context.writer.write({
    envelope: {
      ...notificationEnvelope(mail, { id, now, settings, eightBit }),
      worker: context.writer.name,
    },
    body,
  })
  context.record('dsn.written', { messageId: id, about: envelope.id, action })
}

function notificationEnvelope(
  { envelope }: QueuedMessage,
  { id, now, settings, eightBit }: { id: string; now: number; settings: DeliverySettings; eightBit: boolean },
): Envelope {
  return {
    id,
    receivedAt: now,
    worker: envelope.worker,
    revision: settings.revision,
    origin: 'dsn',
    sender: '',
    recipients: ownRecipients(envelope.sender, settings),
    body: eightBit ? '8bitmime' : '7bit',
    smtpUtf8: envelope.smtpUtf8 && /[^\x00-\x7f]/.test(envelope.sender),
    hops: 0,
    client: { ip: '127.0.0.1', helo: settings.hostname },
    // RFC 8689 §5: it holds the header of the message, and is protected as that was.
    ...(envelope.requireTls ? { requireTls: true } : {}),
  }
}

/** The message itself with a failure, unless RET=HDRS, or REQUIRETLS (RFC 8689 §5), or it is large; else its header. */
async function returnedPart(mail: QueuedMessage, action: Action, reader: SpoolReader) {
  const { ret, requireTls } = mail.envelope
  const full = action === 'failed' && ret !== 'hdrs' && !requireTls && deliveredBytes(mail) <= maxReturned
  const bytes = full ? await wholeOrNothing(mail, reader) : await header(mail, reader)
  return {
    kind: full ? ('full' as const) : ('headers' as const),
    bytes,
    eightBit: bytes.some((byte) => byte > 127),
  }
}

const damagedNote = Buffer.from('X-Postern-Note: the stored message is damaged\r\n\r\n')

async function wholeOrNothing(mail: QueuedMessage, reader: SpoolReader): Promise<Buffer> {
  if (!mail.location) return damagedNote
  try {
    return await readDelivered(mail, reader)
  } catch (error) {
    if (error instanceof SpoolDamaged) return damagedNote
    throw error
  }
}

async function header(mail: QueuedMessage, reader: SpoolReader): Promise<Buffer> {
  if (!mail.location) return damagedNote
  const stream = openDelivered(mail, reader)
  let bytes: Buffer = Buffer.alloc(0)
  try {
    for await (const chunk of stream) {
      bytes = Buffer.concat([bytes, chunk as Buffer])
      const end = bytes.indexOf('\r\n\r\n')
      if (end >= 0 && end < maxHeader) return bytes.subarray(0, end + 2)
      // Cut at the end of a line.
      if (bytes.length >= maxHeader) return bytes.subarray(0, bytes.lastIndexOf('\r\n', maxHeader) + 2)
    }
  } catch (error) {
    if (!(error instanceof SpoolDamaged)) throw error
  } finally {
    stream.destroy()
  }
  return bytes
}
