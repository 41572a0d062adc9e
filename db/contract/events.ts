import { z } from 'zod'
import { findingsSchema } from './mailauth.ts'
import { offenceKinds } from './offences.ts'
import { ruleSchema, stageNames } from './rules.ts'
import { observedStateSchema, type ServiceName, serviceNameSchema } from './services.ts'
import { reasons } from './verdict.ts'

/**
 * All event types. Every decision and every step of a message is one event. Each worker numbers its events
 * without gaps and keeps them on its disk until storage has acknowledged them. No event holds a secret or a message body.
 */

const messageId = z.string().length(36)
const verdict = z.object({
  stage: z.enum(stageNames),
  rule: ruleSchema,
  reason: z.enum(reasons),
  revision: z.number().int(),
  /** The reply as the client read it, first line. */
  reply: z.string().max(600),
  explanation: z.array(z.string().max(500)).max(20),
  trail: z
    .array(
      z.object({
        rule: ruleSchema,
        said: z.enum(['passed', 'decided', 'watched', 'not-known', 'exempt']),
        because: z.string().max(300).optional(),
      }),
    )
    .max(40),
})
export type VerdictRecord = z.infer<typeof verdict>

const client = z.object({
  ip: z.string(),
  helo: z.string().max(255).optional(),
  login: z.string().max(320).optional(),
  tls: z.string().max(100).optional(),
})

const remote = z.object({
  /** Host name, or the route (`maildir`, `discard`). */
  host: z.string().max(255),
  address: z.string().max(64).optional(),
  port: z.number().int().optional(),
  tls: z.string().max(100).optional(),
})

const attempt = {
  messageId,
  /** Counts from 1 for each recipient's schedule. */
  attempt: z.number().int().min(1),
  recipients: z.array(z.string().max(320)).min(1),
  remote,
  /** The remote's reply, cut at 2000 characters; our own sentence if there was none. */
  reply: z.string().max(2000),
  durationMs: z.number().int().nonnegative(),
}

const certificate = {
  certificateId: z.string().max(100),
  name: z.string().max(100),
  names: z.array(z.string().max(255)).max(100),
}

