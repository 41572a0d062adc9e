import { createHash, createHmac } from 'node:crypto'

/**
 * Signs requests, so that a receiver can check that one is authentic and fresh. The header is
 * `Postern-Signature: t=<seconds>,v1=<hex>`, where v1 is the HMAC-SHA256, keyed with the secret, of
 * `<t>.<hex SHA-256 of the body as sent>`. Receivers refuse a `t` that differs from their own clock by more than five
 * minutes, so that a recorded request cannot be replayed later.
 */
export const signatureHeader = 'postern-signature'

/** `at`: milliseconds since the epoch. */
export function sign(secret: string, at: number, bodyDigest: string): string {
  const t = Math.floor(at / 1000)
  return `t=${t},v1=${createHmac('sha256', secret).update(`${t}.${bodyDigest}`).digest('hex')}`
}

/** Returns the SHA-256 of the body in hex, in bounded memory. */
export async function digestOf(body: AsyncIterable<Uint8Array>): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of body) hash.update(chunk)
  return hash.digest('hex')
}
