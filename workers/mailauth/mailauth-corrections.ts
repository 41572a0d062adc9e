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
 * The one place where mailauth 7.1.0 (strict) is worked around. What it would do, and what is done here:
 *
 * - It reads a header octet by octet and joins folded lines at quadratic cost: 1 MiB of folded lines holds a thread for minutes.
 *   The header comes split already (`header.ts`, linear).
 * - It verifies any number of signatures, each with any number of names in h= against any number of fields: RFC 6376 §6.1
 *   allows a limit, here `maxSignatures` and `maxNames`. Signatures past it are neutral, their keys are not looked up.
 * - It reads an RSA key anew for each message, by an export that fails and is repeated: half of the time of a verification.
 *   Keys are kept, by everything their meaning depends on.
 * - A name that cannot be in the DNS (s= or d= too long) is a temporary error to it; such a key does not exist (RFC 6376 §6.1.2).
 * - It looks for the start of the MIME structure and for an ARC chain, which nobody here asks for.
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
      signature.skip = 'not asked for'
      return
    }
    super.prepareSignature(signature)
    if (signature.skip || signature.invalid) return
    if (++this.#prepared > maxSignatures) signature.invalid = 'more signatures than are verified'
    else if (namesIn(signature) > maxNames) signature.invalid = 'more names in h= than are looked at'
  }

  override async messageHeaders(header: ParsedHeader): Promise<void> {
    await super.messageHeaders(header)
    for (const hash of this.bodyHashes.values()) hash.mimeStructureStartFinder = unasked
  }

  /** Signatures that were looked at, whatever came of it; the ARC-Message-Signature is none of them. */
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

/** As mailauth's own parser has it, of fields that are split already. */
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

/** What cannot be a name does not exist. */
function existing(resolve: Resolve): Resolve {
  return (name, type) => {
    const impossible = name.length > 253 || name.split('.').some((label) => label.length > 63 || label === '')
    if (impossible) return Promise.reject(Object.assign(new Error('no such name'), { code: 'ENOTFOUND' }))
    return resolve(name, type)
  }
}
