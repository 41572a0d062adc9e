import { createPrivateKey, createPublicKey, type KeyObject, X509Certificate } from 'node:crypto'
import type { CertificateFacts, KeyKind } from '@postern/contract/certificates.ts'
import type { CertificateMaker } from '../dependencies.ts'

/** Reads certificates with node:crypto. Makes keys, requests and self-signed certificates with @peculiar/x509. */
export const certificates: CertificateMaker = {
  read(certificate, privateKey) {
    const chain = (certificate.match(block) ?? []).map(parse)
    const [leaf] = chain
    if (!leaf) throw new Error('contains no certificate; paste the PEM text, including its BEGIN CERTIFICATE line')
    const key = readKey(privateKey)
    if (!leaf.checkPrivateKey(key))
      throw new Error('does not match the private key; the leaf certificate must come first')
    const kind = kindOf(key)
    chain.slice(1).forEach((issuer, i) => {
      if (!chain[i]?.checkIssued(issuer))
        throw new Error(`is out of order: certificate ${i + 2} did not issue certificate ${i + 1}`)
    })
    return factsOf(leaf, kind)
  },

  async makeKey(kind) {
    const keys = await crypto.subtle.generateKey(algorithms[kind], true, ['sign', 'verify'])
    const der = await crypto.subtle.exportKey('pkcs8', keys.privateKey)
    const key = createPrivateKey({ key: Buffer.from(der), format: 'der', type: 'pkcs8' })
    return key.export({ format: 'pem', type: 'pkcs8' }).toString()
  },

  async selfSigned({ names, kind, privateKey, notBefore, notAfter }) {
    const x509 = await library()
    const keys = await pairOf(privateKey, kind)
    const made = await x509.X509CertificateGenerator.createSelfSigned({
      serialNumber: Buffer.from(crypto.getRandomValues(new Uint8Array(16)).fill(0x40, 0, 1)).toString('hex'),
      name: subjectOf(names, ''),
      notBefore: new Date(notBefore),
      notAfter: new Date(notAfter),
      keys,
      signingAlgorithm: signing[kind],
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
        alternatives(x509, names),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    })
    return `${made.toString('pem')}\n`
  },

  async request({ names, kind, privateKey, organization }) {
    const x509 = await library()
    const made = await x509.Pkcs10CertificateRequestGenerator.create({
      name: subjectOf(names, organization),
      keys: await pairOf(privateKey, kind),
      signingAlgorithm: signing[kind],
      extensions: [alternatives(x509, names)],
    })
    return `${made.toString('pem')}\n`
  },
}

/** Loaded only when a certificate is made, which is rare. */
const library = () => import('@peculiar/x509')
type Library = Awaited<ReturnType<typeof library>>

const rsa = (modulusLength: number) => ({
  name: 'RSASSA-PKCS1-v1_5',
  modulusLength,
  publicExponent: new Uint8Array([1, 0, 1]),
  hash: 'SHA-256',
})
const algorithms: Record<KeyKind, ReturnType<typeof rsa> | { name: 'ECDSA'; namedCurve: string }> = {
  'ecdsa-p256': { name: 'ECDSA', namedCurve: 'P-256' },
  'ecdsa-p384': { name: 'ECDSA', namedCurve: 'P-384' },
  'rsa-2048': rsa(2048),
  'rsa-3072': rsa(3072),
  'rsa-4096': rsa(4096),
}
const signing: Record<KeyKind, { name: string; hash: string }> = {
  'ecdsa-p256': { name: 'ECDSA', hash: 'SHA-256' },
  'ecdsa-p384': { name: 'ECDSA', hash: 'SHA-384' },
  'rsa-2048': { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
  'rsa-3072': { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
  'rsa-4096': { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
}

async function pairOf(pem: string, kind: KeyKind) {
  const key = createPrivateKey(pem)
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' })
  const pkcs8 = key.export({ format: 'der', type: 'pkcs8' })
  return {
    privateKey: await crypto.subtle.importKey('pkcs8', Uint8Array.from(pkcs8), algorithms[kind], true, ['sign']),
    publicKey: await crypto.subtle.importKey('spki', Uint8Array.from(spki), algorithms[kind], true, ['verify']),
  }
}

/** A common name is limited to 64 characters (RFC 5280 appendix A.1). Clients check the subject alternative names. */
function subjectOf(names: readonly string[], organization: string): { [field: string]: string[] }[] {
  const common = names.find((name) => name.length <= 64)
  return [...(common ? [{ CN: [common] }] : []), ...(organization ? [{ O: [organization] }] : [])]
}

function alternatives({ SubjectAlternativeNameExtension }: Library, names: readonly string[]) {
  return new SubjectAlternativeNameExtension(names.map((value) => ({ type: 'dns' as const, value })))
}

const block = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g

function parse(pem: string, i: number): X509Certificate {
  try {
    return new X509Certificate(pem)
  } catch {
    throw new Error(`is damaged: certificate ${i + 1} cannot be read`)
  }
}

function readKey(pem: string): KeyObject {
  try {
    return createPrivateKey(pem)
  } catch {
    throw new Error('comes with a private key that cannot be read; it must be PEM without a passphrase')
  }
}

const curves: Record<string, string> = { prime256v1: 'ECDSA P-256', secp384r1: 'ECDSA P-384' }

/** Throws an Error for a key that our TLS handshakes do not use. */
function kindOf({ asymmetricKeyType: type, asymmetricKeyDetails: details = {} }: KeyObject): string {
  const allowed = 'use RSA of 2048 to 4096 bits, or ECDSA P-256 or P-384'
  const length = details.modulusLength ?? 0
  if (type === 'rsa' && length >= 2048 && length <= 4096) return `RSA ${length}`
  if (type === 'rsa') throw new Error(`has an RSA key of ${length} bits; ${allowed}`)
  const curve = curves[details.namedCurve ?? '']
  if (type === 'ec' && curve) return curve
  throw new Error(`has a key of the type ${[type, details.namedCurve].filter(Boolean).join(' ')}; ${allowed}`)
}

function factsOf(leaf: X509Certificate, key: string): CertificateFacts {
  return {
    names: namesOf(leaf),
    notBefore: new Date(leaf.validFrom).toISOString(),
    notAfter: new Date(leaf.validTo).toISOString(),
    fingerprint: leaf.fingerprint256,
    issuer: leaf.issuer.split('\n').reverse().join(', ').slice(0, 300),
    key,
    selfSigned: leaf.issuer === leaf.subject && leaf.verify(leaf.publicKey),
  }
}

function namesOf(leaf: X509Certificate): string[] {
  const named = (leaf.subjectAltName ?? '')
    .split(', ')
    .filter((name) => name.startsWith('DNS:') || name.startsWith('IP Address:'))
    .map((name) => name.slice(name.indexOf(':') + 1).toLowerCase())
  if (named.length > 0) return named
  const common = /^CN=(.+)$/m.exec(leaf.subject)?.[1]
  return common ? [common.toLowerCase()] : []
}
