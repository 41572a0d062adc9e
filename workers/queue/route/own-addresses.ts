import { networkInterfaces } from 'node:os'
import type { Environment } from '@postern/contract/environment.ts'
import { parseAddress } from '@postern/contract/ip-address.ts'
import type { DeliverySettings } from './delivery-settings.ts'
import type { OwnAddresses } from './hosts.ts'

/** The ports that the SMTP service takes in place of those below 1024 when it is not root. */
const insteadOf = new Map([
  [25, 2525],
  [587, 2587],
  [465, 2465],
])

type OwnAddressOptions = {
  env: Environment
  settings: Pick<DeliverySettings, 'hostname' | 'listens'>
  interfaces?: () => string[]
  unprivileged?: boolean
}

/** Our listening ports and addresses: mail whose MX leads there would come back to us. */
export function ownAddressesFrom({
  env,
  settings,
  interfaces = interfaceAddresses,
  unprivileged = process.getuid?.() !== 0,
}: OwnAddressOptions): OwnAddresses {
  const { hostname, listens } = settings
  const allowed = (port: number) => (unprivileged ? (insteadOf.get(port) ?? port) : port)
  const fixed = (name: string, port: number) => Number(env[name] || allowed(port))
  const ports = new Set([
    fixed('POSTERN_SMTP_PORT', listens.port),
    fixed('POSTERN_SUBMISSION_PORT', listens.submissionPort),
    fixed('POSTERN_SMTPS_PORT', listens.implicitTlsPort),
    ...listens.extraPorts,
  ])
  const bind = plain(env.POSTERN_BIND ?? '0.0.0.0')
  const everywhere = bind === '0.0.0.0' || bind === '::'
  const own = new Set(everywhere ? interfaces().map(plain) : [bind])
  const isOwnAddress = (address: string) => {
    const at = plain(address)
    // What is connected to the unspecified address reaches this machine (RFC 1122 §3.2.1.3), and so does all of 127/8.
    const isHere = at === '0.0.0.0' || at === '::' || at === '::1' || at.startsWith('127.')
    return own.has(at) || (isHere && (everywhere || at === '0.0.0.0' || at === '::'))
  }
  return {
    hostname: hostname.toLowerCase(),
    isOurs: (address, port) => ports.has(port) && isOwnAddress(address),
    listensOn: (port) => ports.has(port),
  }
}

/** One spelling of each address; IPv4 within IPv6 is IPv4. */
function plain(address: string): string {
  return parseAddress(address)?.toString() ?? address
}

function interfaceAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((each) => (each ?? []).map(({ address }) => address))
}
