import { hostname as machineName } from 'node:os'
import type { DkimKey, Route } from '@postern/contract/directory.ts'
import { hostNameOf } from '@postern/contract/host-name.ts'
import type { Replica, RowKind } from '@postern/contract/rows.ts'
import { advancedSchema } from '@postern/contract/settings/advanced.ts'
import { generalSchema } from '@postern/contract/settings/general.ts'
import { queueSchema } from '@postern/contract/settings/queue.ts'
import { tlsSchema } from '@postern/contract/settings/tls.ts'
import type { GeneralSettings, QueueSettings } from '@postern/contract/settings.ts'
import type { AddressBlocks } from '@postern/policy/address-blocks.ts'
import { compileDeliveryPolicy, type DeliveryPolicy } from '@postern/policy/compile.ts'
import type { Directory } from '@postern/policy/directory.ts'

/** The settings and domains in force, as the deliverers read them: one immutable value, replaced as a whole. */

/** What the messages of a domain are signed with. */
type SigningKey = Pick<DkimKey, 'domain' | 'selector' | 'headers' | 'privateKey'>
export type LocalDomain = { name: string; route: Route }
export type Throttle = { connections: number; perMinute: number }

export type DeliverySettings = {
  policy: DeliveryPolicy
  revision: number
  /** Our name in EHLO, DSNs and maildir names. */
  hostname: string
  /** Ports of the SMTP service, as the settings have them. */
  listens: { port: number; submissionPort: number; implicitTlsPort: number; extraPorts: readonly number[] }
  queue: QueueSettings
  gateway: GeneralSettings['gateway']
  /** By name and by each alias, lower-case ASCII. */
  domains: ReadonlyMap<string, LocalDomain>
  throttles: ReadonlyMap<string, Partial<Throttle>>
  /** Empty, or the character between user and box. */
  delimiter: string
  /** Where mail for unknown users of local domains goes; empty: nowhere. */
  defaultMailHost: string
  /** Who reads mail for postmaster where the directory does not say; may be empty. */
  postmaster: string
  /** Milliseconds between recipients of mail that is relayed. */
  recipientDelayMs: number
  /** Milliseconds that deliveries under way may take to end after a stop. */
  drainMs: number
  /** By domain: what its outgoing mail is signed with. */
  signers: ReadonlyMap<string, readonly SigningKey[]>
  /** Clients that may relay. */
  relays: AddressBlocks
  /** What makes an address local, for mail that the Queue Manager writes itself. */
  directory: Directory
}

/** Derived from the policy that both services compile. Throws a ZodError when a settings row is not what the contract says. */
export function compileDeliverySettings(
  replica: Replica,
  revision: number,
  before?: { settings: DeliverySettings; changed: ReadonlySet<RowKind> },
): DeliverySettings {
  const previous = before?.settings.policy
  const policy = compileDeliveryPolicy(replica, revision, {
    ...(before ? { changed: before.changed } : {}),
    ...(previous ? { previous } : {}),
  })
  // Validated here: retry times that are not what the contract says are refused, and the settings before stay in force.
  const general = generalSchema.parse(policy.settings.general)
  const queue = queueSchema.parse(policy.settings.queue)
  const advanced = advancedSchema.parse(policy.settings.advanced)
  const tls = tlsSchema.parse(policy.settings.tls)
  return {
    policy,
    revision,
    hostname: hostNameOf(general.hostname, machineName()),
    listens: { ...advanced, implicitTlsPort: tls.implicitTlsPort },
    queue,
    gateway: general.gateway,
    // The map is the same one until a domain changes: another one means that routes have changed.
    domains: before && !before.changed.has('domain') ? before.settings.domains : policy.directory.domains,
    throttles: new Map(queue.perDomain.map(({ domain, ...throttle }) => [domain, throttle])),
    delimiter: advanced.mailboxDelimiter,
    defaultMailHost: general.defaultMailHost,
    postmaster: general.postmaster,
    recipientDelayMs: advanced.recipientDelayMs,
    drainMs: advanced.drainTimeoutSeconds * 1000,
    signers: signersOf(replica),
    relays: policy.relay,
    directory: policy.directory,
  }
}

function signersOf(replica: Replica): Map<string, SigningKey[]> {
  const signers = new Map<string, SigningKey[]>()
  for (const { domain, selector, headers, privateKey } of replica['dkim-key'].values()) {
    const keys = signers.get(domain)
    const key = { domain, selector, headers, privateKey }
    if (keys) keys.push(key)
    else signers.set(domain, [key])
  }
  return signers
}

export function throttleFor(settings: DeliverySettings, domain: string): Throttle {
  const override = settings.throttles.get(domain)
  return {
    connections: override?.connections ?? settings.queue.perDomainConnections,
    perMinute: override?.perMinute ?? settings.queue.perDomainPerMinute,
  }
}
