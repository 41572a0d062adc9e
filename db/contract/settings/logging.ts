import { z } from 'zod'
import { hostSchema, portSchema } from '../network.ts'
import { setting } from '../setting.ts'

export const loggingSchema = z
  .strictObject({
    destination: setting(z.enum(['none', 'storage', 'syslog', 'logServer']).default('storage'), {
      title: 'Destination',
      help: 'Where the log goes. storage: kept here, and searched under Events. syslog: the local syslog (POSTERN_SYSLOG, else /dev/log). logServer: RFC 5424 over TCP or TLS. none: nowhere. With any of them storage has what the queue, the traces of messages and the books need, but only storage keeps the log itself. What was logged before stays where it is.',
      source: 'classic',
    }),
    logServer: setting(
      z
        .union([
          z.literal('off'),
          z.strictObject({ host: hostSchema, port: portSchema.default(6514), tls: z.boolean().default(true) }),
        ])
        .default('off'),
      {
        title: 'Log server',
        help: 'Where RFC 5424 records go when the destination is logServer, with octet counting (RFC 6587, RFC 5425). With tls its certificate is verified. While it is away up to 20,000 lines wait; what is lost is counted in an event, and mail never waits.',
        source: 'today',
      },
    ),
    level: setting(z.enum(['off', 'normal', 'verbose', 'debug']).default('normal'), {
      title: 'Level',
      help: 'off: nothing is logged. normal: decisions and deliveries. verbose: also every connection. debug: also the SMTP dialogue, without message texts; passwords, tokens and lines that are no command are masked.',
      source: 'classic',
    }),
    retentionDays: setting(z.number().int().min(1).max(3650).default(30), {
      title: 'Keep records for',
      help: 'Older records are removed.',
      unit: 'days',
      source: 'classic',
    }),
    format: setting(z.enum(['json', 'classic']).default('json'), {
      title: 'Format',
      help: 'Of the lines for syslog and log server. json: one object an event. classic: MM:DD HH:MM SMTPD(id) [ip] text, in UTC, in the words that tools such as pflogsumm count; SMTP-(id) for deliveries, one line a recipient.',
      source: 'today',
    }),
  })
  .superRefine((logging, context) => {
    if (logging.destination === 'logServer' && logging.logServer === 'off')
      context.addIssue({
        code: 'custom',
        path: ['logServer'],
        message: 'destination is logServer, so logServer needs {host, port, tls}',
      })
  })
