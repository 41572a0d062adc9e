import { checkVariables } from '@postern/contract/variables.ts'
import { expect, it } from 'vitest'
import { fixedBy } from './environment.ts'

it('accepts what the workers can use', () => {
  checkVariables({})
  checkVariables({
    POSTERN_SMTP_PORT: '2525',
    POSTERN_PROXY_PROTOCOL: '10.0.0.0/8, 2001:db8::1',
    POSTERN_SPOOL: 'local',
  })
})

it.each([
  [{ POSTERN_SMTP_PORT: '70000' }, 'POSTERN_SMTP_PORT is "70000" but must be a port from 0 to 65535'],
  [{ POSTERN_DNS_SERVERS: '192.0.2.53,dns.test' }, 'POSTERN_DNS_SERVERS contains "dns.test"'],
  [{ POSTERN_DNS_SERVERS: '192.0.2.53:0' }, 'POSTERN_DNS_SERVERS contains "192.0.2.53:0"'],
  [{ POSTERN_DNS_SERVERS: '[2001:db8::53]:99999' }, 'POSTERN_DNS_SERVERS contains "[2001:db8::53]:99999"'],
  [{ POSTERN_PROXY_PROTOCOL: '10.0.0.0/8,nonsense' }, 'POSTERN_PROXY_PROTOCOL contains "nonsense"'],
  [{ POSTERN_SPOOL: 's3://bucket' }, 'POSTERN_SPOOL is "s3://bucket" but only "local"'],
])('refuses %o', (env, message) => {
  expect(() => checkVariables(env)).toThrow(message)
})

it('lists the settings that the environment fixes', () => {
  expect(fixedBy({ POSTERN_SMTP_PORT: '2525' })).toEqual({ 'advanced.port': 'POSTERN_SMTP_PORT=2525' })
})
