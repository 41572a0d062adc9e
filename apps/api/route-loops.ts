import { parseAddress } from '@postern/contract/ip-address.ts'
import type { Change } from '@postern/store/control/change.ts'
import type { ChangeSet } from '@postern/store/control/change-set.ts'

/** Finds routes that lead back to this server, so that their mail would come in again. DNS is not queried. */

type Json = Record<string, unknown>
type Target = { host: string; port: number }
type Ourselves = { hostname: string; ports: ReadonlySet<number> }
type Groups = { general: Json; advanced: Json; tls: Json }
/** `what` is the setting or route. */
type Route = { what: string; target: Target }

const groups = ['general', 'advanced', 'tls'] as const

/**
 * Returns a warning for each route that now loops and did not before.
 * @param fixed settings that the environment fixes
 */
export async function routeLoops(changeSet: ChangeSet, fixed: Record<string, string>): Promise<string[]> {
  const { changes } = changeSet
  const settings = changes.filter(({ kind, id }) => kind === 'settings' && groups.some((group) => group === id))
  const domains = changes.filter(({ kind }) => kind === 'domain')
  if (settings.length === 0 && domains.length === 0) return []
  const after = await groupsOf(changeSet)
  const before = { ...after, ...Object.fromEntries(settings.map(({ id, before }) => [id, parsed(before)])) }
  const [usBefore, us] = [ourselvesFrom(before, fixed), ourselvesFrom(after, fixed)]
  const old = new Set([...ofGeneral(before.general), ...domains.flatMap(ofDomain('before'))].map(spelled))
  const changed = [...ofGeneral(after.general), ...domains.flatMap(ofDomain('after'))].map(spelled)
  const fresh = new Set(changed.filter((route) => !old.has(route)))
  const isNew = (route: Route) => fresh.has(spelled(route)) || !leadsTo(usBefore, route.target)
  return [...ofGeneral(after.general), ...(await domainRoutes(changeSet, { domains, moved: !isSame(usBefore, us) }))]
    .filter((route) => leadsTo(us, route.target) && isNew(route))
    .slice(0, maxSaid)
    .map(
      ({ what, target: { host, port } }) => `${what} leads to this server itself (${host}, port ${port}): mail loops.`,
    )
}

const maxSaid = 50

async function groupsOf(changeSet: ChangeSet): Promise<Groups> {
  const value = async (group: (typeof groups)[number]) =>
    ((await changeSet.get('settings', group))?.value ?? {}) as Json
  return { general: await value('general'), advanced: await value('advanced'), tls: await value('tls') }
}

/** Returns the routes of all domains if our name or ports have changed, otherwise only those that changed. */
async function domainRoutes(changeSet: ChangeSet, { domains, moved }: { domains: readonly Change[]; moved: boolean }) {
  if (!moved) return domains.flatMap(ofDomain('after'))
  return (await changeSet.all('domain')).flatMap(({ value }) => ofRoute(value.name, value.route))
}

function ofDomain(when: 'before' | 'after'): (change: Change) => Route[] {
  return (change) => {
    const { name, route } = parsed(change[when])
    return ofRoute(String(name), route as Json | undefined)
  }
}

function ofRoute(domain: string, route: Json | undefined): Route[] {
  if (route?.type !== 'smtp' && route?.type !== 'lmtp') return []
  return [{ what: `The route of ${domain}`, target: { host: String(route.host), port: Number(route.port) } }]
}

function ofGeneral({ gateway, defaultMailHost }: Json): Route[] {
  const found: Route[] = []
  if (gateway && typeof gateway === 'object')
    found.push({ what: 'general.gateway', target: { port: 25, ...(gateway as { host: string }) } })
  if (defaultMailHost) {
    const [, host = '', port = '25'] = /^(.*?)(?::(\d{1,5}))?$/.exec(String(defaultMailHost)) ?? []
    found.push({ what: 'general.defaultMailHost', target: { host, port: Number(port) } })
  }
  return found
}

function ourselvesFrom({ general, advanced, tls }: Groups, fixed: Record<string, string>): Ourselves {
  const port = (key: string, otherwise: unknown) => Number(fixed[key]?.replace(/^.*=/, '') ?? otherwise)
  const ports = [
    port('advanced.port', advanced.port),
    port('advanced.submissionPort', advanced.submissionPort),
    ...((advanced.extraPorts ?? []) as number[]),
    ...(tls.implicitTls ? [port('tls.implicitTlsPort', tls.implicitTlsPort)] : []),
  ]
  return { hostname: String(general.hostname ?? '').toLowerCase(), ports: new Set(ports) }
}

function leadsTo({ hostname, ports }: Ourselves, { host, port }: Target): boolean {
  if (!ports.has(port)) return false
  const address = parseAddress(host)
  // A connection to the unspecified address reaches this machine (RFC 1122 §3.2.1.3).
  if (address) return ['loopback', 'unspecified'].includes(address.range())
  const name = host.toLowerCase().replace(/\.$/, '')
  // RFC 6761 §6.3.
  return name === 'localhost' || name.endsWith('.localhost') || (name !== '' && name === hostname)
}

function isSame(one: Ourselves, other: Ourselves): boolean {
  return one.hostname === other.hostname && `${[...one.ports]}` === `${[...other.ports]}`
}

function spelled({ what, target }: Route): string {
  return `${what} ${target.host} ${target.port}`
}

function parsed(json: string | null): Json {
  return json === null ? {} : (JSON.parse(json) as Json)
}
