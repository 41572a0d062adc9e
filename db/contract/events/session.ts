import { z } from 'zod'
import { offenceKinds } from '../offences.ts'
import { reasons } from '../reasons.ts'
import { ruleSchema, stageNames } from '../rules.ts'
import { address, client, eventRow, host, rejected, verdict } from './row.ts'

/** Events of a session outside its messages. `session` is the same in all events of one connection. */

const session = z.string().max(40)

export const sessionEvents = {
  'session.opened': eventRow({
    by: 'smtp',
    title: 'Connection opened',
    fields: z.object({ client, session, listener: z.string().max(40) }),
    level: 'verbose',
    severity: 6,
    operational: false,
    tone: 'calm',
    sentence: ({ client, listener }) => `${client.ip} connected to ${listener}`,
    classic: ({ client }) => [`connect from unknown[${client.ip}]`],
  }),
  'session.closed': eventRow({
    by: 'smtp',
    title: 'Connection closed',
    fields: z.object({
      client,
      session,
      messages: z.number().int().nonnegative(),
      seconds: z.number().nonnegative(),
    }),
    level: 'verbose',
    severity: 6,
    operational: false,
    tone: 'calm',
    sentence: ({ client, seconds, messages }) =>
      `${client.ip} disconnected after ${seconds} s and ${messages} messages`,
    classic: ({ client, messages, seconds }) => [
      `disconnect from unknown[${client.ip}] messages=${messages} seconds=${seconds}`,
    ],
  }),
  /** One line from either side. Secrets and possible secrets are masked before the event is created. */
  'session.dialogue': eventRow({
    by: 'smtp',
    title: 'SMTP dialogue',
    fields: z.object({
      client: z.object({ ip: z.string() }),
      session,
      from: z.enum(['client', 'server']),
      text: z.string().max(1000),
    }),
    level: 'debug',
    severity: 7,
    operational: false,
    tone: 'calm',
    sentence: ({ client, from, text }) => `${client.ip} ${from === 'client' ? 'said' : 'was told'}: ${text}`,
    classic: ({ from, text }) => [`${from === 'client' ? '<' : '>'} ${text}`],
  }),
  /** One line from either side of a connection that the Queue Manager opened. */
  'outbound.dialogue': eventRow({
    by: 'queue',
    title: 'Outgoing SMTP dialogue',
    fields: z.object({
      remote: z.object({ host, address: z.string().max(64), port: z.number().int() }),
      session,
      from: z.enum(['client', 'server']),
      text: z.string().max(1000),
    }),
    level: 'debug',
    severity: 7,
    operational: false,
    tone: 'calm',
    sentence: ({ remote, from, text }) => `${remote.host} ${from === 'client' ? 'was told' : 'said'}: ${text}`,
    classic: ({ from, text }) => [`${from === 'client' ? '>' : '<'} ${text}`],
  }),
  'session.refused': eventRow({
    by: 'smtp',
    title: 'Connection refused',
    fields: z.object({ client, verdict }),
    severity: 5,
    operational: false,
    tone: 'warn',
    sentence: ({ client, verdict }) => `${client.ip} refused by ${verdict.rule}: ${verdict.reply}`,
    classic: ({ client, verdict }) => [rejected('CONNECT', client, verdict.reply)],
  }),
  'session.error': eventRow({
    by: 'smtp',
    title: 'Protocol error',
    fields: z.object({
      client,
      reason: z.enum(reasons),
      detail: z.string().max(500),
      reply: z.string().max(600).optional(),
    }),
    severity: 5,
    operational: false,
    tone: 'warn',
    sentence: ({ client, reason, detail, reply }) =>
      `${client.ip}: ${reason}, ${detail}${reply ? `; answered ${reply}` : ''}`,
  }),
  'session.watched': eventRow({
    by: 'smtp',
    title: 'Rule in watch mode matched',
    fields: z.object({ client, stage: z.enum(stageNames), rule: ruleSchema, because: z.string().max(500) }),
    severity: 6,
    operational: false,
    tone: 'info',
    sentence: ({ client, stage, rule, because }) => `${client.ip}: ${stage}: ${rule} (watched) ${because}`,
  }),
  'auth.succeeded': eventRow({
    by: 'smtp',
    title: 'Login',
    fields: z.object({ client, login: address, mechanism: z.string().max(40) }),
    severity: 6,
    operational: false,
    tone: 'calm',
    sentence: ({ client, login, mechanism }) => `${client.ip} logged in as ${login} by ${mechanism}`,
    classic: ({ mechanism, login }) => [`sasl_method=${mechanism}, sasl_username=${login}`],
  }),
  'auth.failed': eventRow({
    by: 'smtp',
    title: 'Login failed',
    fields: z.object({ client, login: address, mechanism: z.string().max(40), verdict }),
    severity: 5,
    operational: false,
    tone: 'warn',
    sentence: ({ client, login, verdict }) => `${client.ip} failed to log in as "${login}": ${verdict.reply}`,
    classic: ({ mechanism, login, verdict }) => [
      `warning: SASL ${mechanism} authentication failed for ${login}: ${verdict.reply}`,
    ],
  }),
  'command.refused': eventRow({
    by: 'smtp',
    title: 'Command refused',
    fields: z.object({ client, sender: address.optional(), recipient: address.optional(), verdict }),
    severity: 5,
    operational: false,
    tone: 'warn',
    sentence: ({ client, sender, recipient, verdict: { rule, reply } }) =>
      `${client.ip} refused by ${rule}: ${reply}; from <${sender ?? ''}>${recipient === undefined ? '' : ` to <${recipient}>`}`,
    classic: ({ client, sender, recipient, verdict }) => [
      `${rejected(verdict.stage.toUpperCase(), client, verdict.reply)}; from=<${sender ?? ''}>${recipient === undefined ? '' : ` to=<${recipient}>`} proto=ESMTP helo=<${client.helo ?? ''}>`,
    ],
  }),
  /** Recorded once, by the worker whose report caused the entry. */
  'address.blocked': eventRow({
    by: 'smtp',
    title: 'Address blocked',
    fields: z.object({
      address: z.string().max(64),
      kind: z.enum(offenceKinds),
      reason: z.string().max(200),
      expiresAt: z.iso.datetime(),
    }),
    severity: 6,
    operational: false,
    tone: 'warn',
    sentence: ({ address, expiresAt, reason }) => `${address} is blocked until ${expiresAt}: ${reason}`,
  }),
}
