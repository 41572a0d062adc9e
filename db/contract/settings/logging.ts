import { z } from 'zod'
import { hostSchema, portSchema } from '../network.ts'
import { setting } from '../setting.ts'

export const loggingSchema = z
  .strictObject({
    destination: setting(z.enum(['none', 'storage', 'syslog', 'logServer']).default('storage'), {
      title: 'Destination',
      help: 'Where the log goes. none: nowhere. storage: to storage; you can search it under Events. syslog: to the local syslog (POSTERN_SYSLOG, else /dev/log). logServer: to a log server, as RFC 5424 over TCP or TLS. The queue page, message traces and the books work with any of them. Earlier events stay where they are.',
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
        help: 'The server that gets the log if the destination is logServer: RFC 5424 lines with octet counting (RFC 6587, RFC 5425). With tls, its certificate is verified. While it is unreachable, up to 20,000 lines wait; an event reports the number of lost lines. Mail never waits for it.',
      },
    ),
    level: setting(z.enum(['off', 'normal', 'verbose', 'debug']).default('normal'), {
      title: 'Level',
      help: 'off: nothing. normal: decisions and deliveries. verbose: also every connection. debug: also the SMTP dialogue, without message text. Passwords, tokens and lines that are not commands are masked.',
    }),
    retentionDays: setting(z.number().int().min(1).max(3650).default(30), {
      title: 'Keep events for',
      help: 'Older events are removed.',
      unit: 'days',
    }),
    format: setting(z.enum(['json', 'classic']).default('json'), {
      title: 'Format',
      help: 'The format of lines for syslog and the log server. json: one object for each event. classic: MM:DD HH:MM SMTPD(id) [ip] text in UTC, in the wording that pflogsumm and similar tools count; deliveries are SMTP-(id), one line for each recipient.',
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
