import { execFile } from 'node:child_process'
import { createHash, X509Certificate } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { freePort, type Peer, startPeer, temporaryDirectory } from './peer.ts'

/** Zones with their records as a zone file has them, e.g. `{'a.test': ['@ MX 10 mx', 'mx A 127.0.0.2']}`. */
export type SignedZones = {
  signed: Record<string, string[]>
  /** Served unsigned, so their authenticity is unknown. */
  unsigned?: Record<string, string[]>
  /** Signed, then changed, so validation fails. */
  forged?: Record<string, string[]>
}

export type SignedDns = Peer & {
  server: string
}

const run = promisify(execFile)

/** unbound as a validating resolver without other servers: it has the zones, signed by ldns, and trusts their keys. */
export async function startSignedDns(zones: SignedZones, host = '127.0.0.1'): Promise<SignedDns> {
  const port = await freePort(host)
  const directory = await temporaryDirectory('signed-dns')
  await mkdir(join(directory, 'run'))
  const anchors: string[] = []
  const files: [zone: string, file: string][] = []
  const unsigned = Object.keys(zones.unsigned ?? {})
  for (const [name, records] of Object.entries(zones.unsigned ?? {}))
    files.push([name, await writeZone(directory, name, records)])
  const signed = { ...zones.signed, ...zones.forged }
  for (const [name, records] of Object.entries(signed)) {
    const { file, anchor } = await sign(directory, name, await writeZone(directory, name, records))
    if (zones.forged?.[name]) await writeFile(file, (await readFile(file, 'utf8')).replace(/\t10 mx\./g, '\t11 mx.'))
    anchors.push(anchor)
    files.push([name, file])
  }
  const file = join(directory, 'unbound.conf')
  await writeFile(file, configuration({ host, port, directory, anchors, files, unsigned }))
  const command = '/usr/sbin/unbound'
  const peer = await startPeer({ name: 'unbound', command, args: ['-d', '-p', '-c', file], host, port, directory })
  return { ...peer, server: `${host}:${port}` }
}

async function writeZone(directory: string, name: string, records: string[]): Promise<string> {
  const file = join(directory, `${name}.zone`)
  const head = [`$ORIGIN ${name}.`, '$TTL 60', '@ SOA ns hostmaster 1 3600 600 86400 60', '@ NS ns', 'ns A 127.0.0.1']
  await writeFile(file, `${[...head, ...records].join('\n')}\n`)
  return file
}

async function sign(directory: string, name: string, zone: string): Promise<{ file: string; anchor: string }> {
  const keygen = await run('ldns-keygen', ['-k', '-a', 'ECDSAP256SHA256', name], { cwd: directory })
  const key = keygen.stdout.trim()
  await run('ldns-signzone', ['-n', zone, key], { cwd: directory })
  return {
    file: `${zone}.signed`,
    anchor: (await readFile(join(directory, `${key}.key`), 'utf8')).trim().split(' ;')[0] ?? '',
  }
}

function configuration(of: {
  host: string
  port: number
  directory: string
  anchors: string[]
  files: [string, string][]
  unsigned: string[]
}): string {
  const zones = of.files.map(
    ([zone, file]) =>
      `auth-zone:\n  name: "${zone}."\n  zonefile: "${file}"\n  for-upstream: yes\n  for-downstream: no\n  fallback-enabled: no\n`,
  )
  return `server:
  interface: ${of.host}
  port: ${of.port}
  directory: "${of.directory}"
  username: ""
  chroot: ""
  use-syslog: no
  verbosity: 1
  do-daemonize: no
  num-threads: 1
  access-control: 127.0.0.0/8 allow
  do-not-query-localhost: yes
  module-config: "validator iterator"
  local-zone: "test." transparent
${of.anchors.map((anchor) => `  trust-anchor: "${anchor.replace(/\s+/g, ' ')}"\n`).join('')}
${of.unsigned.map((zone) => `  domain-insecure: "${zone}."\n`).join('')}
remote-control:
  control-enable: no
${zones.join('')}`
}

/** `usage selector matching data` of the first certificate in this text: its key's SHA-256 (x 1 1). */
export function tlsaOf(pem: string, usage: 2 | 3): string {
  const spki = new X509Certificate(pem).publicKey.export({ type: 'spki', format: 'der' })
  return `${usage} 1 1 ${createHash('sha256').update(spki).digest('hex')}`
}
