import { z } from 'zod'
import { blockSchema, portSchema, webUrlSchema } from '../network.ts'
import { setting } from '../setting.ts'

/** HTTPS. Plain HTTP is allowed only on this machine, for tests and sidecars. */
const issuerSchema = z
  .url({ protocol: /^https?$/ })
  .max(1000)
  .refine((text) => /^https:|^http:\/\/(?:127\.\d+\.\d+\.\d+|\[::1\]|localhost)(?:[:/]|$)/i.test(text), {
    message: 'must be an https address, e.g. https://login.example.org',
  })

export const advancedSchema = z
  .strictObject({
    maxRecipients: setting(z.number().int().min(0).max(50_000).default(1000), {
      title: 'Recipients per message',
      help: 'The maximum number of recipients of one message. Further recipients get 452 4.5.3. 0: no limit.',
    }),
    recipientDelayMs: setting(z.number().int().min(0).max(10_000).default(0), {
      title: 'Pause between recipients',
      help: 'How long to wait between two recipients of a message to a remote domain. 0: no pause.',
      unit: 'milliseconds',
    }),
    port: setting(portSchema.default(25), {
      title: 'SMTP port',
      help: 'The port on which other servers deliver mail. A new port opens before the old one closes. If it cannot be opened, the old port stays in use.',
    }),
    submissionPort: setting(portSchema.default(587), {
      title: 'Submission port',
      help: 'The port on which users submit mail (RFC 6409).',
    }),
    extraPorts: setting(z.array(portSchema).max(20).default([]), {
      title: 'Extra ports',
      help: 'More ports that work like the SMTP port.',
    }),
    minThreads: setting(z.number().int().min(1).max(1000).default(2), {
      title: 'Password threads',
      help: 'How many logins each worker checks at the same time. Other logins wait. These threads run at the lowest priority, so mail goes first. Values above 16 count as 16.',
    }),
    maxThreads: setting(z.number().int().min(1).max(1_000_000).default(10_000), {
      title: 'Concurrent sessions',
      help: 'The maximum number of concurrent SMTP sessions on one worker. Further connections get 421 4.3.2.',
    }),
    maxConnectionsPerAddress: setting(z.number().int().min(0).max(1_000_000).default(50), {
      title: 'Connections per address',
      help: 'The maximum number of concurrent SMTP sessions from one client address on one worker. Further connections get 421 4.7.0. 0: no limit.',
      exemptsWhiteListed: true,
    }),
    mailboxDelimiter: setting(
      z
        .string()
        .regex(/^[!#$%&'*+/=?^_`{|}~-]?$/, {
          message: 'must be one character that is allowed in a local part (e.g. + - _ =), or empty',
        })
        .default('+'),
      {
        title: 'Mailbox delimiter',
        help: 'With +, mail for user+box@domain is delivered to user: into the maildir folder .box if it exists, else into the inbox. You cannot choose a character that occurs in an account, alias or group. Empty: off.',
      },
    ),
    hostDelimiters: setting(
      z
        .string()
        .regex(/^[%*:$&]{0,5}$/, { message: 'may contain only the characters % * : $ &' })
        .refine((text) => new Set(text).size === text.length, { message: 'must not contain a character twice' })
        .default(''),
      {
        title: 'Host delimiters',
        help: 'Characters that work like @ in logins and addresses.',
      },
    ),
    deliveryApplication: setting(
      z
        .union([
          z.literal('off'),
          z.strictObject({
            url: webUrlSchema,
            secret: setting(z.string().min(8).max(1024), {
              title: 'Signing secret',
              help: 'Signs each request: the Postern-Signature header is an HMAC-SHA256 of the time and the body.',
              secret: true,
              sentTo: ['smtp'],
            }).optional(),
            timeoutSeconds: z.number().int().min(1).max(300).default(10),
            onFailure: z.enum(['accept', 'hold', 'defer']).default('defer'),
          }),
        ])
        .default('off'),
      {
        title: 'Delivery application',
        help: 'An HTTP service that makes the last check of every message before it is accepted. It answers accept, reject, hold or redirect, and may add headers. If it fails or answers too late, onFailure decides. accept: the message is accepted unchecked. hold: it is accepted and held in the queue. defer: the client gets 451 4.7.1. List private addresses in POSTERN_HOOKS_MAY_REACH.',
        danger: {
          text: 'The application reads every message. Without https, others on the network can read them too.',
        },
      },
    ),
    helloMessage: setting(
      z
        .string()
        .max(400)
        .regex(/^[\x20-\x7e]*$/, { message: 'must be printable ASCII on one line' })
        .default(''),
      {
        title: 'Banner text',
        help: 'The text after the host name in the banner. Empty: the built-in text.',
      },
    ),
    disableAuth: setting(z.boolean().default(false), {
      title: 'Disable AUTH',
      help: 'AUTH is not offered. Clients that try it get 502 5.5.1.',
      danger: { text: 'Users can no longer log in to send mail.', values: [true] },
    }),
    authMechanisms: setting(
      z
        .array(z.enum(['PLAIN', 'LOGIN', 'XOAUTH2', 'OAUTHBEARER']))
        .max(4)
        .refine((names) => new Set(names).size === names.length, { message: 'must not contain a mechanism twice' })
        .default(['PLAIN', 'LOGIN']),
      {
        title: 'AUTH mechanisms',
        help: 'PLAIN and LOGIN are offered only under TLS, unless you allow them without. XOAUTH2 and OAUTHBEARER are offered only under TLS, and only if a token issuer is set.',
      },
    ),
    oauth: setting(
      z
        .union([
          z.literal('off'),
          z.strictObject({
            issuer: issuerSchema,
            audience: z.string().trim().min(1).max(500),
            jwksUri: issuerSchema.optional(),
          }),
        ])
        .default('off'),
      {
        title: 'Token issuer (OAuth)',
        help: 'Accepts signed JWTs of this issuer and audience in XOAUTH2 and OAUTHBEARER (RFC 7628). The email claim names the account. Keys are read from jwksUri or, if it is empty, from the address in the issuer’s OpenID configuration.',
        danger: { text: 'Whoever holds a signing key of the issuer can log in as any account.' },
      },
    ),
    allowPlainWithoutTls: setting(z.boolean().default(false), {
      title: 'PLAIN and LOGIN without TLS',
      help: 'Offers PLAIN and LOGIN on unencrypted connections too.',
      danger: { text: 'Passwords are sent unencrypted.', values: [true] },
    }),
    bareLineFeeds: setting(z.enum(['reject', 'normalize']).default('reject'), {
      title: 'Bare line feeds',
      help: 'What happens to a message with a bare CR or LF. reject: 554 5.6.0, then 421 and the connection closes. normalize: each becomes CRLF. A bare CR or LF is never passed on.',
      danger: { text: 'Rewriting line ends breaks the DKIM signatures of such messages.', values: ['normalize'] },
      exemptsWhiteListed: true,
    }),
    proxyProtocol: setting(z.array(blockSchema).max(1000).default([]), {
      title: 'PROXY protocol from',
      help: 'Load balancers that send PROXY v1 or v2 headers. The server takes the client address from the header. A PROXY header from any other address is a protocol error.',
      danger: { text: 'Any address listed here can claim to be any client.' },
    }),
    commandTimeoutSeconds: setting(z.number().int().min(1).max(3600).default(300), {
      title: 'Command timeout',
      help: 'How long a client may be silent between commands (RFC 5321 §4.5.3.2.7).',
      unit: 'seconds',
    }),
    dataTimeoutSeconds: setting(z.number().int().min(1).max(7200).default(600), {
      title: 'Data timeout',
      help: 'How long a client may be silent while it sends a message.',
      unit: 'seconds',
    }),
    drainTimeoutSeconds: setting(z.number().int().min(1).max(3600).default(30), {
      title: 'Drain timeout',
      help: 'How long a mail transaction may go on after the service is told to stop.',
      unit: 'seconds',
    }),
  })
  .superRefine((advanced, context) => {
    if (advanced.mailboxDelimiter !== '' && advanced.hostDelimiters.includes(advanced.mailboxDelimiter))
      context.addIssue({
        code: 'custom',
        path: ['hostDelimiters'],
        message: `"${advanced.mailboxDelimiter}" is both mailboxDelimiter and one of hostDelimiters; it cannot be both`,
      })
    const ports = [advanced.port, advanced.submissionPort, ...advanced.extraPorts]
    ports.forEach((port, i) => {
      if (ports.indexOf(port) !== i)
        context.addIssue({
          code: 'custom',
          path: i === 1 ? ['submissionPort'] : ['extraPorts', i - 2],
          message: `port ${port} is used twice; each port may be used once`,
        })
    })
  })
