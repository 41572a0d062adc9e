import { randomBytes } from 'node:crypto'
import { xtext } from '../client/transaction.ts'

/** Writes a delivery status notification (RFC 3464, in the multipart/report of RFC 6522). */

export type Action = 'failed' | 'delayed' | 'delivered' | 'relayed'

export type Told = {
  /** The recipient as the sender wrote it, and ORCPT where he gave one. */
  original: string
  final: string
  orcpt?: string
  action: Action
  /** RFC 3463. */
  status: string
  /** What the remote, or we, said. */
  reply: string
  /** Why the last of several tries was the last. */
  givenUp?: string
  /** Host that said it; absent when we did. */
  remote?: string
  at: number
  willRetryUntil?: number
}

export type ReportGiven = {
  hostname: string
  sender: string
  envid?: string
  receivedAt: number
  told: Told[]
  /** The message, or only its header; and whether it may hold octets above 127. */
  returned: { kind: 'full' | 'headers'; octets: Buffer; eightBit: boolean }
  messageId: string
  now: number
}

const titles: Record<Action, string> = {
  failed: 'Undelivered mail: returned to sender',
  delayed: 'Delayed mail: still being tried',
  delivered: 'Mail delivered',
  relayed: 'Mail relayed',
}

/**
 * The message, CRLF throughout. Every part of ours is plain ASCII and needs no encoding; the returned message goes in as it
 * is: nothing reads, folds or re-encodes what a stranger wrote, so what comes back is what was sent.
 */
export function writeReport(given: ReportGiven): Buffer {
  const { hostname, sender, messageId, now, returned } = given
  const action = given.told[0]?.action ?? 'failed'
  const boundary = `postern-${randomBytes(18).toString('hex')}`
  const eightBit = returned.eightBit ? ['Content-Transfer-Encoding: 8bit'] : []
  const head = [
    `From: Mail Delivery System <MAILER-DAEMON@${hostname}>`,
    `To: <${clean(sender)}>`,
    `Subject: ${titles[action]}`,
    `Date: ${date(now)}`,
    `Message-ID: <${messageId}@${hostname}>`,
    'Auto-Submitted: auto-replied',
    'MIME-Version: 1.0',
    `Content-Type: multipart/report; report-type=delivery-status;\r\n boundary="${boundary}"`,
    ...eightBit,
    '',
    'This is a delivery status notification in MIME format.',
    '',
    `--${boundary}`,
    'Content-Description: Notification',
    'Content-Type: text/plain; charset=us-ascii',
    '',
    textFor(given, action),
    `--${boundary}`,
    'Content-Description: Delivery report',
    'Content-Type: message/delivery-status',
    '',
    statusFor(given),
    `--${boundary}`,
    `Content-Description: ${returned.kind === 'full' ? 'Undelivered message' : 'Headers of the message'}`,
    `Content-Type: ${returned.kind === 'full' ? 'message/rfc822' : 'text/rfc822-headers'}`,
    ...eightBit,
    '',
    '',
  ]
  return Buffer.concat([Buffer.from(head.join('\r\n')), returned.octets, Buffer.from(`\r\n--${boundary}--\r\n`)])
}

function textFor({ hostname, told }: ReportGiven, action: Action): string {
  const opening: Record<Action, string> = {
    failed: 'Your message could not be delivered to the recipients below. It will not be tried again.',
    delayed:
      'Your message has not been delivered to the recipients below yet.\r\nIt is still being tried: you need not send it again.',
    delivered: 'Your message was delivered to the recipients below.',
    relayed: 'Your message was passed on to a server that does not send such notices.',
  }
  const lines = told.map(({ original, final, reply, remote, givenUp }) => {
    const by = remote ? `${remote} said: ` : ''
    return `<${ascii(original)}>${final === original ? '' : ` (to <${ascii(final)}>)`}\r\n    ${by}${ascii(reply).replace(/\r\n/g, '\r\n    ')}${givenUp ? `\r\n    (${givenUp})` : ''}`
  })
  return `This is the mail system at ${hostname}.\r\n\r\n${opening[action]}\r\n\r\n${lines.join('\r\n\r\n')}\r\n`
}

function statusFor(given: ReportGiven): string {
  const message = [`Reporting-MTA: dns; ${given.hostname}`]
  if (given.envid) message.push(`Original-Envelope-Id: ${clean(given.envid)}`)
  message.push(`Arrival-Date: ${date(given.receivedAt)}`)
  return [message, ...given.told.map(recipientFields)].map((fields) => `${fields.join('\r\n')}\r\n`).join('\r\n')
}

function recipientFields(told: Told): string[] {
  const fields: string[] = []
  if (told.orcpt) {
    const [type = 'rfc822', ...address] = told.orcpt.includes(';') ? told.orcpt.split(';') : ['rfc822', told.orcpt]
    fields.push(`Original-Recipient: ${type};${xtext(address.join(';'))}`)
  }
  fields.push(`Final-Recipient: rfc822; ${ascii(told.final)}`, `Action: ${told.action}`, `Status: ${told.status}`)
  if (told.remote) fields.push(`Remote-MTA: dns; ${ascii(told.remote)}`)
  // Folded, so that a long reply breaks no line limit.
  const diagnostic = ascii(told.reply)
    .replace(/\s+/g, ' ')
    .slice(0, 1500)
    .match(/.{1,400}/g) ?? ['']
  fields.push(`Diagnostic-Code: ${told.remote ? 'smtp' : 'x-postern'}; ${diagnostic.join('\r\n ')}`)
  fields.push(`Last-Attempt-Date: ${date(told.at)}`)
  if (told.willRetryUntil) fields.push(`Will-Retry-Until: ${date(told.willRetryUntil)}`)
  return fields
}

function date(at: number): string {
  return new Date(at).toUTCString().replace('GMT', '+0000')
}

function clean(text: string): string {
  return text.replace(/\r?\n/g, '\r\n').replace(/[\x00-\x09\x0b\x0c\x0e-\x1f\x7f]/g, '?')
}

/** Delivery-status fields are ASCII (RFC 3464 §2.1). */
function ascii(text: string): string {
  return clean(text).replace(/[^\x0a\x0d\x20-\x7e]/g, '?')
}
