import { createHash, createPrivateKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'

/** An independent DKIM signer, from RFC 6376 §3.4 and §3.7 and RFC 8463. Also makes wrong signatures on request. */

export type KeyName = 'rsa512' | 'rsa768' | 'rsa1024' | 'rsa2048' | 'rsa4096' | 'ed25519' | 'other'

export type Signature = {
  key: KeyName
  /** Tags in their order, `bh` and `b` excepted; a value of `null` leaves a default out, any other replaces or adds. */
  tags?: Record<string, string | null>
  /** Default rsa-sha256, or ed25519-sha256. */
  a?: string
  /** The canonicalisation used, also for the tag c= unless `tags` overrides it. */
  c?: string
  /** Names, colon separated. */
  h?: string
  /** Bytes of the canonical body. */
  l?: number
  /** Text in place of bh= or b=. */
  bh?: string
  b?: string
  /** Folds b= over lines. */
  fold?: boolean
}

const keys = new Map<KeyName, { privateKey: KeyObject; record: string }>()

export function keyOf(name: KeyName): { privateKey: KeyObject; record: string } {
  let made = keys.get(name)
  if (!made) {
    const bits = Number(/\d+$/.exec(name)?.[0] ?? 2048)
    const { privateKey, publicKey } =
      name === 'ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('rsa', { modulusLength: bits })
    const spki = publicKey.export({ type: 'spki', format: 'der' })
    const record = (name === 'ed25519' ? spki.subarray(-32) : spki).toString('base64')
    made = { privateKey: createPrivateKey(privateKey.export({ type: 'pkcs8', format: 'pem' })), record }
    keys.set(name, made)
  }
  return made
}

/** Returns the message with this signature at the top. `message` is latin1 with CRLF. */
export function withSignature(message: string, given: Signature): string {
  const end = message.indexOf('\r\n\r\n')
  const fields = message
    .slice(0, end)
    .split(/\r\n(?![ \t])/)
    .filter(Boolean)
  const body = message.slice(end + 4)
  const { key, c = 'relaxed/relaxed', h = 'from:to:subject', l } = given
  const a = given.a ?? (key === 'ed25519' ? 'ed25519-sha256' : 'rsa-sha256')
  const [headerCanon = 'simple', bodyCanon = 'simple'] = c.split('/')
  const hash = a.endsWith('sha1') ? 'sha1' : 'sha256'
  const canonical = bodyCanon === 'relaxed' ? relaxedBody(body) : simpleBody(body)
  const bh =
    given.bh ??
    createHash(hash)
      .update(canonical.slice(0, l ?? canonical.length), 'latin1')
      .digest('base64')
  const tags: Record<string, string | null> = { v: '1', a, c, d: 'example.org', s: 's', h, ...given.tags }
  if (l !== undefined) tags.l = String(l)
  if (tags.bh === undefined) tags.bh = bh
  const list = Object.entries(tags).flatMap(([name, value]) => (value === null ? [] : [`${name}=${value}`]))
  const unsigned = `DKIM-Signature: ${list.join(';\r\n ')};\r\n b=`
  const canon = headerCanon === 'relaxed' ? relaxedField : (field: string) => field
  const signed = [...fieldsFor(h, fields).map((field) => `${canon(field)}\r\n`), canon(unsigned)].join('')
  const b = given.b ?? signature(signed, { key, hash })
  return `${unsigned}${given.fold ? b.replace(/.{40}/g, '$&\r\n\t') : b}\r\n${message}`
}

function signature(data: string, { key, hash }: { key: KeyName; hash: string }): string {
  const bytes = Buffer.from(data, 'latin1')
  const { privateKey } = keyOf(key)
  // RFC 8463 §3: Ed25519 signs the SHA-256 of the data.
  if (key === 'ed25519') return sign(null, createHash('sha256').update(bytes).digest(), privateKey).toString('base64')
  return sign(hash, bytes, privateKey).toString('base64')
}

/** RFC 6376 §5.4.2: from the bottom up, each field once; a name with no field left signs its absence. */
function fieldsFor(h: string, fields: readonly string[]): string[] {
  const left = [...fields]
  return h.split(':').flatMap((name) => {
    const at = left.findLastIndex((field) => nameOf(field) === name.trim().toLowerCase())
    return at === -1 ? [] : left.splice(at, 1)
  })
}

const nameOf = (field: string) => field.slice(0, field.indexOf(':')).trim().toLowerCase()

function relaxedField(field: string): string {
  const value = field
    .slice(field.indexOf(':') + 1)
    .replace(/\r\n/g, '')
    .replace(/[ \t]+/g, ' ')
    .trim()
  return `${nameOf(field)}:${value}`
}

function simpleBody(body: string): string {
  return `${body.replace(/(\r\n)*$/, '')}\r\n`
}

function relaxedBody(body: string): string {
  const reduced = body
    .replace(/[ \t]+/g, ' ')
    .replace(/ (?=\r\n|$)/g, '')
    .replace(/(\r\n)*$/, '')
  return reduced === '' ? '' : `${reduced}\r\n`
}
