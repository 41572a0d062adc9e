import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { dkimSign } from 'mailauth/lib/dkim/sign.js'

/** Mail with real DKIM signatures, and the DNS records that prove them. */

export type DkimKey = {
  domain: string
  selector: string
  key: KeyObject
  record: string
}

export function dkimKey(
  domain: string,
  { selector = 's1', type = 'rsa', bits = 2048 }: { selector?: string; type?: 'rsa' | 'ed25519'; bits?: number } = {},
): DkimKey {
  const { privateKey, publicKey } =
    type === 'rsa' ? generateKeyPairSync('rsa', { modulusLength: bits }) : generateKeyPairSync('ed25519')
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  // RFC 8463 §4: the bare key.
  const p = (type === 'rsa' ? spki : spki.subarray(-32)).toString('base64')
  return { domain, selector, key: privateKey, record: `v=DKIM1; k=${type}; p=${p}` }
}

export type SignatureOptions = {
  canonicalization?: string
  algorithm?: string
  maxBodyLength?: number
  headerList?: string
}

/** Returns the message with a signature by each key at the top. Lines end in CRLF. */
export async function signed(message: string, keys: DkimKey[], options: SignatureOptions = {}): Promise<string> {
  const { signatures, errors } = await dkimSign(message, {
    canonicalization: options.canonicalization ?? 'relaxed/relaxed',
    signTime: new Date(),
    signatureData: keys.map(({ domain, selector, key }) => ({
      signingDomain: domain,
      selector,
      privateKey: key.export({ type: 'pkcs8', format: 'pem' }) as string,
      ...(options.algorithm ? { algorithm: options.algorithm } : {}),
      ...(options.maxBodyLength === undefined ? {} : { maxBodyLength: options.maxBodyLength }),
    })),
    ...(options.headerList ? { headerList: options.headerList } : {}),
  } as Parameters<typeof dkimSign>[1])
  if (errors.length > 0) throw new Error(`cannot sign: ${JSON.stringify(errors)}`)
  return signatures + message
}
