import { z } from 'zod'
import { domainSchema } from '../address.ts'
import { rulesNeverWatched, watchableRuleSchema } from '../rules.ts'
import { setting } from '../setting.ts'

const check = z.enum(['off', 'mark', 'reject'])
const rate = z.number().int().min(0).max(1_000_000).default(0)

/** One to four octets, each a number up to 255 or `*`. */
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
    help: 'Control Access for clients without an entry. granted: entries are refused. denied: only entries may connect. An entry may say otherwise for itself.',
    danger: {
      text: 'With denied nobody but the entries of Control Access can send mail to this server.',
      values: ['denied'],
    },
    source: 'classic',
  }),
  disableVrfy: setting(z.boolean().default(true), {
    title: 'Disable VRFY',
    help: 'On: 252 2.1.5, which confirms nothing. Off: truthful 250, 251 or 550.',
    source: 'classic',
  }),
  disableExpn: setting(z.boolean().default(true), {
    title: 'Disable EXPN',
    help: 'On: 502 5.5.1. Off: the members of a group, subject to the next settings.',
    source: 'classic',
  }),
  allowRemoteMailToGroups: setting(z.boolean().default(true), {
    title: 'Remote mail to groups',
    help: 'Off: a client that is neither local nor authenticated gets 550 5.7.2 for a group address.',
    source: 'classic',
  }),
  allowRemoteViewOfGroups: setting(z.boolean().default(false), {
    title: 'Remote view of groups',
    help: 'Whether a client that is neither local nor authenticated may EXPN a group.',
    source: 'classic',
  }),
  autoDenyHackAttempts: setting(z.boolean().default(true), {
    title: 'Deny hack attempts',
    help: 'Talking before the banner (seen where it is delayed, or waits for look-ups), HTTP verbs, binary noise, command floods (200 commands within 10 seconds that send no mail, or 50 protocol errors in a row) and smuggling attempts end the session and become a Control Access entry.',
    source: 'classic',
    exemptsWhiteListed: true,
  }),
  autoDenyMinutes: setting(z.number().int().min(1).max(43_200).default(60), {
    title: 'Deny for',
    help: 'How long such an entry lasts.',
    unit: 'minutes',
    source: 'classic',
    exemptsWhiteListed: true,
  }),
  checkSenderDomain: setting(check.default('mark'), {
    title: 'Check the sender domain',
    help: 'The MAIL FROM domain has MX or A/AAAA. reject: 550 5.1.8, or 550 5.7.27 for a null MX; DNS trouble 451 4.4.3. mark: said in the log of the message, nobody waits for it, and nothing is asked about clients on loopback or private addresses.',
    source: 'today',
    exemptsWhiteListed: true,
  }),
  checkHelo: setting(check.default('mark'), {
    title: 'Check HELO',
    help: 'The HELO name has an address; address literals are let through. reject: 550 5.7.1. mark: said in the log of the message, nobody waits for it, and nothing is asked about clients on loopback or private addresses. Not on the submission ports.',
    source: 'today',
    exemptsWhiteListed: true,
  }),
  checkReverseDns: setting(check.default('mark'), {
    title: 'Check reverse DNS',
    help: 'A PTR record exists and is forward-confirmed. reject: 550 5.7.25 in place of the banner. mark: said in the log of the message, nobody waits for it, and nothing is asked about clients on loopback or private addresses. Not on the submission ports.',
    source: 'today',
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
      help: 'Lists that are asked about a client when it connects, all at once. reject: 550 5.7.1 with the name of the list and its text, in place of the banner. mark: said in the log of the message. A list that does not answer refuses nobody. Not on the submission ports.',
      source: 'today',
      exemptsWhiteListed: true,
    },
  ),
  greetingDelaySeconds: setting(z.number().int().min(0).max(30).default(0), {
    title: 'Greeting delay',
    help: 'Waits before the banner; who talks first is a robot: 554 5.5.1 and close.',
    unit: 'seconds',
    source: 'today',
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
      help: 'The first sight of client network (/24, /64), sender and recipient is answered with 451 4.7.1; after the delay the same mail passes, and is remembered. Clients that have logged in or are in the relay list do not wait. Each worker remembers for itself, also over its restart.',
      source: 'today',
      exemptsWhiteListed: true,
    },
  ),
  requireAuthForLocalSenders: setting(z.boolean().default(false), {
    title: 'Local senders must authenticate',
    help: 'A sender in a local domain must authenticate: 530 5.7.0.',
    source: 'today',
  }),
  senderMustMatchLogin: setting(z.boolean().default(false), {
    title: 'Sender must match login',
    help: 'An authenticated client may use only its own address or an alias of it: 553 5.7.1.',
    source: 'today',
  }),
  ratesPerClient: setting(ratesSchema.prefault({}), {
    title: 'Rates per client',
    help: 'Connections, messages and recipients of one client address (IPv6: of its /64), counted by each worker for itself. 0: no limit. 421 4.7.0 or 450 4.7.1 past it.',
    source: 'today',
  }),
  ratesPerLogin: setting(ratesSchema.prefault({}), {
    title: 'Rates per login',
    help: 'Logins, messages and recipients of one account, counted by each worker for itself. 0: no limit. 421 4.7.0 or 450 4.7.1 past it.',
    source: 'today',
  }),
  watch: setting(z.array(watchableRuleSchema).max(100).default([]), {
    title: 'Rules in watch mode',
    help: `These rules are evaluated and logged, and decide nothing. Cannot be watched, because there is nothing safe to go on with: ${rulesNeverWatched.join(', ')}. auth-mechanism lets through only mechanisms that this server speaks.`,
    danger: { text: 'A watched rule no longer protects: with relay watched this server is an open relay.' },
    source: 'today',
  }),
})
