import { z } from 'zod'
import { domainSchema } from '../address.ts'
import { rulesNeverWatched, watchableRuleSchema } from '../rules.ts'
import { setting } from '../setting.ts'

const check = z.enum(['off', 'mark', 'reject'])
const rate = z.number().int().min(0).max(1_000_000).default(0)

/** One to four octets of an IPv4 address, each a number up to 255 or `*`. */
const answerPattern = /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d|\*)(?:\.(?=.)|$)){1,4}$/

const ratesSchema = z.strictObject({
  connectionsPerMinute: rate,
  connectionsPerHour: rate,
  messagesPerMinute: rate,
  messagesPerHour: rate,
  recipientsPerMinute: rate,
  recipientsPerHour: rate,
})

export const securitySchema = z.strictObject({
  defaultAccess: setting(z.enum(['granted', 'denied']).default('granted'), {
    title: 'Default access',
    help: 'What Control Access does with clients that have no entry. granted: they may connect, and entries are refused. denied: only entries may connect. An entry can override this with its own action.',
    danger: {
      text: 'With denied, only clients with a Control Access entry can send mail to this server.',
      values: ['denied'],
    },
  }),
  disableVrfy: setting(z.boolean().default(true), {
    title: 'Disable VRFY',
    help: 'On: VRFY is answered with 252 2.1.5, which confirms nothing. Off: VRFY reveals whether the user exists, with 250, 251 or 550.',
  }),
  disableExpn: setting(z.boolean().default(true), {
    title: 'Disable EXPN',
    help: 'On: EXPN is answered with 502 5.5.1. Off: EXPN lists the members of a group, to the clients that "Remote view of groups" allows.',
  }),
  allowRemoteMailToGroups: setting(z.boolean().default(true), {
    title: 'Remote mail to groups',
    help: 'Off: clients that are neither local nor logged in get 550 5.7.2 for a group address.',
  }),
  allowRemoteViewOfGroups: setting(z.boolean().default(false), {
    title: 'Remote view of groups',
    help: 'On: clients that are neither local nor logged in may list a group with EXPN.',
  }),
  autoDenyHackAttempts: setting(z.boolean().default(true), {
    title: 'Block hack attempts',
    help: 'Ends the session and blocks the address after a hack attempt. These count: sending data before the banner (noticed only if the banner is delayed or waits for look-ups), HTTP requests, binary noise, command floods (200 commands within 10 seconds without mail, or 50 protocol errors in a row) and SMTP smuggling. The block is a Control Access entry.',
    exemptsWhiteListed: true,
  }),
  autoDenyMinutes: setting(z.number().int().min(1).max(43_200).default(60), {
    title: 'Block for',
    help: 'How long the address stays blocked after a hack attempt.',
    unit: 'minutes',
    exemptsWhiteListed: true,
  }),
  checkSenderDomain: setting(check.default('mark'), {
    title: 'Check the sender domain',
    help: 'Checks that the domain in MAIL FROM has an MX or address record. mark: records the result in the message’s trace; mail does not wait for it. reject: refuses with 550 5.1.8, a null MX with 550 5.7.27, and a DNS failure with 451 4.4.3. With mark, clients on loopback and private addresses are not checked.',
    exemptsWhiteListed: true,
  }),
  checkHelo: setting(check.default('mark'), {
    title: 'Check HELO',
    help: 'Checks that the HELO name has an address. Address literals pass. mark: records the result in the message’s trace; mail does not wait for it. reject: refuses with 550 5.7.1. With mark, clients on loopback and private addresses are not checked. The submission ports are never checked.',
    exemptsWhiteListed: true,
  }),
  checkReverseDns: setting(check.default('mark'), {
    title: 'Check reverse DNS',
    help: 'Checks that the client’s address has a PTR record whose name resolves back to it. mark: records the result in the message’s trace; mail does not wait for it. reject: refuses with 550 5.7.25 instead of the banner. With mark, clients on loopback and private addresses are not checked. The submission ports are never checked.',
    exemptsWhiteListed: true,
  }),
  dnsbl: setting(
    z
      .array(
        z.strictObject({
          zone: domainSchema,
          answer: z
            .string()
            .regex(answerPattern, {
              message: 'must be an IPv4 address in which * stands for any octet, e.g. 127.0.0.* or 127.0.0.2',
            })
            .default('127.0.0.*'),
          action: z.enum(['mark', 'reject']).default('reject'),
        }),
      )
      .max(50)
      .default([]),
    {
      title: 'DNS block lists',
      help: 'DNS block lists to query for each client when it connects. All are queried at the same time. reject: refuses with 550 5.7.1 and the name and text of the list, instead of the banner. mark: records the result in the message’s trace. A list that does not answer refuses nobody. The submission ports are never checked.',
      exemptsWhiteListed: true,
    },
  ),
  greetingDelaySeconds: setting(z.number().int().min(0).max(30).default(0), {
    title: 'Greeting delay',
    help: 'Waits this long before it sends the banner. A client that sends data before the banner is a bot: it gets 554 5.5.1 and the connection closes.',
    unit: 'seconds',
    exemptsWhiteListed: true,
  }),
  greylist: setting(
    z
      .union([
        z.literal('off'),
        z.strictObject({
          delaySeconds: z.number().int().min(1).max(86_400).default(300),
          rememberDays: z.number().int().min(1).max(365).default(35),
        }),
      ])
      .default('off'),
    {
      title: 'Greylisting',
      help: 'Answers the first message from a client network (/24, /64) with this sender and recipient with 451 4.7.1. After the delay, the same mail passes and is remembered. Clients that have logged in or are in the relay list pass at once. Each worker keeps its own records, which survive a restart.',
      exemptsWhiteListed: true,
    },
  ),
  requireAuthForLocalSenders: setting(z.boolean().default(false), {
    title: 'Local senders must authenticate',
    help: 'Clients must log in to use a sender address in a local domain. Others get 530 5.7.0.',
  }),
  senderMustMatchLogin: setting(z.boolean().default(false), {
    title: 'Sender must match login',
    help: 'A client that has logged in may use only its own address or an alias of it as the sender. Others get 553 5.7.1.',
  }),
  ratesPerClient: setting(ratesSchema.prefault({}), {
    title: 'Rates per client',
    help: 'How many connections, messages and recipients one client address may have in a minute and in an hour. IPv6 addresses count by their /64. Each worker counts for itself. Above a limit, the client gets 421 4.7.0 or 450 4.7.1. 0: no limit.',
  }),
  ratesPerLogin: setting(ratesSchema.prefault({}), {
    title: 'Rates per login',
    help: 'How many logins, messages and recipients one account may have in a minute and in an hour. Each worker counts for itself. Above a limit, the client gets 421 4.7.0 or 450 4.7.1. 0: no limit.',
  }),
  watch: setting(z.array(watchableRuleSchema).max(100).default([]), {
    title: 'Rules in watch mode',
    help: `Rules in watch mode are evaluated and logged, but decide nothing. Some rules cannot run in watch mode, because mail cannot be handled safely without their decision: ${rulesNeverWatched.join(', ')}. In watch mode, auth-mechanism still allows only the mechanisms that this server supports.`,
    danger: {
      text: 'A rule in watch mode no longer protects. With relay in watch mode, this server is an open relay.',
    },
  }),
})
