import { z } from 'zod'
import { mailAddressSchema } from '../address.ts'
import { hostPattern, hostSchema, portSchema } from '../network.ts'
import { setting } from '../setting.ts'

const check = z.enum(['off', 'mark', 'enforce'])

export const gatewaySchema = z.strictObject({
  host: hostSchema,
  port: portSchema.default(25),
  tls: z.enum(['none', 'opportunistic', 'require', 'implicit']).default('opportunistic'),
  user: z.string().max(255).optional(),
  secret: setting(z.string().max(1024), {
    title: 'Password at the smart host',
    help: 'Write-only; encrypted at rest. Sent only over TLS.',
    source: 'classic',
    secret: true,
  }).optional(),
})

export const mailHostPattern = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d{1,5})?$/i

export const generalSchema = z.strictObject({
  hostname: setting(
    z
      .string()
      .max(253)
      .refine((text) => text === '' || hostPattern.test(text), {
        message: 'must be a host name, e.g. mail.example.org, or empty',
      })
      .default(''),
    {
      title: 'Host name',
      help: 'The name in the banner, the EHLO reply, Received headers and DSNs. Empty: the name of the machine each worker runs on. Fully-qualified (RFC 5321 §2.3.5), with an address record: others check it. A name without a dot is sent with .localdomain added.',
      source: 'classic',
    },
  ),
  relayMode: setting(z.enum(['none', 'addresses', 'localUsers', 'localHosts', 'anyone']).default('addresses'), {
    title: 'Relay control',
    help: 'Who may send to non-local domains without AUTH. none: nobody. addresses: clients in the relay list. localUsers: the envelope sender is an existing local user, or is in the accept list. localHosts: the domain of the sender is local, or in the accept list. An authenticated client may always relay.',
    danger: {
      text: 'With anyone this server is an open relay: it will be found and abused within hours, and then blocked by others.',
      values: ['anyone'],
    },
    source: 'classic',
  }),
  verifySpf: setting(check.default('mark'), {
    title: 'Verify SPF',
    help: 'Whether the client may send for the domain of the sender (of HELO, when the sender is empty). mark: the result goes into Authentication-Results. enforce: a fail is refused with 550 5.7.23. Temporary DNS errors never refuse. Not asked about mail of people who have logged in, nor on the submission ports.',
    source: 'today',
  }),
  verifyDkim: setting(check.default('mark'), {
    title: 'Verify DKIM',
    help: 'mark: the result goes into Authentication-Results. enforce: signatures are verified before the message is answered, and one that does not hold is told in its trail; nothing is refused for it alone, because a broken signature counts as none (RFC 6376): what may follow from it is for DMARC to say. Clients in the relay list are not verified, nor mail of people who have logged in.',
    source: 'classic',
  }),
  verifyDmarc: setting(check.default('mark'), {
    title: 'Verify DMARC',
    help: 'Whether SPF or DKIM speaks for the domain in From; both are looked at for it even where they are off. The policy and the organizational domain are found by the DNS tree walk of RFC 9989 §4.10, in at most eight queries; no public suffix list is used. mark: the result goes into Authentication-Results. enforce: where the domain asks for reject the message is refused with 550 5.7.1, for quarantine it is held in the queue until it is released. Temporary DNS errors never refuse.',
    source: 'today',
  }),
  defaultMailHost: setting(
    z
      .string()
      .max(260)
      .refine((text) => text === '' || mailHostPattern.test(text), {
        message: 'must be host or host:port, e.g. mail2.example.org:25, or empty',
      })
      .default(''),
    {
      title: 'Default mail host',
      help: 'Mail for an unknown user of a local domain goes to this host (host or host:port) instead of being refused with 550 5.1.1.',
      source: 'classic',
    },
  ),
  postmaster: setting(z.union([z.literal(''), mailAddressSchema]).default(''), {
    title: 'Postmaster',
    help: 'Who reads mail for postmaster. It goes to the first of these that exists: the account, alias or group postmaster@ of the domain; the catch-all of the domain; the host of its route, where verifyRecipients is any, or is callout and the host says that it knows postmaster; this address; the default mail host; the route of the domain, unless it is maildir or discard; the first enabled account by name of the domain, then of the server. postmaster without a domain means postmaster@ of the local domain that the host name lies in. Set at the first start to the address of the first administrator.',
    source: 'today',
  }),
  gateway: setting(z.union([z.literal('off'), gatewaySchema]).default('off'), {
    title: 'Gateway (smart host)',
    help: 'All remote mail goes through this host; MX records are not asked.',
    source: 'classic',
  }),
  maxMessageBytes: setting(z.number().int().min(0).max(1_073_741_824).default(26_214_400), {
    title: 'Largest message',
    help: 'Advertised in SIZE. A larger message is refused with 552 5.3.4, at MAIL when it is declared, at the end of data when it is found. 0: no limit.',
    unit: 'bytes',
    source: 'classic',
  }),
})