/** One row for each event: its type, the only service that records it (absent: any worker), its title for people, its fields. */
export const eventTypes = {
  'worker.started': {
    title: 'Worker started',
    fields: z.object({ service: serviceNameSchema, version: z.string(), pid: z.number().int() }),
  },
  'worker.stopped': {
    title: 'Worker stopped',
    fields: z.object({ service: serviceNameSchema, cause: z.string().max(200) }),
  },
  'service.state': {
    title: 'Service changed state',
    fields: z.object({
      service: serviceNameSchema,
      observed: observedStateSchema,
      detail: z.string().max(500).optional(),
    }),
  },
  'listener.failed': {
    title: 'Port could not be opened',
    fields: z.object({ listener: z.string(), address: z.string(), port: z.number().int(), error: z.string().max(300) }),
  },
  'policy.applied': {
    title: 'Settings applied',
    fields: z.object({ revision: z.number().int(), tookMs: z.number().nonnegative() }),
  },
  'policy.refused': {
    title: 'Settings refused',
    fields: z.object({ revision: z.number().int(), inForce: z.number().int(), error: z.string().max(1000) }),
  },

  /** Events of the levels verbose and debug (logged.ts). `session` is the same in all events of one connection. */
  'session.opened': {
    by: 'smtp',
    title: 'Connection opened',
    fields: z.object({ client, session: z.string().max(40), listener: z.string().max(40) }),
  },
  'session.closed': {
    by: 'smtp',
    title: 'Connection closed',
    fields: z.object({
      client,
      session: z.string().max(40),
      messages: z.number().int().nonnegative(),
      seconds: z.number().nonnegative(),
    }),
  },
  /** One line of either side. Secrets, and what may be one, are masked before the event is made. */
  'session.dialogue': {
    by: 'smtp',
    title: 'SMTP dialogue',
    fields: z.object({
      client: z.object({ ip: z.string() }),
      session: z.string().max(40),
      from: z.enum(['client', 'server']),
      text: z.string().max(1000),
    }),
  },

  /** The same for a connection that the Queue Manager opened. */
  'outbound.dialogue': {
    by: 'queue',
    title: 'SMTP dialogue with the next host',
    fields: z.object({
      remote: z.object({ host: z.string().max(255), address: z.string().max(64), port: z.number().int() }),
      session: z.string().max(40),
      from: z.enum(['client', 'server']),
      text: z.string().max(1000),
    }),
  },

  'session.refused': { by: 'smtp', title: 'Connection refused', fields: z.object({ client, verdict }) },
  'session.error': {
    by: 'smtp',
    title: 'Protocol error',
    fields: z.object({
      client,
      reason: z.enum(reasons),
      detail: z.string().max(500),
      reply: z.string().max(600).optional(),
    }),
  },
  'session.watched': {
    by: 'smtp',
    title: 'Watched rule would have decided',
    fields: z.object({ client, stage: z.enum(stageNames), rule: ruleSchema, because: z.string().max(500) }),
  },
  'auth.succeeded': {
    by: 'smtp',
    title: 'Login',
    fields: z.object({ client, login: z.string().max(320), mechanism: z.string().max(40) }),
  },
  'auth.failed': {
    by: 'smtp',
    title: 'Login failed',
    fields: z.object({ client, login: z.string().max(320), mechanism: z.string().max(40), verdict }),
  },
  'command.refused': {
    by: 'smtp',
    title: 'Command refused',
    fields: z.object({
      client,
      sender: z.string().max(320).optional(),
      recipient: z.string().max(320).optional(),
      verdict,
    }),
  },

  /** Recorded once, by the worker whose report led to the entry. */
  'address.blocked': {
    by: 'smtp',
    title: 'Address blocked',
    fields: z.object({
      address: z.string().max(64),
      kind: z.enum(offenceKinds),
      reason: z.string().max(200),
      expiresAt: z.iso.datetime(),
    }),
  },

  'message.accepted': {
    title: 'Message accepted',
    fields: z.object({
      messageId,
      origin: z.enum(['smtp', 'dsn', 'report', 'api']),
      client: client.optional(),
      sender: z.string().max(320),
      recipients: z.array(z.object({ address: z.string().max(320), original: z.string().max(320) })),
      size: z.number().int().nonnegative(),
      subject: z.string().max(200).optional(),
      revision: z.number().int(),
      /** Deciding rule of each stage, and what watched rules would have done. */
      rules: z.array(z.string().max(300)),
      held: z.string().max(200).optional(),
    }),
  },
  'message.authenticated': {
    title: 'SPF, DKIM and DMARC checked',
    /** `forged`: how many Authentication-Results fields claimed to be ours and were removed. */
    fields: z.object({ messageId, ...findingsSchema.shape, forged: z.number().int().nonnegative().optional() }),
  },
  'message.refused': {
    by: 'smtp',
    title: 'Message refused at the end of data',
    fields: z.object({
      client,
      sender: z.string().max(320),
      recipients: z.array(z.string().max(320)),
      size: z.number().int(),
      verdict,
    }),
  },

  'delivery.delivered': { by: 'queue', title: 'Delivered', fields: z.object(attempt) },
  'delivery.deferred': {
    by: 'queue',
    title: 'Deferred',
    fields: z.object({ ...attempt, nextTryAt: z.iso.datetime(), cause: z.string().max(100) }),
  },
  'delivery.bounced': {
    by: 'queue',
    title: 'Bounced',
    fields: z.object({ ...attempt, cause: z.string().max(100), status: z.string().max(20) }),
  },
  'message.unsigned': {
    by: 'queue',
    title: 'DKIM signature could not be made',
    fields: z.object({ messageId, domain: z.string().max(255), detail: z.string().max(300) }),
  },
  /** The delivery would have failed an MTA-STS policy that is in testing mode (RFC 8461 §5). The mail was delivered. */
  'tls.unproved': {
    by: 'queue',
    title: 'TLS policy not met (testing mode)',
    fields: z.object({ domain: z.string().max(255), host: z.string().max(255), detail: z.string().max(600) }),
  },
  /** `by` names the rule (route discard) or the operator (delete). */
  'delivery.discarded': {
    by: 'queue',
    title: 'Discarded',
    fields: z.object({ messageId, recipients: z.array(z.string().max(320)).min(1), by: z.string().max(320) }),
  },
  /** Recorded by the API: these recipients already had an outcome when `worker` reported another one. */
  'delivery.duplicate': {
    title: 'Delivered or returned more than once',
    by: 'api',
    fields: z.object({
      messageId,
      recipients: z.array(z.string().max(320)).min(1),
      worker: z.string().max(64),
    }),
  },
  'message.held': {
    by: 'queue',
    title: 'Held',
    fields: z.object({ messageId, by: z.string().max(320), reason: z.string().max(200).optional() }),
  },
  'message.released': { by: 'queue', title: 'Released', fields: z.object({ messageId, by: z.string().max(320) }) },
  'message.rerouted': {
    by: 'queue',
    title: 'Rerouted',
    fields: z.object({ messageId, by: z.string().max(320), to: z.string().max(300) }),
  },
  'message.damaged': {
    title: 'Stored message damaged',
    fields: z.object({
      messageId: z.string().max(36).optional(),
      where: z.string().max(300),
      detail: z.string().max(300),
    }),
  },
  'dsn.written': {
    by: 'queue',
    title: 'Delivery status notification written',
    fields: z.object({
      messageId,
      about: messageId,
      action: z.enum(['failed', 'delayed', 'delivered', 'relayed', 'expanded']),
    }),
  },
  'order.done': {
    by: 'queue',
    title: 'Order carried out',
    fields: z.object({ orderId: z.string(), action: z.string(), matched: z.number().int().nonnegative() }),
  },

  /** A delivery application or a callout host failed. At most one event a minute; `failures`: how many since the last one. */
  'hook.failed': {
    title: 'External service failed',
    fields: z.object({
      hook: z.enum(['delivery-application', 'callout']),
      host: z.string().max(255),
      detail: z.string().max(300),
      failures: z.number().int().min(1),
    }),
  },

  /** Recorded by the API, as worker `api`: 30, 14 and 3 days before expiry, and at expiry. */
  'certificate.expiring': {
    by: 'api',
    title: 'Certificate expiry warning',
    fields: z.object({ ...certificate, notAfter: z.iso.datetime(), daysLeft: z.number().int() }),
  },
  'certificate.issued': {
    by: 'api',
    title: 'Certificate issued by ACME',
    fields: z.object({ ...certificate, notAfter: z.iso.datetime(), issuer: z.string().max(300) }),
  },
  'certificate.failed': {
    by: 'api',
    title: 'ACME order failed',
    fields: z.object({ ...certificate, error: z.string().max(500), nextTryAt: z.iso.datetime() }),
  },

  'spool.full': { title: 'Spool is full', fields: z.object({ freeBytes: z.number(), reserveBytes: z.number() }) },
  'log.dropped': {
    title: 'Events dropped',
    fields: z.object({ count: z.number().int(), because: z.string().max(200) }),
  },
} as const satisfies Record<string, { by?: ServiceName | 'api'; title: string; fields: z.ZodType }>

