import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { selfSigned } from './certificate.ts'
import { freePort, type Peer, startPeer, temporaryDirectory } from './peer.ts'

export type Pebble = Peer & {
  directoryUrl: string
  /** PEM file of the authority's own HTTPS certificate, for NODE_EXTRA_CA_CERTS. */
  trust: string
}

export type PebbleOptions = {
  /** The port for HTTP-01 in place of 80. */
  httpPort: number
  /** `ip:port` of the resolver that knows the names. */
  dns: string
  host?: string
}

/** Let's Encrypt's test authority: real ACME and real HTTP-01, with an untrusted root and without delays. */
export async function startPebble({ httpPort, dns, host = '127.0.0.1' }: PebbleOptions): Promise<Pebble> {
  const [port, managementPort] = [await freePort(host), await freePort(host)]
  const directory = await temporaryDirectory('pebble')
  const { cert, key } = await selfSigned(['localhost'])
  const [certificate, privateKey] = [join(directory, 'cert.pem'), join(directory, 'key.pem')]
  await writeFile(certificate, cert)
  await writeFile(privateKey, key)
  const pebble = {
    listenAddress: `${host}:${port}`,
    managementListenAddress: `${host}:${managementPort}`,
    certificate,
    privateKey,
    httpPort,
    tlsPort: httpPort,
    ocspResponderURL: '',
    externalAccountBindingRequired: false,
  }
  await writeFile(join(directory, 'pebble.json'), JSON.stringify({ pebble }))
  const peer = await startPeer({
    name: 'pebble',
    command: 'pebble',
    args: ['-config', join(directory, 'pebble.json'), '-dnsserver', dns],
    env: { PEBBLE_VA_NOSLEEP: '1', PEBBLE_WFE_NONCEREJECT: '5', PEBBLE_AUTHZREUSE: '0' },
    host,
    port,
    directory,
  })
  return { ...peer, directoryUrl: `https://localhost:${port}/dir`, trust: certificate }
}
