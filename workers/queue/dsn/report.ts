import { randomBytes } from 'node:crypto'
import { disembedded, embedded } from '@postern/contract/address.ts'

/** Writes a delivery status notification (RFC 3464, in the multipart/report of RFC 6522; about internationalized mail RFC 6533). */

export type Action = 'failed' | 'delayed' | 'delivered' | 'relayed'

export type RecipientReport = {
  /** The recipient as the sender wrote it, and ORCPT, decoded, where he gave one. */
  original: string
  final: string
  orcpt?: string
  action: Action
  /** RFC 3463. */
  status: string
  /** The reply of the remote, or ours. */
  reply: string
  /** Why the last of several tries was the last. */
  givenUp?: string
  /** The host that replied; absent when the reply is ours. */
  remote?: string
  at: number
  willRetryUntil?: number
}

export type DsnFields = {
  hostname: string
  sender: string
  envid?: string
  /** The message is one of SMTPUTF8 (RFC 6531): its sender reads UTF-8, and so do the fields about it. */
  smtpUtf8: boolean
  receivedAt: number
  recipients: RecipientReport[]
  /** The message, or only its header; and whether it may hold bytes above 127. */
  returned: { kind: 'full' | 'headers'; bytes: Buffer; eightBit: boolean }
  messageId: string
  now: number
}

const titles: Record<Action, string> = {
  failed: 'Undelivered mail: returned to sender',
  delayed: 'Delayed mail: still being tried',
  delivered: 'Mail delivered',
  relayed: 'Mail relayed',
}

const types = {
  ascii: { status: 'message/delivery-status', full: 'message/rfc822', headers: 'text/rfc822-headers' },
  // RFC 6533 §4 and §5
  utf8: { status: 'message/global-delivery-status', full: 'message/global', headers: 'message/global-headers' },
}

/**
 * The message, CRLF throughout. Every part of ours is plain ASCII, or UTF-8 about mail of SMTPUTF8, and needs no encoding; the
 * returned message goes in as it is: it is not parsed, folded or re-encoded.
 */
export function writeReport(report: DsnFields): { bytes: Buffer; eightBit: boolean } {
  const { hostname, sender, messageId, now, returned, smtpUtf8 } = report
  const action = report.recipients[0]?.action ?? 'failed'
  const boundary = `postern-${randomBytes(18).toString('hex')}`
  const type = smtpUtf8 ? types.utf8 : types.ascii
  const text = textFor(report, action)
  const status = statusFor(report)
  const eightBit = returned.eightBit || isEightBit(text) || isEightBit(status)
  const head = [
    `From: Mail Delivery System <MAILER-DAEMON@${hostname}>`,
    `To: <${clean(sender)}>`,
    `Subject: ${titles[action]}`,
    `Date: ${date(now)}`,
    `Message-ID: <${messageId}@${hostname}>`,
    'Auto-Submitted: auto-replied',
    'MIME-Version: 1.0',
    `Content-Type: multipart/report; report-type=delivery-status;\r\n boundary="${boundary}"`,
    ...encoding(eightBit),
    '',
    'This is a delivery status notification in MIME format.',
    '',
    `--${boundary}`,
    'Content-Description: Notification',
    `Content-Type: text/plain; charset=${isEightBit(text) ? 'utf-8' : 'us-ascii'}`,
    ...encoding(isEightBit(text)),
    '',
    text,
    `--${boundary}`,
    'Content-Description: Delivery report',
    `Content-Type: ${type.status}`,
    ...encoding(isEightBit(status)),
    '',
    status,
    `--${boundary}`,
    `Content-Description: ${returned.kind === 'full' ? 'Undelivered message' : 'Headers of the message'}`,
    `Content-Type: ${type[returned.kind]}`,
    ...encoding(returned.eightBit),
    '',
    '',
  ]
  const end = Buffer.from(`\r\n--${boundary}--\r\n`)
  return { bytes: Buffer.concat([Buffer.from(head.join('\r\n')), returned.bytes, end]), eightBit }
}

