import { join } from 'node:path'
import { type Environment, EnvironmentError, portIn, serversIn } from '@postern/contract/environment.ts'
import type { Dns } from '@postern/net/dns.ts'
import { allowedAddressesFrom } from '@postern/net/http/allowed-addresses.ts'
import { Trust } from '../client/certificate.ts'
import type { Assurance } from './assurance.ts'
import { DnssecResolver } from './dnssec.ts'
import { MtaSts } from './mta-sts.ts'

/**
 * `POSTERN_CA_FILE`: further authorities, PEM. `POSTERN_DNS_VALIDATES=yes`: the resolver validates DNSSEC and the way to it
 * is safe, so its word on what is authentic counts and DANE is honoured. `POSTERN_MTA_STS_PORT`: where policy hosts listen.
 * Policy hosts must be on the public Internet, but for `POSTERN_HOOKS_MAY_REACH`. Throws an EnvironmentError.
 */
export function openAssurance(env: Environment, given: { dns: Dns; dataDirectory: string }): Assurance {
  const trust = new Trust({ caFile: env.POSTERN_CA_FILE })
  const servers = serversIn(env, 'POSTERN_DNS_SERVERS') ?? []
  return {
    trust,
    mtaSts: new MtaSts({
      dns: given.dns,
      trust,
      file: join(given.dataDirectory, 'queue', 'mta-sts.json'),
      port: portIn(env, 'POSTERN_MTA_STS_PORT'),
      reach: allowedAddressesFrom(env),
    }),
    secureDns: validates(env) ? new DnssecResolver({ servers }) : undefined,
  }
}

function validates({ POSTERN_DNS_VALIDATES: text = '' }: Environment): boolean {
  if (text === 'yes') return true
  if (text === '' || text === 'no') return false
  throw new EnvironmentError(`POSTERN_DNS_VALIDATES is "${text}" but must be yes or no`)
}
