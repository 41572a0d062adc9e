import { createHash, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import {
  checkServerIdentity,
  createSecureContext,
  getCACertificates,
  type SecureContext,
  type TLSSocket,
} from 'node:tls'

/** What a remote's certificate has to prove before mail goes to it, and whether it does. Nothing here opens a connection. */

/** RFC 6698 §2.1. `data` as in the record. */
export type Tlsa = { usage: number; selector: number; matching: number; data: Buffer }

export type CertificateCheck =
  /** A chain to a trusted authority and the host's own name. `by`: who wants it, for people. */
  | { kind: 'name'; by: string }
  /** RFC 7672: what the signed DNS says of the certificate; no authority is asked. `names`: any will do (§3.2.2); the first is asked for. */
  | { kind: 'dane'; records: readonly Tlsa[]; names: readonly string[] }

/** Certificate authorities: the system's, Node's (with NODE_EXTRA_CA_CERTS), and those of a file of PEM texts. Read when first needed. */
export class Trust {
  readonly #file: string | undefined
  #context: SecureContext | undefined

  constructor({ caFile }: { caFile?: string | undefined } = {}) {
    this.#file = caFile
  }

  /** Throws when the file cannot be read. */
  get context(): SecureContext {
    this.#context ??= createSecureContext({ ca: [...this.#authorities()] })
    return this.#context
  }

  #authorities(): Set<string> {
    const own = this.#file ? readFileSync(this.#file, 'utf8') : ''
    const known = (['default', 'system', 'extra'] as const).flatMap((store) => getCACertificates(store))
    return new Set([...known, ...(own ? [own] : [])])
  }
}

/** Why the peer's certificate does not prove what it must; `undefined` when it does. The handshake is over. */
export function verificationError(socket: TLSSocket, host: string, proof: CertificateCheck): string | undefined {
  return proof.kind === 'dane' ? wrongByDane(chainOf(socket), proof) : wrongByName(socket, host)
}

function wrongByName(socket: TLSSocket, host: string): string | undefined {
  if (!socket.authorized) return `its chain leads to no trusted authority (${codeOf(socket.authorizationError)})`
  const name = isIP(host) ? host : host.replace(/\.$/, '')
  const wrong = checkServerIdentity(name, socket.getPeerCertificate())
  return wrong ? `it is not for ${name}` : undefined
}

function codeOf(error: unknown): string {
  return typeof error === 'string' ? error : ((error as NodeJS.ErrnoException | undefined)?.code ?? 'unknown')
}

type Detailed = { raw?: Buffer; issuerCertificate?: Detailed }

/** The certificates the peer showed, its own first. */
function chainOf(socket: TLSSocket): X509Certificate[] {
  const chain: X509Certificate[] = []
  let each = socket.getPeerCertificate(true) as Detailed | undefined
  while (each?.raw && chain.length < 12) {
    chain.push(new X509Certificate(each.raw))
    each = each.issuerCertificate === each ? undefined : each.issuerCertificate
  }
  return chain
}

/** RFC 7672 §3.1: DANE-TA(2) and DANE-EE(3) with SPKI or whole certificate, SHA-256 or SHA-512 or as it is. */
export function isUsable({ usage, selector, matching, data }: Tlsa): boolean {
  if (usage !== 2 && usage !== 3) return false
  if (selector !== 0 && selector !== 1) return false
  return matching === 0 ? data.length > 0 : data.length === ({ 1: 32, 2: 64 } as Record<number, number>)[matching]
}

function wrongByDane(
  chain: readonly X509Certificate[],
  { records, names }: Extract<CertificateCheck, { kind: 'dane' }>,
): string | undefined {
  const [leaf] = chain
  if (!leaf) return 'it showed no certificate'
  // Of an end entity neither name nor dates count (RFC 7672 §3.1.1).
  if (records.some((record) => record.usage === 3 && matches(leaf, record))) return undefined
  const anchors = records.filter(({ usage }) => usage === 2)
  if (anchors.length === 0 || !leadsTo(chain, anchors)) return 'no TLSA record of its host matches it'
  return names.some((name) => leaf.checkHost(name)) ? undefined : `it is not for ${names.join(' or ')}`
}

/** Whether the chain holds, link by link, up to a certificate that a DANE-TA record names (RFC 7672 §3.1.2). */
function leadsTo(chain: readonly X509Certificate[], anchors: readonly Tlsa[]): boolean {
  const now = Date.now()
  for (const [i, certificate] of chain.entries()) {
    if (Date.parse(certificate.validFrom) > now || Date.parse(certificate.validTo) < now) return false
    const below = chain[i - 1]
    if (!below) continue
    if (!certificate.ca || !below.checkIssued(certificate) || !below.verify(certificate.publicKey)) return false
    if (anchors.some((record) => matches(certificate, record))) return true
  }
  return false
}

function matches(certificate: X509Certificate, { selector, matching, data }: Tlsa): boolean {
  const bytes =
    selector === 0 ? certificate.raw : (certificate.publicKey.export({ type: 'spki', format: 'der' }) as Buffer)
  if (matching === 0) return bytes.equals(data)
  return createHash(matching === 1 ? 'sha256' : 'sha512')
    .update(bytes)
    .digest()
    .equals(data)
}
