import { hostname as machineName } from 'node:os'
import type { Route } from '@postern/contract/directory.ts'
import type { Replica } from '@postern/contract/rows.ts'
import { generalSchema } from '@postern/contract/settings/general.ts'
import { queueSchema } from '@postern/contract/settings/queue.ts'
import type { GeneralSettings, QueueSettings } from '@postern/contract/settings.ts'

/** The settings and domains in force, as the deliverers read them: one immutable value, replaced as a whole. */

export type LocalDomain = { name: string; route: Route }
export type Throttle = { connections: number; perMinute: number }

export type Plan = {
  revision: number
  /** Our name in EHLO, DSNs and maildir names. */
  hostname: string
  queue: QueueSettings
  gateway: GeneralSettings['gateway']
  /** By name and by each alias, lower-case ASCII. */
  domains: ReadonlyMap<string, LocalDomain>
  throttles: ReadonlyMap<string, Partial<Throttle>>
  /** Empty, or the character between user and box. */
  delimiter: string
}

/** Compiles the replica. Throws a ZodError when a settings row is not what the contract says. */
export function compilePlan(replica: Replica, revision: number): Plan {
  const general = generalSchema.parse(replica.settings.get('general') ?? {})
  const queue = queueSchema.parse(replica.settings.get('queue') ?? {})
  const advanced = replica.settings.get('advanced')
  const domains = new Map<string, LocalDomain>()
  for (const { name, aliases, route } of replica.domain.values()) {
    for (const each of [name, ...aliases]) domains.set(each, { name, route })
  }
  const throttles = new Map(queue.perDomain.map(({ domain, ...throttle }) => [domain, throttle]))
  const hostname = general.hostname || machineName() || 'localhost'
  const delimiter = advanced && 'mailboxDelimiter' in advanced ? advanced.mailboxDelimiter : '+'
  return { revision, hostname, queue, gateway: general.gateway, domains, throttles, delimiter }
}

export function throttleFor(plan: Plan, domain: string): Throttle {
  const override = plan.throttles.get(domain)
  return {
    connections: override?.connections ?? plan.queue.perDomainConnections,
    perMinute: override?.perMinute ?? plan.queue.perDomainPerMinute,
  }
}