export type EventType = keyof typeof eventTypes
export const eventTypeNames = Object.keys(eventTypes) as EventType[]

/** The only service that records events of this type; `undefined`: any worker may, or this version does not know the type. */
export function recorderOf(type: string): ServiceName | 'api' | undefined {
  const row = (eventTypes as Record<string, { by?: ServiceName | 'api' }>)[type]
  return row?.by
}

export type EventFields<T extends EventType> = z.infer<(typeof eventTypes)[T]['fields']>

/**
 * `n`: the worker's own number. `at`: RFC 3339 UTC with milliseconds. An event that the logging settings left out of the log
 * when it happened carries `log: false` on its way to storage.
 */
export type PosternEvent = { [T in EventType]: { n: number; at: string; type: T } & EventFields<T> }[EventType]

const head = { n: z.number().int().min(1), at: z.iso.datetime() }
const headSchema = z.looseObject({ ...head, type: z.enum(eventTypeNames as [EventType, ...EventType[]]) })
/** One schema for each event, head and fields together, so that each event is parsed once. */
const eventSchemas = new Map<unknown, z.ZodType>(
  eventTypeNames.map((type) => [type, z.object({ ...head, type: z.literal(type), ...eventTypes[type].fields.shape })]),
)

/** Reads an event that came from outside the process. Throws a ZodError. */
export function parseEvent(value: unknown): PosternEvent {
  const schema = eventSchemas.get((value as { type?: unknown } | null)?.type) ?? headSchema
  return schema.parse(value) as PosternEvent
}

/** Events that belong to one message, for the trace. */
export function messageIdOf(event: PosternEvent): string | undefined {
  return 'messageId' in event ? event.messageId : undefined
}
