import { z } from 'zod'
import { domainSchema, mailAddressSchema } from '../address.ts'
import { setting } from '../setting.ts'

export const queueSchema = z
  .strictObject({
    retryTimerMinutes: setting(z.number().int().min(1).max(1440).default(30), {
      title: 'Retry timer',
      help: 'How long mail waits before it is tried again; with exponential, before the first retry. A change applies after the next attempt; mail that is already waiting keeps its scheduled time. To try it now, choose "Retry all now" on the queue page.',
      unit: 'minutes',
    }),
    retryBackoff: setting(z.enum(['constant', 'exponential']).default('exponential'), {
      title: 'Retry backoff',
      help: 'constant: mail is tried each time the retry timer ends. exponential: the pause doubles after each attempt, up to the maximum pause.',
    }),
    retryMaxMinutes: setting(z.number().int().min(1).max(1440).default(240), {
      title: 'Maximum pause between attempts',
      help: 'The maximum pause of the exponential schedule.',
      unit: 'minutes',
    }),
    triesBeforeReturn: setting(z.number().int().min(1).max(100).default(20), {
      title: 'Attempts before return',
      help: 'After this many attempts the message is returned to the sender with a DSN. The null sender never gets one.',
    }),
    delayWarningHours: setting(z.number().int().min(0).max(168).default(4), {
      title: 'Delay warning',
      help: 'After this time the sender gets one DSN that says the message is delayed. 0: none.',
      unit: 'hours',
    }),
    maxQueueHours: setting(z.number().int().min(1).max(336).default(120), {
      title: 'Maximum time in the queue',
      help: 'Messages that have waited longer are returned, even if attempts are left. Time without a running Queue Manager does not count, and changes to the machine’s clock have no effect.',
      unit: 'hours',
    }),
    deliveryThreads: setting(z.number().int().min(5).max(1000).default(30), {
      title: 'Delivery threads',
      help: 'How many deliveries run at the same time. The limit applies to each of three kinds: local mailboxes, hosts that routes or the gateway name, and hosts found in the DNS. A delivery that waits for the remote host does not count.',
    }),
    retryThreads: setting(z.number().int().min(2).max(999).default(15), {
      title: 'Retry threads',
      help: 'How many of the deliveries of each kind may be retries, so that new mail never waits for retries. Must be less than the delivery threads.',
    }),
    perDomainConnections: setting(z.number().int().min(1).max(100).default(5), {
      title: 'Connections per domain',
      help: 'How many connections may be open at once to one destination domain.',
    }),
    perDomainPerMinute: setting(z.number().int().min(0).max(100_000).default(0), {
      title: 'Messages per domain',
      help: 'How many messages may go to one destination domain within a minute. Further messages wait. 0: no limit.',
      unit: 'per minute',
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
        help: 'Other limits for single destination domains.',
      },
    ),
    reuseConnections: setting(z.boolean().default(true), {
      title: 'Reuse connections',
      help: 'Sends several messages over one connection. If you switch it off, open connections close after their current message.',
    }),
    maxMessagesPerConnection: setting(z.number().int().min(1).max(10_000).default(100), {
      title: 'Messages per connection',
      help: 'A connection closes after this many messages.',
    }),
    outboundTls: setting(z.enum(['none', 'opportunistic', 'require']).default('opportunistic'), {
      title: 'Outbound TLS',
      help: 'TLS for outgoing mail. none: never, whatever the recipient’s domain publishes. opportunistic: if the host offers STARTTLS; its certificate is not verified. require: only with TLS and a certificate for the host that a trusted authority signed; other mail waits. Unless it is none, DANE (with a validating resolver) and MTA-STS of the recipient’s domain are honoured. The settings of the group TLS apply to incoming connections only.',
    }),
    dailyReport: setting(z.union([z.literal(''), mailAddressSchema]).default(''), {
      title: 'Daily report to',
      help: 'Sends one message a day, at 00:05 UTC, about the day before: messages received, delivered, deferred, bounced, and refused by cause. Empty: none.',
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
