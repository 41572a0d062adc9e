import type { DkimKey } from '@postern/contract/directory.ts'

/** Makes keys for DKIM signatures (RFC 6376, RFC 8463) with Web Crypto. Private keys are sent only to the workers. */

type Wanted = Pick<DkimKey, 'domain' | 'selector' | 'algorithm'>
type Made = Pick<DkimKey, 'privateKey' | 'dnsName' | 'dnsValue'>

/** Makes a new key pair. Keeps the key of `before` if the algorithm is the same. */
export async function makeDkimKey(wanted: Wanted, before: DkimKey | undefined): Promise<Made> {
  const dnsName = `${wanted.selector}._domainkey.${wanted.domain}`
  if (before && before.algorithm === wanted.algorithm)
    return { privateKey: before.privateKey, dnsName, dnsValue: before.dnsValue }
  return { dnsName, ...(await (wanted.algorithm === 'ed25519' ? ed25519() : rsa(Number(wanted.algorithm.slice(4))))) }
}

async function rsa(modulusLength: number): Promise<Omit<Made, 'dnsName'>> {
  const algorithm = {
    name: 'RSASSA-PKCS1-v1_5',
    modulusLength,
    publicExponent: new Uint8Array([1, 0, 1]),
    hash: 'SHA-256',
  }
  const pair = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const spki = await crypto.subtle.exportKey('spki', pair.publicKey)
  return { privateKey: await pem(pair.privateKey), dnsValue: `v=DKIM1; k=rsa; p=${base64(spki)}` }
}

async function ed25519(): Promise<Omit<Made, 'dnsName'>> {
  const pair = await crypto.subtle.generateKey('Ed25519', true, ['sign', 'verify'])
  if (!('publicKey' in pair)) throw new Error('no Ed25519 key pair was generated')
  const raw = await crypto.subtle.exportKey('raw', pair.publicKey)
  return { privateKey: await pem(pair.privateKey), dnsValue: `v=DKIM1; k=ed25519; p=${base64(raw)}` }
}

type CryptoKeyLike = Parameters<typeof crypto.subtle.exportKey>[1]

async function pem(key: CryptoKeyLike): Promise<string> {
  const text = base64(await crypto.subtle.exportKey('pkcs8', key))
  return `-----BEGIN PRIVATE KEY-----\n${text.replace(/.{1,64}/g, '$&\n')}-----END PRIVATE KEY-----\n`
}

function base64(buffer: ArrayBuffer): string {
  return btoa(String.fromCharCode(...new Uint8Array(buffer)))
}
