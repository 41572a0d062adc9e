import { z } from 'zod'
import { observedStateSchema, serviceNameSchema } from '../services.ts'
import { eventRow, host, messageId } from './row.ts'

/** Events of workers, settings, the log, orders, external services and certificates. */

const certificate = {
  certificateId: z.string().max(100),
  name: z.string().max(100),
  names: z.array(host).max(100),
}

export const serviceEvents = {
  'worker.started': eventRow({
    title: 'Worker started',
    fields: z.object({ service: serviceNameSchema, version: z.string(), pid: z.number().int() }),
    severity: 6,
    operational: true,
    tone: 'calm',
    sentence: ({ service, version, pid }) => `${service} ${version} started as process ${pid}`,
  }),
  'worker.stopped': eventRow({
    title: 'Worker stopped',
    fields: z.object({ service: serviceNameSchema, cause: z.string().max(200) }),
    severity: 6,
    operational: true,
    tone: 'calm',
    sentence: ({ service, cause }) => `${service} stopped: ${cause}`,
  }),
  /** Recorded by the API. Counts are recipients. */
  'books.unbalanced': eventRow({
    by: 'api',
    title: 'Books do not balance',
    fields: z.object({
      balance: z.number().int(),
      received: z.number().int(),
      delivered: z.number().int(),
      bounced: z.number().int(),
      discarded: z.number().int(),
      queued: z.number().int(),
    }),
    severity: 3,
    operational: true,
    tone: 'danger',
    sentence: ({ balance, received, delivered, bounced, discarded, queued }) =>
      `the books are off by ${balance}: ${received} received, ${delivered} delivered, ${bounced} bounced, ${discarded} discarded, ${queued} queued`,
  }),
  'service.state': eventRow({
    title: 'Service changed state',
    fields: z.object({
      service: serviceNameSchema,
      observed: observedStateSchema,
      detail: z.string().max(500).optional(),
    }),
    severity: 6,
    operational: true,
    tone: 'calm',
    sentence: ({ service, observed, detail }) => `${service} is ${observed}${detail ? `: ${detail}` : ''}`,
  }),
  'listener.failed': eventRow({
    title: 'Port could not be opened',
    fields: z.object({
      listener: z.string().max(20),
      address: z.string(),
      port: z.number().int(),
      error: z.string().max(300),
    }),
    severity: 3,
    operational: true,
    tone: 'danger',
    sentence: ({ listener, address, port, error }) => `${listener} cannot listen on ${address}:${port}: ${error}`,
  }),
  'policy.applied': eventRow({
    title: 'Settings applied',
    fields: z.object({ revision: z.number().int(), tookMs: z.number().nonnegative() }),
    severity: 6,
    operational: true,
    tone: 'info',
    sentence: ({ revision, tookMs }) => `revision ${revision} applied in ${tookMs} ms`,
  }),
  'policy.refused': eventRow({
    title: 'Settings refused',
    fields: z.object({ revision: z.number().int(), inForce: z.number().int(), error: z.string().max(1000) }),
    severity: 3,
    operational: true,
    tone: 'danger',
    sentence: ({ revision, inForce, error }) => `revision ${revision} refused, still on ${inForce}: ${error}`,
  }),
  'order.done': eventRow({
    by: 'queue',
    title: 'Order carried out',
    fields: z.object({ orderId: z.string(), action: z.string(), matched: z.number().int().nonnegative() }),
    severity: 6,
    operational: true,
    tone: 'calm',
    sentence: ({ action, matched }) => `${action} carried out on ${matched} messages`,
  }),
  /**
   * A delivery application or a callout host failed. Recorded at most once a minute; `failures` is the number since the
   * last event.
   */
  'hook.failed': eventRow({
    title: 'External service failed',
    fields: z.object({
      hook: z.enum(['delivery-application', 'callout']),
      host,
      detail: z.string().max(300),
      failures: z.number().int().min(1),
    }),
    severity: 5,
    operational: false,
    tone: 'warn',
    sentence: ({ hook, host, failures, detail }) => `${hook} at ${host} failed ${failures} times: ${detail}`,
  }),
  /** Recorded by the API as worker `api`: 30, 14 and 3 days before expiry, and at expiry. */
  'certificate.expiring': eventRow({
    by: 'api',
    title: 'Certificate expiry warning',
    fields: z.object({ ...certificate, notAfter: z.iso.datetime(), daysLeft: z.number().int() }),
    severity: 4,
    operational: true,
    tone: 'warn',
    sentence: ({ name, names, daysLeft, notAfter }) =>
      daysLeft < 0
        ? `certificate ${name} for ${names.join(', ')} expired at ${notAfter}`
        : `certificate ${name} for ${names.join(', ')} expires in ${daysLeft} days, at ${notAfter}`,
  }),
  'certificate.issued': eventRow({
    by: 'api',
    title: 'Certificate issued by ACME',
    fields: z.object({ ...certificate, notAfter: z.iso.datetime(), issuer: z.string().max(300) }),
    severity: 6,
    operational: true,
    tone: 'good',
    sentence: ({ name, names, issuer, notAfter }) =>
      `certificate ${name} for ${names.join(', ')} was issued by ${issuer}, valid until ${notAfter}`,
  }),
  'certificate.failed': eventRow({
    by: 'api',
    title: 'ACME order failed',
    fields: z.object({ ...certificate, error: z.string().max(500), nextTryAt: z.iso.datetime() }),
    severity: 3,
    operational: true,
    tone: 'danger',
    sentence: ({ name, names, error, nextTryAt }) =>
      `certificate ${name} for ${names.join(', ')} was not issued: ${error}; next attempt ${nextTryAt}`,
  }),
  'message.damaged': eventRow({
    title: 'Stored message damaged',
    fields: z.object({ messageId: messageId.optional(), where: z.string().max(300), detail: z.string().max(300) }),
    severity: 3,
    operational: true,
    tone: 'danger',
    sentence: ({ where, detail }) => `damaged in ${where}: ${detail}`,
  }),
  /** The machine's clock was set forward or back while mail waited. The schedule and age of the mail did not change. */
  'clock.jumped': eventRow({
    by: 'queue',
    title: 'System clock changed',
    fields: z.object({ seconds: z.number().int() }),
    severity: 4,
    operational: true,
    tone: 'warn',
    sentence: ({ seconds }) =>
      `the system clock was set ${seconds < 0 ? 'back' : 'forward'} by ${Math.abs(seconds)} seconds; the schedule and age of waiting mail do not change`,
  }),
  'spool.full': eventRow({
    title: 'Spool is full',
    fields: z.object({ freeBytes: z.number(), reserveBytes: z.number() }),
    severity: 3,
    operational: true,
    tone: 'danger',
    sentence: ({ freeBytes, reserveBytes }) =>
      `the spool has ${freeBytes} bytes free, of which ${reserveBytes} are kept in reserve`,
  }),
  'log.dropped': eventRow({
    title: 'Events dropped',
    fields: z.object({ count: z.number().int(), because: z.string().max(200) }),
    severity: 4,
    operational: false,
    tone: 'danger',
    sentence: ({ count, because }) => `${count} events dropped: ${because}`,
  }),
}
