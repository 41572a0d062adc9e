import { z } from 'zod'
import { hostSchema, portSchema } from '../network.ts'
import { setting } from '../setting.ts'

export const loggingSchema = z
  .strictObject({
    destination: setting(z.enum(['none', 'storage', 'syslog', 'logServer']).default('storage'), {
      title: 'Destination',
      help: 'storage: events stream to storage and can be searched. syslog: the local syslog. logServer: RFC 5424 over TCP or TLS. The queue page works with any of them.',
      source: 'classic',
      enforced: false,
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
        help: 'Where RFC 5424 records go when the destination is logServer.',
        source: 'today',
        enforced: false,
      },
    ),
    level: setting(z.enum(['off', 'normal', 'verbose', 'debug']).default('normal'), {
      title: 'Level',
      help: 'normal: decisions and deliveries. verbose: every session. debug: adds the SMTP dialogue, never secrets.',
      source: 'classic',
      enforced: false,
    }),
    retentionDays: setting(z.number().int().min(1).max(3650).default(30), {
      title: 'Keep records for',
      help: 'Older records are removed.',
      unit: 'days',
      source: 'classic',
      enforced: true,
    }),
    format: setting(z.enum(['json', 'classic']).default('json'), {
      title: 'Format',
      help: 'classic: one line an event, MM:DD HH:MM SMTPD(id) [ip] text, for tools that read it.',
      source: 'today',
      enforced: false,
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
