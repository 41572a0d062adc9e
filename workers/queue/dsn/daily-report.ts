import type { Envelope } from '@postern/contract/envelope.ts'
import type { ReportOrder } from '@postern/contract/orders.ts'
import type { DeliverySettings } from '../route/delivery-settings.ts'
import { ownRecipients } from '../route/own-recipients.ts'

/** The daily report as a message. Its null sender keeps a report that cannot be delivered from making more mail. */
export function dailyReport(
  { messageId, to, subject, text }: ReportOrder,
  { settings, worker, now }: { settings: DeliverySettings; worker: string; now: number },
): { envelope: Envelope; body: Buffer } {
  const { hostname, revision } = settings
  const lines = [
    `From: Postern <postmaster@${hostname}>`,
    `To: <${to}>`,
    `Subject: ${subject}`,
    `Date: ${new Date(now).toUTCString().replace('GMT', '+0000')}`,
    `Message-ID: <${messageId}@${hostname}>`,
    'Auto-Submitted: auto-generated',
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=us-ascii',
    '',
    ...text.split('\n'),
    '',
  ]
  return {
    envelope: {
      id: messageId,
      receivedAt: now,
      worker,
      revision,
      origin: 'report',
      sender: '',
      recipients: ownRecipients(to, settings),
      subject,
      body: '7bit',
      smtpUtf8: /[^\x00-\x7f]/.test(to),
      hops: 0,
      client: { ip: '127.0.0.1', helo: hostname },
    },
    body: Buffer.from(lines.join('\r\n')),
  }
}
