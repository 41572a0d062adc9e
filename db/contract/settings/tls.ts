import { z } from 'zod'
import { portSchema } from '../network.ts'
import { setting } from '../setting.ts'

export const tlsSchema = z.strictObject({
  starttls: setting(z.boolean().default(true), {
    title: 'STARTTLS',
    help: 'Offers STARTTLS on the plain ports once there is a certificate.',
  }),
  implicitTls: setting(z.boolean().default(false), {
    title: 'Implicit TLS',
    help: 'Opens a port that uses TLS from the first byte (RFC 8314). Needs a certificate.',
  }),
  implicitTlsPort: setting(portSchema.default(465), {
    title: 'Implicit TLS port',
    help: 'The port that uses TLS from the first byte.',
  }),
  requireTls: setting(z.enum(['no', 'submission', 'all']).default('submission'), {
    title: 'Require TLS',
    help: 'Where clients must use TLS. Without it, MAIL gets 530 5.7.0. no: nowhere. submission: on the submission port, once there is a certificate. all: on every port.',
    danger: { text: 'With all, servers without TLS can no longer deliver mail to you.', values: ['all'] },
  }),
  minVersion: setting(z.enum(['1.2', '1.3']).default('1.2'), {
    title: 'Minimum TLS version',
    help: 'Clients with an older version cannot use TLS.',
  }),
})
