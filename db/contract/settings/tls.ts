import { z } from 'zod'
import { portSchema } from '../network.ts'
import { setting } from '../setting.ts'

export const tlsSchema = z.strictObject({
  starttls: setting(z.boolean().default(true), {
    title: 'STARTTLS',
    help: 'Offered on the plain ports as soon as there is a certificate.',
    source: 'classic',
  }),
  implicitTls: setting(z.boolean().default(false), {
    title: 'Implicit TLS',
    help: 'A port with TLS from the first byte (RFC 8314). Needs a certificate.',
    source: 'classic',
  }),
  implicitTlsPort: setting(portSchema.default(465), {
    title: 'Implicit TLS port',
    help: 'The port for TLS from the first byte.',
    source: 'classic',
  }),
  requireTls: setting(z.enum(['no', 'submission', 'all']).default('submission'), {
    title: 'Require TLS',
    help: 'Without TLS, MAIL is answered with 530 5.7.0. submission: on the submission port only, once there is a certificate. all: on every port; other servers without TLS cannot deliver here.',
    danger: { text: 'Servers that do not speak TLS can no longer deliver mail to you.', values: ['all'] },
    source: 'today',
  }),
  minVersion: setting(z.enum(['1.2', '1.3']).default('1.2'), {
    title: 'Oldest TLS version',
    help: 'Older handshakes fail.',
    source: 'today',
  }),
})
