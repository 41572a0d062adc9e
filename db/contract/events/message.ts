import { z } from 'zod'
import { findingsSchema } from '../mailauth.ts'
import { address, client, eventRow, host, messageId, rejected, someOf, verdict } from './row.ts'

/** Events of a message: accepted or refused, held, released, signed, and notifications about it. */

export const messageEvents = {
  'message.accepted': eventRow({
    title: 'Message accepted',
    fields: z.object({
      messageId,
      origin: z.enum(['smtp', 'dsn', 'report', 'api']),
      client: client.optional(),
      sender: address,
      recipients: z.array(z.object({ address, original: address })),
      size: z.number().int().nonnegative(),
      subject: z.string().max(200).optional(),
      revision: z.number().int(),
      /** The deciding rule of each stage, and the decisions that rules in watch mode would have made. */
      rules: z.array(z.string().max(300)),
      held: z.string().max(200).optional(),
    }),
    severity: 6,
    operational: true,
    tone: 'good',
    sentence: ({ sender, recipients, size, client, subject, held }) =>
      `from <${sender}> to ${someOf(recipients.map((one) => one.address))}, ${size} bytes${client ? ` from ${client.ip}` : ''}${subject ? `, "${subject}"` : ''}${held ? `; held: ${held}` : ''}`,
    classic: ({ sender, recipients, size, client }, id) => {
      const from = client ? `client=${client.helo || 'unknown'}[${client.ip}], ` : ''
      return [`${id}: ${from}from=<${sender}>, size=${size}, nrcpt=${recipients.length}`]
    },
  }),
  'message.authenticated': eventRow({
    title: 'SPF, DKIM, DMARC results',
    /** `forged`: number of removed Authentication-Results fields that claimed to come from this server. */
    fields: z.object({ messageId, ...findingsSchema.shape, forged: z.number().int().nonnegative().optional() }),
    severity: 6,
    operational: true,
    tone: 'calm',
    sentence: ({ spf, dkim, dmarc, forged }) => {
      const said = [
        ...(spf ? [`SPF ${spf.result} for ${spf.domain}`] : []),
        ...(dkim ?? []).map(({ result, domain }) => `DKIM ${result}${domain ? ` by ${domain}` : ''}`),
        ...(dmarc ? [`DMARC ${dmarc.result} for ${dmarc.domain}, policy ${dmarc.policy}`] : []),
        ...(forged ? [`${forged} forged Authentication-Results removed`] : []),
      ]
      return said.join('; ') || 'no results for its sender'
    },
  }),
  'message.refused': eventRow({
    by: 'smtp',
    title: 'Message refused after DATA',
    fields: z.object({
      client,
      sender: address,
      recipients: z.array(address).max(100),
      size: z.number().int(),
      verdict,
    }),
    severity: 5,
    operational: true,
    tone: 'warn',
    sentence: ({ client, verdict, sender, recipients, size }) =>
      `${client.ip} refused by ${verdict.rule}: ${verdict.reply}; from <${sender}> to ${someOf(recipients)}, ${size} bytes`,
    classic: ({ client, verdict, sender, recipients }) => [
      `${rejected('DATA', client, verdict.reply)}; from=<${sender}> to=<${recipients[0] ?? ''}> proto=ESMTP helo=<${client.helo ?? ''}>`,
    ],
  }),
  'message.unsigned': eventRow({
    by: 'queue',
    title: 'DKIM signing failed',
    fields: z.object({ messageId, domain: host, detail: z.string().max(300) }),
    severity: 6,
    operational: true,
    tone: 'warn',
    sentence: ({ domain, detail }) => `sent without the signature of ${domain}: ${detail}`,
  }),
  'message.held': eventRow({
    by: 'queue',
    title: 'Held',
    fields: z.object({ messageId, by: address, reason: z.string().max(200).optional() }),
    severity: 5,
    operational: true,
    tone: 'warn',
    sentence: ({ by, reason }) => `held by ${by}${reason ? `: ${reason}` : ''}`,
  }),
  'message.released': eventRow({
    by: 'queue',
    title: 'Released',
    fields: z.object({ messageId, by: address }),
    severity: 6,
    operational: true,
    tone: 'calm',
    sentence: ({ by }) => `released by ${by}`,
  }),
  'message.rerouted': eventRow({
    by: 'queue',
    title: 'Rerouted',
    fields: z.object({ messageId, by: address, to: z.string().max(300) }),
    severity: 6,
    operational: true,
    tone: 'calm',
    sentence: ({ to, by }) => `rerouted to ${to} by ${by}`,
  }),
  'dsn.written': eventRow({
    by: 'queue',
    title: 'DSN created',
    fields: z.object({
      messageId,
      about: messageId,
      action: z.enum(['failed', 'delayed', 'delivered', 'relayed', 'expanded']),
    }),
    severity: 6,
    operational: true,
    tone: 'calm',
    sentence: ({ action, about }) => `DSN (${action}) for message ${about}`,
  }),
}
