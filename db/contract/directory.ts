import { z } from 'zod'
import { domainSchema, mailAddressSchema, mailboxSchema } from './address.ts'
import { hostSchema, portSchema, webUrlSchema } from './network.ts'
import { setting } from './setting.ts'

/** What makes an address local: domains, accounts, aliases, groups; and the keys mail is signed with. */

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
      help: 'Requests are signed with it: header Postern-Signature, HMAC-SHA256 of time and body.',
      source: 'today',
      secret: true,
    }).optional(),
  }),
  z.strictObject({
    type: z.literal('s3'),
    bucket: z.string().regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, {
      message: 'must be a bucket name: 3 to 63 of a-z, 0-9, dot and hyphen',
    }),
    /** Before the key `<yyyy>/<mm>/<dd>/<message id>-<domain>.eml`. */
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
  /** Other domains that mean the same: jane@alias is jane@name. */
  aliases: z.array(domainSchema).max(1000).default([]),
  /** Where mail for unknown users of the domain goes; empty: refused with 550 5.1.1. */
  catchAll: z.union([z.literal(''), mailAddressSchema]).default(''),
  route: routeSchema.default({ type: 'maildir' }),
  /**
   * What happens to recipients that are neither in the directory nor under a catch-all. `directory`: they are unknown.
   * `callout`: the host of the domain's route (smtp or lmtp) is asked, by MAIL FROM:<> and RCPT TO at RCPT time: what it
   * refuses is 550 5.1.1, and while it does not answer they get 451 4.4.1. `any`: they are accepted and go to the domain's
   * route; not with the route maildir, where only an account has a mailbox.
   */
  verifyRecipients: setting(z.enum(['directory', 'callout', 'any']).default('directory'), {
    title: 'Recipients are verified by',
    help: 'directory: only accounts, aliases, groups and the catch-all exist. callout: the host of the route smtp or lmtp is asked about the others, and its answers are kept for a while (yes 1 hour, no 5 minutes). Mail hosts with private addresses must be named in POSTERN_HOOKS_MAY_REACH. any: every recipient of the domain is accepted and goes to its route; not with the route maildir.',
    source: 'today',
  }),
})
export type Domain = z.output<typeof domainInputSchema>

/** All that may stand behind the @ for this domain, its own name first. */
export function namesOf({ name, aliases }: Pick<Domain, 'name' | 'aliases'>): string[] {
  return [name, ...aliases]
}

export const accountInputSchema = z.strictObject({
  address: mailboxSchema,
  /** What the user types to log in; the address when empty. */
  login: z.string().trim().max(255).default(''),
  secret: setting(z.string().min(8).max(256), {
    title: 'Password',
    help: 'At least 8 characters. Stored only as an argon2id hash.',
    source: 'classic',
    secret: true,
  }),
  /** Messages of the login, counted by each worker for itself; 0: no limit. */
  quotas: z
    .strictObject({
      sendsPerHour: z.number().int().min(0).max(1_000_000).default(0),
      sendsPerDay: z.number().int().min(0).max(10_000_000).default(0),
    })
    .optional(),
  forwardTo: setting(z.array(mailAddressSchema).max(100).default([]), {
    title: 'Forward to',
    help: 'Addresses, local or remote, that get the mail of this account as well, or instead of it. Empty: mail is not forwarded.',
    source: 'today',
  }),
  keepCopy: setting(z.boolean().default(true), {
    title: 'Keep a copy',
    help: 'Whether forwarded mail is also kept in the mailbox of the account. Off: it is only forwarded; mail that no forwarding address can take is kept all the same.',
    source: 'today',
  }),
  /** It cannot log in, whoever has done so is a stranger from the next message on, and it is no local user to the relay modes; its mail is still received. */
  disabled: z.boolean().default(false),
})
export type AccountInput = z.output<typeof accountInputSchema>
/** As the workers see it: the secret is a PHC string (argon2id) and nothing else. */
export type Account = Omit<AccountInput, 'secret' | Forwarding> &
  Partial<Pick<AccountInput, Forwarding>> & { secretHash: string }
/** Rows written before accounts could forward have neither. */
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
