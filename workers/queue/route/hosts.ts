import { isOfMany } from '@postern/contract/host-name.ts'
import { parseAddress } from '@postern/contract/ip-address.ts'
import type { Dns, Mx } from '@postern/net/dns.ts'
import type { Peer } from '../client/peer.ts'
import type { Destination } from './destination.ts'

/** Which addresses to try for a destination, best first (RFC 5321 §5, RFC 7505). */

export type Hosts =
  | { kind: 'hosts'; peers: Peer[] }
  | { kind: 'bounced'; status: string; text: string; cause: string }
  | { kind: 'deferred'; status: string; text: string; cause: string }

/** What we are known as: mail whose best MX is us, yet is not local, would come back for ever. */
export type OwnAddresses = {
  hostname: string
  isOurs(address: string, port: number): boolean
  /** Whether we listen there for SMTP, on whatever address. */
  listensOn(port: number): boolean
}

/**
 * Whether a host that calls itself `name` in its greeting or its reply to EHLO is this server, whatever its address: behind a NAT
 * nobody knows that. Of a host that an administrator named, the port has to be ours, too: another server may carry our name.
 */
export function greetsAsUs(
  name: string,
  { destination, peer }: { destination: Remote; peer: Peer },
  { hostname, isOurs, listensOn }: OwnAddresses,
): boolean {
  if (destination.kind === 'lmtp' || name.toLowerCase().replace(/\.$/, '') !== hostname) return false
  if (destination.kind === 'smtp') return listensOn(peer.port)
  // A name such as localhost or localhost.localdomain is the name of many.
  return !isOfMany(hostname) || isOurs(peer.address, peer.port)
}

/** As many addresses as one attempt tries. */
const maxPeers = 5

/** What is asked of the DNS. */
export type Questions = Pick<Dns, 'mx' | 'a' | 'aaaa'>

export type Remote = Extract<Destination, { kind: 'lmtp' | 'smtp' | 'mx' | 'address' }>

export async function hostsFor(
  destination: Remote,
  context: { dns: Questions; ownAddresses: OwnAddresses; port: number; random?: () => number },
): Promise<Hosts> {
  const { dns, port } = context
  switch (destination.kind) {
    case 'lmtp':
    case 'smtp':
      return addressesOf(dns, { host: destination.host, port: destination.port })
    case 'address': {
      const address = parseAddress(destination.address)?.toString()
      if (!address) return bounced('5.1.3', `${destination.address} is not an address literal`, 'bad-address')
      if (context.ownAddresses.isOurs(address, port)) return loops(destination.address)
      return { kind: 'hosts', peers: [{ host: address, address, port }] }
    }
    case 'mx':
      return mxHosts(destination.domain, context)
  }
}

type HostsContext = Parameters<typeof hostsFor>[1]

async function mxHosts(domain: string, context: HostsContext): Promise<Hosts> {
  const mx = await context.dns.mx(domain)
  switch (mx.kind) {
    // Some resolvers say NXDOMAIN of a name that has no MX and does have an address (dnsmasq, home routers): it is asked for.
    case 'no-name':
    case 'empty':
      return implicitMx(domain, context)
    case 'not-known':
      return deferred('4.4.3', `the MX of ${domain} could not be looked up: ${mx.why}`, 'dns-failure')
    case 'found': {
      if (mx.value.some(({ host }) => host === '' || host === '.')) {
        if (mx.value.length === 1) return bounced('5.1.10', `domain ${domain} accepts no mail (null MX)`, 'null-mx')
      }
      return explicitMx(
        domain,
        mx.value.filter(({ host }) => host !== '' && host !== '.'),
        context,
      )
    }
  }
}

async function implicitMx(domain: string, context: HostsContext): Promise<Hosts> {
  const found = await addressesOf(context.dns, { host: domain, port: context.port })
  if (found.kind === 'hosts' && found.peers.some((peer) => isUs(peer, context))) return loops(domain)
  if (found.kind !== 'bounced') return found
  return bounced('5.1.2', `domain ${domain} has neither MX nor address records`, 'no-such-domain')
}

async function explicitMx(domain: string, records: Mx[], context: HostsContext): Promise<Hosts> {
  const { dns, port, random = Math.random } = context
  // Equal preferences in random order (RFC 5321 §5.1), by drawing a number for each.
  const ordered = records
    .map((record) => ({ ...record, draw: random() }))
    .sort((a, b) => a.preference - b.preference || a.draw - b.draw)
  const asked = await Promise.all(ordered.slice(0, 20).map(({ host }) => addressesOf(dns, { host, port })))
  const peers: (Peer & { preference: number })[] = []
  let ours = Number.POSITIVE_INFINITY
  let trouble: Extract<Hosts, { kind: 'deferred' }> | undefined
  for (const [i, answer] of asked.entries()) {
    const { host, preference } = ordered[i] as Mx
    if (host === context.ownAddresses.hostname) ours = Math.min(ours, preference)
    if (answer.kind === 'deferred') trouble ??= answer
    if (answer.kind !== 'hosts') continue
    if (answer.peers.some((peer) => isUs(peer, context))) ours = Math.min(ours, preference)
    peers.push(...answer.peers.map((peer) => ({ ...peer, preference })))
  }
  const better = peers.filter(({ preference }) => preference < ours).slice(0, maxPeers)
  if (better.length > 0) return { kind: 'hosts', peers: better.map(({ preference: _, ...peer }) => peer) }
  if (ours < Number.POSITIVE_INFINITY) return loops(domain)
  return trouble ?? bounced('5.4.4', `no MX host of ${domain} has an address`, 'no-such-host')
}

function isUs(peer: Peer, { ownAddresses }: HostsContext): boolean {
  return peer.host === ownAddresses.hostname || ownAddresses.isOurs(peer.address, peer.port)
}

/** IPv4 first: a host without IPv6 connectivity then loses no time; both are tried. */
async function addressesOf(dns: Questions, { host, port }: { host: string; port: number }): Promise<Hosts> {
  const literal = parseAddress(host)?.toString()
  if (literal) return { kind: 'hosts', peers: [{ host: literal, address: literal, port }] }
  const [a, aaaa] = await Promise.all([dns.a(host), dns.aaaa(host)])
  const addresses = [a, aaaa].flatMap((answer) => (answer.kind === 'found' ? answer.value : []))
  if (addresses.length > 0) {
    return { kind: 'hosts', peers: addresses.slice(0, maxPeers).map((address) => ({ host, address, port })) }
  }
  for (const answer of [a, aaaa]) {
    if (answer.kind === 'not-known') {
      return deferred('4.4.3', `the address of ${host} could not be looked up: ${answer.why}`, 'dns-failure')
    }
  }
  return bounced('5.4.4', `host ${host} has no address`, 'no-such-host')
}

export const loopStatus = '5.4.6'

function loops(domain: string): Hosts {
  return bounced(
    loopStatus,
    `mail for ${domain} loops back to this server: the DNS names us, and it is no local domain`,
    'loop',
  )
}

function bounced(status: string, text: string, cause: string): Hosts {
  return { kind: 'bounced', status, text, cause }
}

function deferred(status: string, text: string, cause: string): Hosts {
  return { kind: 'deferred', status, text, cause }
}
