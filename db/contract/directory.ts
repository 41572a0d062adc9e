import { z } from 'zod'
import { domainSchema, mailAddressSchema, mailboxSchema } from './address.ts'
import { hostSchema, portSchema, webUrlSchema } from './network.ts'
import { setting } from './setting.ts'

/** The directory: domains, accounts, aliases and groups, which make an address local, and the DKIM keys that sign mail. */

export const routeSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('maildir') }),
  z.strictObject({ type: z.literal('lmtp'), host: hostSchema, port: portSchema.default(24) }),
  z.strictObject({
    type: z.literal('smtp'),
    host: hostSchema,
    port: portSchema.default(25),
    tls: z.enum(['none', 'opportunistic', 'require']).default('opportunistic'),
  }),
  z.strictObject({
    type: z.literal('webhook'),
    url: webUrlSchema,
    secret: setting(z.string().min(8).max(1024), {
      title: 'Signing secret',
      help: 'Signs each request: the Postern-Signature header is an HMAC-SHA256 of the time and the body.',
      secret: true,
      sentTo: ['queue'],
    }).optional(),
  }),
  z.strictObject({
    type: z.literal('s3'),
    bucket: z.string().regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, {
      message: 'must be a bucket name: 3 to 63 lower-case letters, digits, dots and hyphens',
    }),
    /** Prefix of the object key `<yyyy>/<mm>/<dd>/<message id>-<domain>.eml`. */
    prefix: z
      .string()
      .max(200)
      .regex(/^[\x21-\x7e]*$/, { message: 'must be printable ASCII without spaces' })
      .default(''),
  }),
  z.strictObject({ type: z.literal('discard') }),
])
export type Route = z.output<typeof routeSchema>

export const domainInputSchema = z.strictObject({
  name: domainSchema,
  /** Other names of the domain: jane@alias means jane@name. */
  aliases: z.array(domainSchema).max(1000).default([]),
  /** The address that gets mail for unknown users of the domain. If empty, such mail is refused with 550 5.1.1. */
  catchAll: z.union([z.literal(''), mailAddressSchema]).default(''),
  route: routeSchema.default({ type: 'maildir' }),
  /**
   * How to treat recipients that match neither the directory nor a catch-all.
   * - `directory`: they are unknown.
   * - `callout`: at RCPT time the server asks the host of the domain's route (smtp or lmtp) with MAIL FROM:<> and RCPT
   *   TO. A recipient that the host refuses gets 550 5.1.1; if the host does not answer, 451 4.4.1.
   * - `any`: they are accepted and sent to the domain's route. Not allowed with the route maildir, where only accounts
   *   have a mailbox.
   */
  verifyRecipients: setting(z.enum(['directory', 'callout', 'any']).default('directory'), {
    title: 'Verify recipients',
    help: 'How to find out whether a recipient exists. directory: only accounts, aliases, groups and the catch-all exist. callout: Postern asks the route’s host (smtp or lmtp) about all others. Positive answers are cached for 1 hour, negative ones for 5 minutes. List mail hosts with private addresses in POSTERN_HOOKS_MAY_REACH. any: every recipient is accepted and goes to the route; not allowed with the route maildir.',
  }),
})
export type Domain = z.output<typeof domainInputSchema>

/** Returns all names of the domain, its primary name first. */
export function namesOf({ name, aliases }: Pick<Domain, 'name' | 'aliases'>): string[] {
  return [name, ...aliases]
}

export const accountInputSchema = z.strictObject({
  address: mailboxSchema,
  /** The user name for login. If empty, the address. */
  login: z.string().trim().max(255).default(''),
  secret: setting(z.string().min(8).max(256), {
    title: 'Password',
    help: 'At least 8 characters. Stored only as an argon2id hash.',
    secret: true,
  }),
  /** Limits on messages sent with this login. Each worker counts for itself; 0 means no limit. */
  quotas: z
    .strictObject({
      sendsPerHour: z.number().int().min(0).max(1_000_000).default(0),
      sendsPerDay: z.number().int().min(0).max(10_000_000).default(0),
    })
    .optional(),
  forwardTo: setting(z.array(mailAddressSchema).max(100).default([]), {
    title: 'Forward to',
    help: 'Local or remote addresses that also get the mail of this account. Empty: mail is not forwarded.',
  }),
  keepCopy: setting(z.boolean().default(true), {
    title: 'Keep a copy',
    help: 'Keeps forwarded mail in the account’s mailbox too. Off: mail is only forwarded, but a message that cannot be forwarded to any address is kept.',
  }),
  /**
   * A disabled account cannot log in. An open session loses its login at its next message, and the relay modes do not
   * count the account as a local user. The account still receives mail.
   */
  disabled: z.boolean().default(false),
})
export type AccountInput = z.output<typeof accountInputSchema>
/** An account as workers receive it: the password is only an argon2id hash (a PHC string). */
export type Account = Omit<AccountInput, 'secret' | Forwarding> &
  Partial<Pick<AccountInput, Forwarding>> & { secretHash: string }
/** Fields that are absent in rows from before accounts could forward mail. */
type Forwarding = 'forwardTo' | 'keepCopy'

export const aliasInputSchema = z.strictObject({
  address: mailboxSchema,
  to: z.array(mailAddressSchema).min(1).max(1000),
})
export type Alias = z.output<typeof aliasInputSchema>

export const groupInputSchema = z.strictObject({
  address: mailboxSchema,
  members: z.array(mailAddressSchema).min(1).max(50_000),
})
export type Group = z.output<typeof groupInputSchema>

export const dkimKeyInputSchema = z.strictObject({
  domain: domainSchema,
  selector: z
    .string()
    .regex(/^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$/i, { message: 'must be a DNS label, e.g. postern1' }),
  algorithm: z.enum(['rsa-2048', 'rsa-3072', 'rsa-4096', 'ed25519']).default('rsa-2048'),
  headers: z
    .array(z.string().max(100))
    .max(50)
    .default([
      'from',
      'to',
      'cc',
      'subject',
      'date',
      'message-id',
      'mime-version',
      'content-type',
      'reply-to',
      'in-reply-to',
      'references',
      'list-unsubscribe',
      'list-unsubscribe-post',
    ]),
})
export type DkimKey = z.output<typeof dkimKeyInputSchema> & { privateKey: string; dnsName: string; dnsValue: string }
