import { Resolver } from 'node:dns/promises'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort, type Peer, startPeer, temporaryDirectory, until } from './peer.ts'

/** The DNS records of one name. A name that is not listed does not exist (NXDOMAIN). */
type DnsName =
  /** Any kind not listed is an empty answer (NODATA). */
  | {
      mx?: [preference: number, host: string][] | 'null'
      a?: string[]
      aaaa?: string[]
      txt?: string[]
      ptr?: string[]
    }
  /** Every query for it, or below it, is answered with SERVFAIL. */
  | 'servfail'
  /** Every query for it, or below it, is dropped, so the client's own timeout decides. */
  | 'timeout'

/** Lower-case names without a final dot. */
export type DnsZone = {
  names: Record<string, DnsName>
  ptr?: Record<string, string>
}

export type Dns = Peer & {
  /** `127.0.0.1:5353`, as POSTERN_DNS_SERVERS takes it. */
  server: string
  /** Resolves when it answers from the new zone. */
  change(zone: DnsZone): Promise<void>
}

/** A real DNS server (unbound) with this zone, which asks no other server. */
export async function startDns(zone: DnsZone, host = '127.0.0.1'): Promise<Dns> {
  const port = await freePort(host)
  const directory = await temporaryDirectory('dns')
  await mkdir(join(directory, 'run'))
  const file = join(directory, 'unbound.conf')
  let serial = 1
  const write = (to: DnsZone) => writeFile(file, configuration({ zone: to, host, port, directory, serial }))
  await write(zone)
  const peer = await startPeer({
    name: 'unbound',
    command: '/usr/sbin/unbound',
    args: ['-d', '-p', '-c', file],
    host,
    port,
    directory,
  })
  const resolver = new Resolver({ timeout: 250, tries: 1 })
  resolver.setServers([`${host}:${port}`])
  const inForce = async () => {
    const answer = await resolver.resolveTxt(serialName).catch(() => [])
    return answer[0]?.[0] === String(serial)
  }
  return {
    ...peer,
    server: `${host}:${port}`,
    change: async (to) => {
      serial += 1
      await write(to)
      peer.signal('SIGHUP')
      await until('the DNS server answers from its new zone', inForce)
    },
  }
}

const serialName = 'zone-serial.postern'

function configuration(of: { zone: DnsZone; host: string; port: number; directory: string; serial: number }): string {
  const names = Object.entries(of.zone.names)
  const local = names.flatMap(([name, is]) => recordsOf(name, is))
  const reverse = Object.entries(of.zone.ptr ?? {}).map(([address, name]) => `local-data-ptr: "${address} ${name}."`)
  // A forwarder that it may not ask makes unbound answer SERVFAIL at once.
  const failing = names.filter(([, is]) => is === 'servfail')
  return `server:
  interface: ${of.host}
  port: ${of.port}
  directory: "${of.directory}"
  username: ""
  chroot: ""
  use-syslog: no
  verbosity: 1
  do-daemonize: no
  rrset-roundrobin: no
  num-threads: 1
  access-control: 127.0.0.0/8 allow
  access-control: ::1 allow
  do-not-query-localhost: yes
  module-config: "iterator"
  local-zone: "." static
  local-zone: "127.in-addr.arpa." static
  local-data: '${serialName}. 0 TXT "${of.serial}"'
${[...local, ...reverse].map((line) => `  ${line}\n`).join('')}
remote-control:
  control-enable: no
${failing.map(([name]) => `forward-zone:\n  name: "${name}."\n  forward-addr: 127.0.0.1\n`).join('')}`
}

function recordsOf(name: string, is: DnsName): string[] {
  if (is === 'timeout') return [`local-zone: "${name}." deny`]
  if (is === 'servfail') return [`local-zone: "${name}." transparent`]
  const mx = is.mx === 'null' ? ['MX 0 .'] : (is.mx ?? []).map(([preference, host]) => `MX ${preference} ${host}.`)
  const data = [
    ...mx,
    ...(is.a ?? []).map((address) => `A ${address}`),
    ...(is.aaaa ?? []).map((address) => `AAAA ${address}`),
    ...(is.txt ?? []).map((text) => `TXT ${quoted(text)}`),
    ...(is.ptr ?? []).map((host) => `PTR ${host}.`),
  ]
  // A name without records exists all the same: another kind of record makes NODATA of every question.
  const lines = data.length > 0 ? data : ['HINFO "none" "none"']
  return lines.map((line) => `local-data: '${name}. 0 ${line}'`)
}

/** A TXT record is strings of at most 255 bytes (RFC 1035 §3.3.14). */
function quoted(text: string): string {
  return (text.match(/.{1,255}/gs) ?? ['']).map((part) => `"${part}"`).join(' ')
}
