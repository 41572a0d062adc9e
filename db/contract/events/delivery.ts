import { z } from 'zod'
import { address, eventRow, host, messageId, someOf } from './row.ts'

/** Delivery attempts of the Queue Manager, and the outcome for each recipient. */

const attempt = {
  messageId,
  /** Counts from 1 in each recipient's schedule. */
  attempt: z.number().int().min(1),
  recipients: z.array(address).min(1),
  remote: z.object({
    /** Host name, or the route (`maildir`, `discard`). */
    host,
    address: z.string().max(64).optional(),
    port: z.number().int().optional(),
    tls: z.string().max(100).optional(),
  }),
  /** The remote server's reply, truncated to 2000 characters. If there was none, a sentence from Postern. */
  reply: z.string().max(2000),
  durationMs: z.number().int().nonnegative(),
}
const attemptSchema = z.object(attempt)

/** Writes one line for each recipient, because log tools count lines. */
function attemptLines(
  { recipients, remote: { host, address, port }, reply, durationMs }: z.infer<typeof attemptSchema>,
  id: string,
  { dsn, status }: { dsn: string; status: string },
): string[] {
  const relay = `${host}${address ? `[${address}]` : ''}${port ? `:${port}` : ''}`
  const delay = (durationMs / 1000).toFixed(2)
  return recipients.map(
    (to) => `${id}: to=<${to}>, relay=${relay}, delay=${delay}, dsn=${dsn}, status=${status} (${reply.slice(0, 500)})`,
  )
}

export const deliveryEvents = {
  'delivery.delivered': eventRow({
    by: 'queue',
    title: 'Delivered',
    fields: attemptSchema,
    severity: 6,
    operational: true,
    tone: 'good',
    sentence: ({ remote, recipients, reply }) => `${remote.host} accepted it for ${someOf(recipients)}: ${reply}`,
    classic: (event, id) => attemptLines(event, id, { dsn: '2.0.0', status: 'sent' }),
  }),
  'delivery.deferred': eventRow({
    by: 'queue',
    title: 'Deferred',
    fields: z.object({ ...attempt, nextTryAt: z.iso.datetime(), cause: z.string().max(100) }),
    severity: 5,
    operational: true,
    tone: 'warn',
    sentence: ({ remote, recipients, reply, nextTryAt }) =>
      `${remote.host} for ${someOf(recipients)}: ${reply}; next attempt ${nextTryAt}`,
    classic: (event, id) => attemptLines(event, id, { dsn: '4.0.0', status: 'deferred' }),
  }),
  'delivery.bounced': eventRow({
    by: 'queue',
    title: 'Bounced',
    fields: z.object({ ...attempt, cause: z.string().max(100), status: z.string().max(20) }),
    severity: 4,
    operational: true,
    tone: 'danger',
    sentence: ({ remote, recipients, reply, status }) =>
      `${remote.host} for ${someOf(recipients)}: ${reply}; returned with ${status}`,
    classic: (event, id) => attemptLines(event, id, { dsn: event.status, status: 'bounced' }),
  }),
  /** `by` names the rule (route discard) or the operator (delete). */
  'delivery.discarded': eventRow({
    by: 'queue',
    title: 'Discarded',
    fields: z.object({ messageId, recipients: z.array(address).min(1), by: address }),
    severity: 6,
    operational: true,
    tone: 'calm',
    sentence: ({ recipients, by }) => `discarded for ${someOf(recipients)} by ${by}`,
    classic: ({ recipients }, id) =>
      recipients.map((to) => `${id}: to=<${to}>, relay=none, delay=0, dsn=2.0.0, status=discarded`),
  }),
  /** Recorded by the API: `worker` reported an outcome for recipients that already had one. */
  'delivery.duplicate': eventRow({
    by: 'api',
    title: 'Delivered or bounced again',
    fields: z.object({ messageId, recipients: z.array(address).min(1).max(100), worker: z.string().max(64) }),
    severity: 4,
    operational: true,
    tone: 'warn',
    sentence: ({ worker, recipients }) => `${worker} reported a second outcome for ${someOf(recipients)}`,
  }),
  /** The delivery violated an MTA-STS policy in testing mode (RFC 8461 §5). The mail was delivered. */
  'tls.unproved': eventRow({
    by: 'queue',
    title: 'TLS policy not met (testing)',
    fields: z.object({ domain: host, host, detail: z.string().max(600) }),
    severity: 6,
    operational: false,
    tone: 'warn',
    sentence: ({ domain, host, detail }) => `mail for ${domain} went to ${host} although ${detail}`,
  }),
}
