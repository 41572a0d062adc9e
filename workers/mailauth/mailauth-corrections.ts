/// <reference path="./mailauth.d.ts" />
import { createPublicKey, type KeyObject } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import {
  DkimVerifier,
  type HeaderLine,
  type ParsedHeader,
  type PublicKey,
  type SignatureHeader,
} from 'mailauth/lib/dkim/dkim-verifier.js'
import { getPublicKey } from 'mailauth/lib/tools.js'
import type { Field } from './header.ts'
import type { Resolve } from './resolver.ts'

/**
 * Works around problems of mailauth 7.1.0 (strict); no other file does. Its behaviour, and the correction:
 * - It reads a header byte by byte and joins folded lines at quadratic cost: 1 MiB of folded lines occupies a thread
 *   for minutes. The header is therefore split in advance (`header.ts`, linear).
 * - It verifies any number of signatures, each with any number of names in h= against any number of fields. RFC 6376
 *   §6.1 permits a limit, here `maxSignatures` and `maxNames`. Signatures beyond it are neutral, and their keys are not
 *   looked up.
 * - It parses an RSA key anew for each message, with an export that fails and is repeated, which takes half of the
 *   verification time. Keys are therefore cached by everything that determines their meaning.
 * - It treats a name that cannot be in the DNS (s= or d= too long) as a temporary error. Such a key does not exist (RFC
 *   6376 §6.1.2).
 * - It looks for the start of the MIME structure and for an ARC chain, which are not needed here.
 */

export const maxSignatures = 10
const maxNames = 500

type Kept = { key: KeyObject; modulusLength: number | undefined; found: PublicKey }
const keys = new LRUCache<string, Kept>({ max: 5_000 })

export class CorrectedVerifier extends DkimVerifier {
  #prepared = 0

  constructor(resolve: Resolve, now: number) {
    const resolver = existing(resolve)
    super({ resolver, strict: true, minBitLength: 1024, curTime: new Date(now) })
    this.keyCache = { get: (type, name, bits, options) => keyFor({ type, name, bits, options }, resolver) }
  }

  override prepareSignature(signature: SignatureHeader): void {
    if (signature.type === 'ARC') {
      signature.warnings = []
      signature.skip = 'not requested'
      return
    }
    super.prepareSignature(signature)
    if (signature.skip || signature.invalid) return
    if (++this.#prepared > maxSignatures) signature.invalid = 'too many signatures'
    else if (namesIn(signature) > maxNames) signature.invalid = 'too many names in h='
  }

  override async messageHeaders(header: ParsedHeader): Promise<void> {
    await super.messageHeaders(header)
    for (const hash of this.bodyHashes.values()) hash.mimeStructureStartFinder = unasked
  }

  /** Number of signatures that were checked, whatever the result. The ARC-Message-Signature does not count. */
  override async finalChunk(): Promise<void> {
    this.signatureHeaders = this.signatureHeaders.filter(({ type }) => type === 'DKIM').slice(0, maxSignatures + 1)
    await super.finalChunk()
  }
}

const unasked = { update: () => {}, getMimeStructureStart: () => 0 }

function namesIn({ parsed }: SignatureHeader): number {
  const names = parsed?.h?.value
  return typeof names === 'string' ? names.split(':').length : 0
}

/** Builds the result of mailauth's own parser from fields that are already split. */
export function parsedHeader(fields: readonly Field[], original: Buffer): ParsedHeader {
  const parsed = fields.map(({ text }): HeaderLine => {
    const casedKey =
      /^[^:]*/
        .exec(text)?.[0]
        .replace(/\r?\n/g, '')
        .replace(/^[ \t]+|[ \t]+$/g, '') ?? ''
    return {
      key: casedKey.replace(/[A-Z]/g, (letter) => letter.toLowerCase()),
      casedKey,
      line: Buffer.from(text, 'latin1'),
    }
  })
  return { parsed, original }
}

type Asked = { type: string; name: string; bits: number; options: object | undefined }

async function keyFor({ type, name, bits, options }: Asked, resolve: Resolve): Promise<PublicKey> {
  const records = (await resolve(name, 'TXT')) as string[][]
  const id = JSON.stringify([bits, options, records[0]])
  const kept = keys.get(id)
  if (kept) return kept.found
  const found = await getPublicKey(type, name, bits, async () => records, options)
  const key = createPublicKey(found.publicKey as string)
  const made: Kept = { key, modulusLength: found.modulusLength, found: { ...found, publicKey: key } }
  keys.set(id, made)
  return made.found
}

/** Treats a name that cannot exist in the DNS as nonexistent. */
function existing(resolve: Resolve): Resolve {
  return (name, type) => {
    const impossible = name.length > 253 || name.split('.').some((label) => label.length > 63 || label === '')
    if (impossible) return Promise.reject(Object.assign(new Error('no such name'), { code: 'ENOTFOUND' }))
    return resolve(name, type)
  }
}
