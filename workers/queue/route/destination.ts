import type { Recipient } from '@postern/contract/envelope.ts'
import type { TlsPolicy } from '../client/connect-options.ts'
import type { DeliverySettings, LocalDomain } from './delivery-settings.ts'

/** Where a recipient's mail goes next. Decided anew for each attempt, so a changed route moves what waits. */

type Host = { host: string; port: number; tls: TlsPolicy }

export type Destination =
  | { kind: 'maildir'; domain: string }
  | { kind: 'discard'; domain: string }
  | ({ kind: 'lmtp' } & Host)
  /** A host that was named: its address records are asked, never its MX. */
  | ({ kind: 'smtp'; auth?: { user: string; secret: string } } & Host)
  | { kind: 'mx'; domain: string; tls: TlsPolicy }
  | { kind: 'address'; address: string; tls: TlsPolicy }
  | { kind: 'webhook'; domain: string; url: string; secret?: string }
  | { kind: 's3'; domain: string; bucket: string; prefix: string }

/** Mail with the same `key` shares destination, connections and throttle. `domain` names the throttle. */
export type NextHop = { key: string; domain: string; destination: Destination }

export type Rerouted = { host: string; port: number }

export function nextHopFor(
  settings: DeliverySettings,
  to: Pick<Recipient, 'address' | 'via'>,
  rerouted?: Rerouted,
): NextHop {
  const domain = to.address.slice(to.address.lastIndexOf('@') + 1)
  const tls = settings.queue.outboundTls
  if (rerouted) return named(domain, rerouted, tls)
  if (to.via) return named(domain, hostAndPort(to.via), tls)
  const local = settings.domains.get(domain)
  if (local) return localNextHop(local.name, local.route)
  if (settings.gateway !== 'off') {
    const { host, port, tls: gatewayTls, user, secret } = settings.gateway
    const auth = user && secret ? { user, secret } : undefined
    const destination: Destination = { kind: 'smtp', host, port, tls: gatewayTls, ...(auth ? { auth } : {}) }
    return { key: 'gateway', domain: host, destination }
  }
  if (domain.startsWith('[')) {
    return { key: domain, domain, destination: { kind: 'address', address: domain, tls } }
  }
  return { key: domain, domain, destination: { kind: 'mx', domain, tls } }
}

function named(domain: string, { host, port }: Rerouted, tls: TlsPolicy): NextHop {
  return { key: `to ${host}:${port}`, domain, destination: { kind: 'smtp', host, port, tls } }
}

type LocalRoute = LocalDomain['route']

function localNextHop(domain: string, route: LocalRoute): NextHop {
  const to = (destination: Destination): NextHop => ({ key: domain, domain, destination })
  switch (route.type) {
    case 'maildir':
    case 'discard':
      return to({ kind: route.type, domain })
    case 'lmtp':
      return to({ kind: 'lmtp', host: route.host, port: route.port, tls: 'none' })
    case 'smtp':
      return to({ kind: 'smtp', host: route.host, port: route.port, tls: route.tls })
    case 'webhook': {
      const { url, secret } = route
      return to({ kind: 'webhook', domain, url, ...(secret === undefined ? {} : { secret }) })
    }
    case 's3':
      return to({ kind: 's3', domain, bucket: route.bucket, prefix: route.prefix })
  }
}

/** `host`, `host:port`, `[v6]:port`; without a port it is 25. */
export function hostAndPort(text: string): Rerouted {
  const match = /^(\[[^\]]+\]|[^:]+)(?::(\d{1,5}))?$/.exec(text)
  if (!match) return { host: text, port: 25 }
  return { host: (match[1] as string).replace(/^\[|\]$/g, ''), port: match[2] ? Number(match[2]) : 25 }
}
