/**
 * Seals secrets at rest with AES-256-GCM under the data key, using Web Crypto. A sealed text has its place
 * (`kind/id/path`) as associated data, so that one row's secret cannot be read through another row.
 */
export type Seal = {
  seal(text: string, place: string): Promise<string>
  /** Throws a SealError if the text was sealed with another key or for another place. */
  open(sealed: string, place: string): Promise<string>
}

export class SealError extends Error {
  override name = 'SealError'
}

const prefix = 'sealed:v1:'

/** @param dataKey 32 bytes as base64, or a long random text from which a key is derived. */
export async function makeSeal(dataKey: string): Promise<Seal> {
  const bytes = await keyBytes(dataKey.trim())
  const key = await crypto.subtle.importKey('raw', bytes, 'AES-GCM', false, ['encrypt', 'decrypt'])
  const utf8 = new TextEncoder()
  return {
    async seal(text, place) {
      const iv = crypto.getRandomValues(new Uint8Array(12))
      const algorithm = { name: 'AES-GCM', iv, additionalData: utf8.encode(place) }
      const cipher = new Uint8Array(await crypto.subtle.encrypt(algorithm, key, utf8.encode(text)))
      return `${prefix}${encode(iv)}:${encode(cipher)}`
    },
    async open(sealed, place) {
      const [iv, cipher] = sealed.slice(prefix.length).split(':').map(decode)
      if (!isSealed(sealed) || !iv || !cipher) throw new SealError(`${place} is not sealed as expected`)
      try {
        const algorithm = { name: 'AES-GCM', iv, additionalData: utf8.encode(place) }
        return new TextDecoder().decode(await crypto.subtle.decrypt(algorithm, key, cipher))
      } catch {
        throw new SealError(`${place} was sealed under another data key (POSTERN_DATA_KEY or keys/data.key)`)
      }
    },
  }
}

async function keyBytes(text: string): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = decode(text)
  if (bytes?.length === 32) return bytes
  if (text.length < 32)
    throw new SealError(
      'The data key must be 32 bytes in base64 (openssl rand -base64 32), or at least 32 random characters.',
    )
  return new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(`postern data key ${text}`)))
}

const isSealed = (text: unknown): text is string => typeof text === 'string' && text.startsWith(prefix)

function encode(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
}

function decode(text: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0))
  } catch {
    return undefined
  }
}
