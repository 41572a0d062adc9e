import { existsSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Certificate, selfSigned } from './certificate.ts'
import { freePort, type Peer, startPeer, temporaryDirectory } from './peer.ts'

export type Rsyslog = Peer & {
  /** The socket for local programs, in place of /dev/log. */
  socket: string
  /** PEM file of the certificate, for NODE_EXTRA_CA_CERTS; empty without TLS. */
  trust: string
  /** What it kept: `facility severity program msgid message`, one line a message, in the order they came. */
  lines(): string[]
}

export type RsyslogOptions = {
  tls?: boolean
  host?: string
  /** The port of a previous one, to replace it. */
  port?: number
  certificate?: Certificate
}

/** A real syslog daemon and log server: a socket of the file system, TCP or TLS with octet counting, and UDP on the same port. */
export async function startRsyslog(options: RsyslogOptions = {}): Promise<Rsyslog> {
  const { tls = false, host = '127.0.0.1' } = options
  const port = options.port ?? (await freePort(host))
  const directory = await temporaryDirectory('rsyslog')
  const [cert, key] = [join(directory, 'cert.pem'), join(directory, 'key.pem')]
  if (tls) {
    const made = options.certificate ?? (await selfSigned(['localhost']))
    await writeFile(cert, made.cert)
    await writeFile(key, made.key)
  }
  const [socket, kept] = [join(directory, 'log'), join(directory, 'kept')]
  const file = join(directory, 'rsyslog.conf')
  await writeFile(file, configuration({ directory, port, host, socket, kept, ...(tls ? { cert, key } : {}) }))
  const peer = await startPeer({
    name: 'rsyslog',
    command: '/usr/sbin/rsyslogd',
    args: ['-n', '-f', file, '-i', join(directory, 'pid')],
    host,
    port,
    directory,
  })
  const read = () => (existsSync(kept) ? readFileSync(kept, 'utf8') : '')
  return { ...peer, socket, trust: tls ? cert : '', lines: () => read().split('\n').filter(Boolean) }
}

type Configuration = {
  directory: string
  port: number
  host: string
  socket: string
  kept: string
  cert?: string
  key?: string
}

function configuration({ directory, port, host, socket, kept, cert, key }: Configuration): string {
  const driver = cert
    ? `DefaultNetstreamDriver="gtls" DefaultNetstreamDriverCAFile="${cert}" DefaultNetstreamDriverCertFile="${cert}" DefaultNetstreamDriverKeyFile="${key}"`
    : ''
  const mode = cert ? 'StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.AuthMode="anon"' : ''
  return `
global(workDirectory="${directory}" maxMessageSize="64k" ${driver})
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="${socket}" RateLimit.Interval="0")
module(load="imtcp" ${mode})
input(type="imtcp" port="${port}" address="${host}")
module(load="imudp")
input(type="imudp" port="${port}" address="${host}")
template(name="line" type="string" string="%syslogfacility-text% %syslogseverity-text% %app-name% %msgid% %msg:::drop-last-lf%\\n")
action(type="omfile" file="${kept}" template="line" asyncWriting="off")
`
}
