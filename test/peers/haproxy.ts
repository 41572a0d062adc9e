import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort, type Peer, startPeer, temporaryDirectory } from './peer.ts'

export type HaproxyOptions = {
  /** Where it forwards to. */
  to: { host: string; port: number }
  /** Which PROXY header it puts before the client's bytes. */
  header: 'v1' | 'v2' | 'none'
  host?: string
  /** The address it connects from, which the server sees as the balancer's. Default: `host`. */
  from?: string
}

/** A TCP balancer in front of one server. */
export async function startHaproxy(options: HaproxyOptions): Promise<Peer> {
  const host = options.host ?? '127.0.0.1'
  const port = await freePort(host)
  const directory = await temporaryDirectory('haproxy')
  const header = { v1: 'send-proxy', v2: 'send-proxy-v2', none: '' }[options.header]
  const file = join(directory, 'haproxy.cfg')
  await writeFile(
    file,
    `global
  log stdout format raw local0
defaults
  mode tcp
  log global
  option tcplog
  timeout connect 5s
  timeout client 10m
  timeout server 10m
listen mail
  bind ${host}:${port}
  source ${options.from ?? host}
  server behind ${options.to.host}:${options.to.port} ${header}
`,
  )
  return startPeer({ name: 'haproxy', command: '/usr/sbin/haproxy', args: ['-db', '-f', file], host, port, directory })
}
