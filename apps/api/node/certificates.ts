import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import type { CertificateReader } from '../parts.ts'

const block = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g

export const certificates: CertificateReader = {
  read(certificate, privateKey) {
    const chain = (certificate.match(block) ?? []).map(parse)
    const [leaf] = chain
    if (!leaf) throw new Error('holds no certificate; paste the PEM text with its BEGIN CERTIFICATE line')
    const key = readKey(privateKey)
    if (!leaf.checkPrivateKey(key)) throw new Error('does not belong to the private key; the leaf must stand first')
    if (key.asymmetricKeyType === 'dsa') throw new Error('has a DSA key; use RSA or ECDSA')
    chain.slice(1).forEach((issuer, i) => {
      if (!chain[i]?.checkIssued(issuer))
        throw new Error(`is not in order: certificate ${i + 2} did not issue certificate ${i + 1}`)
    })
    return {
      names: namesOf(leaf),
      notBefore: new Date(leaf.validFrom).toISOString(),
      notAfter: new Date(leaf.validTo).toISOString(),
      fingerprint: leaf.fingerprint256,
    }
  },
}

function parse(pem: string, i: number): X509Certificate {
  try {
    return new X509Certificate(pem)
  } catch {
    throw new Error(`holds damage: certificate ${i + 1} cannot be read`)
  }
}

function readKey(pem: string): KeyObject {
  try {
    return createPrivateKey(pem)
  } catch {
    throw new Error('comes with a private key that cannot be read; it must be PEM without a passphrase')
  }
}

function namesOf(leaf: X509Certificate): string[] {
  const alternatives = (leaf.subjectAltName ?? '')
    .split(', ')
    .filter((name) => name.startsWith('DNS:') || name.startsWith('IP Address:'))
    .map((name) => name.slice(name.indexOf(':') + 1).toLowerCase())
  if (alternatives.length > 0) return alternatives
  const common = /^CN=(.+)$/m.exec(leaf.subject)?.[1]
  return common ? [common.toLowerCase()] : []
}