function encoding(eightBit: boolean): string[] {
  return eightBit ? ['Content-Transfer-Encoding: 8bit'] : []
}

function isEightBit(text: string): boolean {
  return /[^\x00-\x7f]/.test(text)
}

function textFor({ hostname, recipients, smtpUtf8 }: DsnFields, action: Action): string {
  const opening: Record<Action, string> = {
    failed: 'Your message could not be delivered to the recipients below. It will not be tried again.',
    delayed:
      'Your message has not been delivered to the recipients below yet.\r\nIt is still being tried: you need not send it again.',
    delivered: 'Your message was delivered to the recipients below.',
    relayed: 'Your message was passed on to a server that does not send such notices.',
  }
  const lines = recipients.map(({ original, final, reply, remote, givenUp }) => {
    const by = remote ? `${remote} said: ` : ''
    const answer = ascii(reply).replace(/\r\n/g, '\r\n    ')
    const to = final === original ? '' : ` (to <${shown(final, smtpUtf8)}>)`
    return `<${shown(original, smtpUtf8)}>${to}\r\n    ${by}${answer}${givenUp ? `\r\n    (${givenUp})` : ''}`
  })
  return `This is the mail system at ${hostname}.\r\n\r\n${opening[action]}\r\n\r\n${lines.join('\r\n\r\n')}\r\n`
}

function statusFor(report: DsnFields): string {
  const message = [`Reporting-MTA: dns; ${report.hostname}`]
  if (report.envid) message.push(`Original-Envelope-Id: ${clean(report.envid)}`)
  message.push(`Arrival-Date: ${date(report.receivedAt)}`)
  return [message, ...report.recipients.map((recipient) => recipientFields(recipient, report.smtpUtf8))]
    .map((fields) => `${fields.join('\r\n')}\r\n`)
    .join('\r\n')
}

function recipientFields(recipient: RecipientReport, smtpUtf8: boolean): string[] {
  const fields: string[] = []
  if (recipient.orcpt) fields.push(`Original-Recipient: ${originalRecipient(recipient.orcpt, smtpUtf8)}`)
  fields.push(
    `Final-Recipient: ${isEightBit(recipient.final) ? 'utf-8' : 'rfc822'}; ${shown(recipient.final, smtpUtf8)}`,
    `Action: ${recipient.action}`,
    `Status: ${recipient.status}`,
  )
  if (recipient.remote) fields.push(`Remote-MTA: dns; ${ascii(recipient.remote)}`)
  // Folded, so that a long reply breaks no line limit.
  const diagnostic = ascii(recipient.reply)
    .replace(/\s+/g, ' ')
    .slice(0, 1500)
    .match(/.{1,400}/g) ?? ['']
  fields.push(`Diagnostic-Code: ${recipient.remote ? 'smtp' : 'x-postern'}; ${diagnostic.join('\r\n ')}`)
  fields.push(`Last-Attempt-Date: ${date(recipient.at)}`)
  if (recipient.willRetryUntil) fields.push(`Will-Retry-Until: ${date(recipient.willRetryUntil)}`)
  return fields
}

/** RFC 3461 §6.3 (c): the address without its xtext. RFC 6533 §3: what is beyond ASCII as it is, or as `\\x{…}` where only ASCII may stand. */
function originalRecipient(orcpt: string, smtpUtf8: boolean): string {
  const at = orcpt.indexOf(';')
  const type = at === -1 ? 'rfc822' : orcpt.slice(0, at)
  const address = orcpt.slice(at + 1)
  const isUtf8 = smtpUtf8 && type.toLowerCase() === 'utf-8'
  return `${type};${shown(isUtf8 ? disembedded(address) : address, smtpUtf8)}`
}

/** An address on one line: in UTF-8 with nothing that cannot be seen, or in ASCII. */
function shown(address: string, smtpUtf8: boolean): string {
  return smtpUtf8 ? address.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, '?') : ascii(embedded(address))
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
