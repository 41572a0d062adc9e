import { hostname as machineName } from 'node:os'
import { type DkimKey, namesOf, type Route } from '@postern/contract/directory.ts'
import { hostNameOf } from '@postern/contract/host-name.ts'
import type { Replica, RowKind } from '@postern/contract/rows.ts'
import { advancedSchema } from '@postern/contract/settings/advanced.ts'
import { generalSchema } from '@postern/contract/settings/general.ts'
import { queueSchema } from '@postern/contract/settings/queue.ts'
import { tlsSchema } from '@postern/contract/settings/tls.ts'
import type { GeneralSettings, QueueSettings } from '@postern/contract/settings.ts'
import { type AddressBlocks, addressBlocks } from '@postern/policy/address-blocks.ts'
import { addAccount, addAlias, addDomain, addGroup, type Directory, emptyDirectory } from '@postern/policy/directory.ts'

/** The settings and domains in force, as the deliverers read them: one immutable value, replaced as a whole. */

/** What the messages of a domain are signed with. */
type SigningKey = Pick<DkimKey, 'domain' | 'selector' | 'headers' | 'privateKey'>
export type LocalDomain = { name: string; route: Route }
export type Throttle = { connections: number; perMinute: number }

export type DeliverySettings = {
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

/** Compiles the replica. Throws a ZodError when a settings row is not what the contract says. */
export function compileDeliverySettings(
  replica: Replica,
  revision: number,
  before?: { settings: DeliverySettings; changed: ReadonlySet<RowKind> },
): DeliverySettings {
  const general = generalSchema.parse(replica.settings.get('general') ?? {})
  const queue = queueSchema.parse(replica.settings.get('queue') ?? {})
  const advanced = advancedSchema.parse(replica.settings.get('advanced') ?? {})
  const tls = tlsSchema.parse(replica.settings.get('tls') ?? {})
  const throttles = new Map(queue.perDomain.map(({ domain, ...throttle }) => [domain, throttle]))
  const hostname = hostNameOf(general.hostname, machineName())
  const isNew = (kinds: readonly RowKind[]) => !before || kinds.some((kind) => before.changed.has(kind))
  return {
    revision,
    hostname,
    listens: { ...advanced, implicitTlsPort: tls.implicitTlsPort },
    queue,
    gateway: general.gateway,
    domains: before && !isNew(['domain']) ? before.settings.domains : domainsOf(replica),
    throttles,
    delimiter: advanced.mailboxDelimiter,
    defaultMailHost: general.defaultMailHost,
    postmaster: general.postmaster,
    recipientDelayMs: advanced.recipientDelayMs,
    drainMs: advanced.drainTimeoutSeconds * 1000,
    signers: signersOf(replica),
    relays: before && !isNew(['relay']) ? before.settings.relays : relaysOf(replica),
    directory: before && !isNew(directoryKinds) ? before.settings.directory : directoryOf(replica),
  }
}

function domainsOf(replica: Replica): Map<string, LocalDomain> {
  const domains = new Map<string, LocalDomain>()
  for (const domain of replica.domain.values()) {
    const { name, route } = domain
    for (const each of namesOf(domain)) domains.set(each, { name, route })
  }
  return domains
}

const directoryKinds = ['domain', 'account', 'alias', 'group'] as const

function directoryOf(replica: Replica): Directory {
  const directory = emptyDirectory()
  for (const domain of replica.domain.values()) addDomain(directory, domain)
  for (const account of replica.account.values()) addAccount(directory, account)
  for (const alias of replica.alias.values()) addAlias(directory, alias)
  for (const group of replica.group.values()) addGroup(directory, group)
  return directory
}

function relaysOf(replica: Replica): AddressBlocks {
  const { blocks, add } = addressBlocks()
  for (const entry of replica.relay.values()) add(entry)
  return blocks
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
