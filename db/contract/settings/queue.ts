import { z } from 'zod'
import { domainSchema, mailAddressSchema } from '../address.ts'
import { setting } from '../setting.ts'

export const queueSchema = z
  .strictObject({
    retryTimerMinutes: setting(z.number().int().min(1).max(1440).default(30), {
      title: 'Retry timer',
      help: 'Base of the retry schedule. A change holds from the next try on; what waits already keeps its time, and "Try everything now" on the queue page tries it at once.',
      unit: 'minutes',
      source: 'classic',
    }),
    retryBackoff: setting(z.enum(['constant', 'exponential']).default('exponential'), {
      title: 'Retry backoff',
      help: 'constant: waiting mail is tried at every tick of the retry timer. exponential: the pause doubles up to the longest pause.',
      source: 'today',
    }),
    retryMaxMinutes: setting(z.number().int().min(1).max(1440).default(240), {
      title: 'Longest pause between tries',
      help: 'The exponential schedule does not wait longer than this.',
      unit: 'minutes',
      source: 'today',
    }),
    triesBeforeReturn: setting(z.number().int().min(1).max(100).default(20), {
      title: 'Tries before return',
      help: 'After the last try a DSN goes to the sender; never to the null sender.',
      source: 'classic',
    }),
    delayWarningHours: setting(z.number().int().min(0).max(168).default(4), {
      title: 'Delay warning',
      help: 'One "delayed" DSN after this time. 0: none.',
      unit: 'hours',
      source: 'today',
    }),
    maxQueueHours: setting(z.number().int().min(1).max(336).default(120), {
      title: 'Longest time in the queue',
      help: 'Mail older than this is returned, whichever of tries and age comes first.',
      unit: 'hours',
      source: 'today',
    }),
    deliveryThreads: setting(z.number().int().min(5).max(1000).default(30), {
      title: 'Delivery threads',
      help: 'Concurrent deliveries: so many into mailboxes of this machine, as many to hosts that routes and the gateway name, and as many to hosts that the DNS names. One that waits for the other side to say something does not count.',
      source: 'classic',
    }),
    retryThreads: setting(z.number().int().min(2).max(999).default(15), {
      title: 'Retry threads',
      help: 'At most so many deliveries of each of these three kinds work on retries, so new mail never waits behind old. Must be less than the delivery threads.',
      source: 'classic',
    }),
    perDomainConnections: setting(z.number().int().min(1).max(100).default(5), {
      title: 'Connections per domain',
      help: 'Concurrent connections to one destination domain.',
      source: 'today',
    }),
    perDomainPerMinute: setting(z.number().int().min(0).max(100_000).default(0), {
      title: 'Messages per domain',
      help: 'Outbound throttle for one destination domain: so many within any minute, at once if that is how they come; the others wait. 0: no limit.',
      unit: 'per minute',
      source: 'today',
    }),
    perDomain: setting(
      z
        .array(
          z.strictObject({
            domain: domainSchema,
            connections: z.number().int().min(1).max(100).optional(),
            perMinute: z.number().int().min(0).max(100_000).optional(),
          }),
        )
        .max(10_000)
        .default([]),
      {
        title: 'Overrides for single domains',
        help: 'Other throttles for the domains named here.',
        source: 'today',
      },
    ),
    reuseConnections: setting(z.boolean().default(true), {
      title: 'Reuse connections',
      help: 'Several messages on one connection. Switched off, connections that are open end with the message they carry.',
      source: 'today',
    }),
    maxMessagesPerConnection: setting(z.number().int().min(1).max(10_000).default(100), {
      title: 'Messages per connection',
      help: 'A reused connection is closed after so many messages.',
      source: 'today',
    }),
    outboundTls: setting(z.enum(['none', 'opportunistic', 'require']).default('opportunistic'), {
      title: 'Outbound TLS',
      help: 'none: never, whatever the recipient publishes. opportunistic: STARTTLS where it is offered, the certificate unverified. require: no delivery without TLS and a certificate for the host by a trusted authority; else the mail waits. DANE (with a validating resolver) and MTA-STS of the recipient domain are honoured unless it is none. "Enabling SSL or TLS" in the group TLS governs inbound only.',
      source: 'today',
    }),
    dailyReport: setting(z.union([z.literal(''), mailAddressSchema]).default(''), {
      title: 'Daily report to',
      help: 'One mail a day, at 00:05 UTC about the day before: received, delivered, deferred, bounced, refused by cause. Empty: none.',
      source: 'classic',
    }),
  })
  .superRefine((queue, context) => {
    if (queue.retryThreads >= queue.deliveryThreads)
      context.addIssue({
        code: 'custom',
        path: ['retryThreads'],
        message: `retryThreads is ${queue.retryThreads} but must be less than deliveryThreads, which is ${queue.deliveryThreads}`,
      })
  })
