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
    title: 'Smart host password',
    help: 'Cannot be read back. Encrypted at rest, and sent only over TLS.',
    secret: true,
    sentTo: ['queue'],
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
      help: 'The name in the banner, the EHLO reply, Received headers and DSNs. Use a fully qualified name (RFC 5321 §2.3.5) with an address record, because other servers check it. A name without a dot is sent with .localdomain added. Empty: the name of the machine each worker runs on.',
    },
  ),
  relayMode: setting(z.enum(['none', 'addresses', 'localUsers', 'localHosts', 'anyone']).default('addresses'), {
    title: 'Relay control',
    help: 'Who may send to remote domains without logging in. none: nobody. addresses: clients in the relay list. localUsers: clients whose envelope sender is a local user or in the Accept List. localHosts: clients whose sender domain is local or in the Accept List. anyone: every client. A client that has logged in may always relay.',
    danger: {
      text: 'With anyone, this server is an open relay. Spammers will find it within hours, and other servers will block it.',
      values: ['anyone'],
    },
  }),
  verifySpf: setting(check.default('mark'), {
    title: 'Verify SPF',
    help: 'Checks whether the client may send for the sender’s domain, or for the HELO name if the sender is empty. mark: adds the result to Authentication-Results. enforce: also refuses mail with the result fail, with 550 5.7.23. A temporary DNS error never refuses mail. Clients that have logged in and the submission ports are not checked.',
  }),
  verifyDkim: setting(check.default('mark'), {
    title: 'Verify DKIM',
    help: 'Checks DKIM signatures. mark: adds the result to Authentication-Results. enforce: checks before the message is answered, and records a bad signature in the verdict. A bad signature alone never refuses mail, because it counts as no signature (RFC 6376); DMARC decides. Clients in the relay list and clients that have logged in are not checked.',
  }),
  verifyDmarc: setting(check.default('mark'), {
    title: 'Verify DMARC',
    help: 'Checks whether SPF or DKIM passes for the domain in From, even if those two are off. mark: adds the result to Authentication-Results. enforce: follows the domain’s policy. reject is refused with 550 5.7.1; quarantine is held in the queue until an operator releases it. A temporary DNS error never refuses mail. The policy is found by the DNS tree walk of RFC 9989 §4.10, with at most eight queries and no public suffix list.',
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
      help: 'Mail for an unknown user of a local domain goes to this host (host or host:port). Empty: it is refused with 550 5.1.1.',
    },
  ),
  postmaster: setting(z.union([z.literal(''), mailAddressSchema]).default(''), {
    title: 'Postmaster',
    help: 'The address that gets mail for postmaster. The first of these that exists is used: the account, alias or group postmaster@domain; the domain’s catch-all; the host of its route, if verifyRecipients is any, or if it is callout and the host knows postmaster; this address; the default mail host; the domain’s route, unless it is maildir or discard; the first enabled account, by name, of the domain, then of the server. postmaster without a domain means the local domain of the host name. The first start sets it to the address of the first administrator.',
  }),
  gateway: setting(z.union([z.literal('off'), gatewaySchema]).default('off'), {
    title: 'Gateway (smart host)',
    help: 'All mail to remote domains goes through this host. MX records are not looked up.',
  }),
  maxMessageBytes: setting(z.number().int().min(0).max(1_073_741_824).default(26_214_400), {
    title: 'Maximum message size',
    help: 'Advertised in SIZE. A larger message is refused with 552 5.3.4: at MAIL if the client declares its size, else at the end of data. 0: no limit.',
    unit: 'bytes',
  }),
})
