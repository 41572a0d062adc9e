import { z } from 'zod'
import { blockSchema, portSchema, webUrlSchema } from '../network.ts'
import { setting } from '../setting.ts'

/** HTTPS; without it only on this machine, for tests and sidecars. */
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
      help: '452 4.5.3 past it. 0: no cap.',
      source: 'classic',
    }),
    recipientDelayMs: setting(z.number().int().min(0).max(10_000).default(0), {
      title: 'Pause between recipients',
      help: 'Pause between the recipients of one message on its way to a domain that is not local. 0: they are named together.',
      unit: 'milliseconds',
      source: 'classic',
    }),
    port: setting(portSchema.default(25), {
      title: 'SMTP port',
      help: 'A new port listens before the old one closes; one that cannot be bound leaves the old one in force.',
      source: 'classic',
    }),
    submissionPort: setting(portSchema.default(587), {
      title: 'Submission port',
      help: 'Where users hand in mail (RFC 6409).',
      source: 'classic',
    }),
    extraPorts: setting(z.array(portSchema).max(20).default([]), {
      title: 'Extra ports',
      help: 'More ports that behave like the SMTP port.',
      source: 'classic',
    }),
    minThreads: setting(z.number().int().min(1).max(1000).default(2), {
      title: 'Least threads',
      help: 'Threads of each worker that check passwords: so many logins are checked at the same time, the others wait their turn. They have the lowest priority: mail goes first. All else needs no threads of its own. More than 16 count as 16.',
      source: 'classic',
    }),
    maxThreads: setting(z.number().int().min(1).max(1_000_000).default(10_000), {
      title: 'Concurrent sessions',
      help: '421 4.3.2 past it.',
      source: 'classic',
    }),
    maxConnectionsPerAddress: setting(z.number().int().min(0).max(1_000_000).default(50), {
      title: 'Connections per address',
      help: 'Concurrent sessions from one client address on one worker; 421 4.7.0 past it. 0: no limit.',
      source: 'today',
      exemptsWhiteListed: true,
    }),
    mailboxDelimiter: setting(
      z
        .string()
        .regex(/^[!#$%&'*+/=?^_`{|}~-]?$/, {
          message: 'must be one character that may stand in a local part (e.g. + - _ =), or empty',
        })
        .default('+'),
      {
        title: 'Mailbox delimiter',
        help: 'user+box@domain is user, box box: kept in the folder .box of the maildir where there is one. One that occurs in an account, alias or group is refused.',
        source: 'classic',
      },
    ),
    hostDelimiters: setting(
      z
        .string()
        .regex(/^[%*:$&]{0,5}$/, { message: 'may hold only the characters % * : $ &' })
        .refine((text) => new Set(text).size === text.length, { message: 'must not name a character twice' })
        .default(''),
      {
        title: 'Host delimiters',
        help: 'Each of these characters acts like @ in logins and addresses.',
        source: 'classic',
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
              help: 'Requests are signed with it: header Postern-Signature, HMAC-SHA256 of time and body.',
              source: 'today',
              secret: true,
            }).optional(),
            timeoutSeconds: z.number().int().min(1).max(300).default(10),
            onFailure: z.enum(['accept', 'hold', 'defer']).default('defer'),
          }),
        ])
        .default('off'),
      {
        title: 'Delivery application',
        help: 'An HTTP filter that every message passes last before it is accepted: it answers accept, reject, hold or redirect, and may add headers. When it does not answer in time or not sensibly: accept lets mail through unseen, hold keeps it in the queue, defer answers 451 4.7.1. Private addresses must be named in POSTERN_HOOKS_MAY_REACH.',
        danger: { text: 'It reads every message. Without https anybody on the way reads them too.' },
        source: 'classic',
      },
    ),
    helloMessage: setting(
      z
        .string()
        .max(400)
        .regex(/^[\x20-\x7e]*$/, { message: 'must be printable ASCII on one line' })
        .default(''),
      {
        title: 'Hello message',
        help: 'Text of the banner, after the host name. Empty: the built-in text.',
        source: 'classic',
      },
    ),
    disableAuth: setting(z.boolean().default(false), {
      title: 'Disable AUTH',
      help: 'AUTH is not offered and answered with 502 5.5.1.',
      danger: { text: 'Users can no longer log in to send mail.', values: [true] },
      source: 'classic',
    }),
    authMechanisms: setting(
      z
        .array(z.enum(['PLAIN', 'LOGIN', 'XOAUTH2', 'OAUTHBEARER']))
        .max(4)
        .refine((names) => new Set(names).size === names.length, { message: 'must not name a mechanism twice' })
        .default(['PLAIN', 'LOGIN']),
      {
        title: 'AUTH mechanisms',
        help: 'PLAIN and LOGIN are offered only under TLS unless allowed without; XOAUTH2 and OAUTHBEARER only under TLS, and when an issuer of tokens is named.',
        source: 'today',
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
        title: 'Tokens instead of passwords',
        help: 'Who issues the tokens of XOAUTH2 and OAUTHBEARER (RFC 7628): signed JWTs of this issuer, for this audience, whose e-mail claim is an account. Keys are read at jwksUri, or where the issuer’s OpenID configuration says.',
        danger: { text: 'Whoever holds a key of the issuer can log in as any account.' },
        source: 'today',
      },
    ),
    allowPlainWithoutTls: setting(z.boolean().default(false), {
      title: 'PLAIN and LOGIN without TLS',
      help: 'Offers PLAIN and LOGIN on unencrypted connections.',
      danger: { text: 'Passwords cross the network in the clear.', values: [true] },
      source: 'today',
    }),
    bareLineFeeds: setting(z.enum(['reject', 'normalize']).default('reject'), {
      title: 'Bare line feeds',
      help: 'A bare LF or CR in data. reject: 554 5.6.0, then 421 and close. normalize: rewritten to CRLF. Never passed on as it came.',
      danger: { text: 'Rewriting breaks the DKIM signatures of such mail.', values: ['normalize'] },
      source: 'classic',
      exemptsWhiteListed: true,
    }),
    proxyProtocol: setting(z.array(blockSchema).max(1000).default([]), {
      title: 'PROXY protocol from',
      help: 'Load balancers that speak PROXY v1 or v2; their word on the client address is believed. From anyone else it is a protocol error.',
      danger: { text: 'Whoever is named here can claim any client address.' },
      source: 'today',
    }),
    commandTimeoutSeconds: setting(z.number().int().min(1).max(3600).default(300), {
      title: 'Command timeout',
      help: 'RFC 5321 §4.5.3.2.7.',
      unit: 'seconds',
      source: 'today',
    }),
    dataTimeoutSeconds: setting(z.number().int().min(1).max(7200).default(600), {
      title: 'Data timeout',
      help: 'How long a client may be silent within a message.',
      unit: 'seconds',
      source: 'today',
    }),
    drainTimeoutSeconds: setting(z.number().int().min(1).max(3600).default(30), {
      title: 'Drain timeout',
      help: 'How long a transaction in progress may take to finish after a stop.',
      unit: 'seconds',
      source: 'today',
    }),
  })
  .superRefine((advanced, context) => {
    if (advanced.mailboxDelimiter !== '' && advanced.hostDelimiters.includes(advanced.mailboxDelimiter))
      context.addIssue({
        code: 'custom',
        path: ['hostDelimiters'],
        message: `"${advanced.mailboxDelimiter}" is mailboxDelimiter and one of hostDelimiters; it cannot stand for both`,
      })
    const ports = [advanced.port, advanced.submissionPort, ...advanced.extraPorts]
    ports.forEach((port, i) => {
      if (ports.indexOf(port) !== i)
        context.addIssue({
          code: 'custom',
          path: i === 1 ? ['submissionPort'] : ['extraPorts', i - 2],
          message: `port ${port} is named twice; each port may be used once`,
        })
    })
  })
