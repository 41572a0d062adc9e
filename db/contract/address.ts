/// <reference path="./punycode.d.ts" />
import punycode from 'punycode/punycode.js'
import { z } from 'zod'
import { parseAddress } from './ip-address.ts'
import { hostPattern } from './network.ts'

/** A mailbox in canonical form: the domain in lower-case ASCII (A-labels), the local part as the sender wrote it. */
export type MailAddress = {
  local: string
  /** Lower-case ASCII, or an address literal with its brackets, e.g. `[192.0.2.1]`. */
  domain: string
  /** `local@domain`. */
  text: string
}

/**
 * Non-ASCII characters (RFC 6531 §3.3), except invisible ones and those that change the text direction: controls,
 * spaces, zero-width characters and bidi overrides.
 */
const beyond = '(?![\\p{Cc}\\p{Cs}\\p{Z}\\u200b\\u2060\\ufeff\\u202a-\\u202e\\u2066-\\u2069])[\\u0080-\\u{10ffff}]'
const letter = `(?:[a-z0-9!#$%&'*+/=?^_\`{|}~-]|${beyond})`
const atom = `${letter}+`
const dotAtom = new RegExp(`^${atom}(?:\\.${atom})*$`, 'iu')
const quoted = new RegExp(`^"(?:[\\x20\\x21\\x23-\\x5b\\x5d-\\x7e]|${beyond}|\\\\[\\x20-\\x7e])*"$`, 'u')
/**
 * Allows dots where RFC 5321 does not: at the start, at the end, or two in a row. Japanese carriers issue such
 * addresses.
 */
const looseDots = new RegExp(`^\\.*${letter}(?:${letter}|\\.)*$`, 'iu')
/**
 * Maximum length of an address in bytes. RFC 5321 §4.5.3.1.3 requires at least 256; a local part of 64 and a domain of
 * 255 make 320.
 */
const longest = 320

const isAscii = /^[\0-\x7f]*$/

/**
 * Returns the lower-case A-label form of a domain (RFC 5890), or `null` if the text is neither a domain name nor an
 * address literal.
 */
export function canonicalDomain(text: string): string | null {
  if (text.startsWith('[') && text.endsWith(']')) {
    const address = parseAddress(text)
    return address ? `[${address.kind() === 'ipv6' ? 'IPv6:' : ''}${address.toString()}]` : null
  }
  const folded = settled(text).replace(/\.$/, '')
  let ascii: string
  try {
    ascii = /^[\x20-\x7e]*$/.test(folded) ? folded : punycode.toASCII(folded)
  } catch {
    return null
  }
  return hostPattern.test(ascii) ? ascii : null
}

/**
 * Parses `local@domain` in the syntax of RFC 5321 §4.1.2, without angle brackets. Source routes are not accepted here.
 * The local part has no limit of its own: §4.5.3.1.1 gives the length that every server must accept, and VERP and SRS
 * produce longer ones. A local part with misplaced dots is stored and sent in quotes: `a..b@c` becomes `"a..b"@c`.
 * @returns `null` if the text is not an address; `addressFault` explains why
 */
export function parseMailAddress(text: string): MailAddress | null {
  const at = text.lastIndexOf('@')
  if (at < 1 || text.length > longest) return null
  const local = readLocal(text.slice(0, at))
  if (local === null) return null
  const domain = canonicalDomain(text.slice(at + 1))
  if (!domain) return null
  if (bytes(local) + 1 + domain.length > longest) return null
  // Folding can make a non-ASCII local part longer, or add characters that a local part must not contain: U+037E
  // becomes a semicolon.
  if (!isAscii.test(local) && !isFolded(foldLocal(local), domain)) return null
  return { local, domain, text: `${local}@${domain}` }
}

function readLocal(local: string): string | null {
  if (dotAtom.test(local) || quoted.test(local)) return local
  return looseDots.test(local) ? `"${local}"` : null
}

function isFolded(local: string, domain: string): boolean {
  return (dotAtom.test(local) || quoted.test(local)) && bytes(local) + 1 + domain.length <= longest
}

/** Describes what is wrong with an invalid address. */
export function addressFault(text: string): string {
  if (text === '') return 'the address is empty'
  if (/[\p{Cc}\u2028\u2029]/u.test(text)) return 'the address contains a control character'
  const at = text.lastIndexOf('@')
  if (at === -1) return 'the address has no @ and no domain'
  if (at === 0) return 'nothing comes before the @'
  if (at === text.length - 1) return 'no domain comes after the @'
  if (bytes(text) > longest) return `the address is longer than ${longest} bytes`
  if (canonicalDomain(text.slice(at + 1)) === null)
    return 'the part after the @ is neither a domain nor an address literal'
  if (bytes(text) + 2 > longest) return `the address is longer than ${longest} bytes`
  return /[\s"(),:;<>@[\\\]]/.test(text.slice(0, at))
    ? 'the local part contains a character that must be quoted'
    : 'the local part is malformed'
}

/** Returns the length in UTF-8 bytes. */
function bytes(text: string): number {
  let count = text.length
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    // A surrogate is half of a four-byte character.
    if (code > 0x7f) count += code > 0x7ff && (code < 0xd800 || code > 0xdfff) ? 2 : 1
  }
  return count
}

/** Folds a local part for comparison in the directory and the lists: ignores case, and removes quotes where possible. */
export function foldLocal(local: string): string {
  const text = settled(local)
  return text.startsWith('"') ? unquoted(text) : text
}

/** Composes and lower-cases the text until a further pass changes nothing: `H̱` has no composed form, but `ẖ` has one. */
function settled(text: string): string {
  return isAscii.test(text) ? text.toLowerCase() : text.normalize('NFC').toLowerCase().normalize('NFC')
}

/**
 * Removes unnecessary quotes: `"jane"` becomes `jane`. A local part that needs quotes keeps them, with the fewest
 * escapes.
 */
function unquoted(local: string): string {
  const bare = local.slice(1, -1).replace(/\\(.)/gu, '$1')
  return dotAtom.test(bare) ? bare : `"${bare.replace(/["\\]/g, '\\$&')}"`
}

/** Encodes an address as reversible ASCII: non-ASCII characters become `\x{…}` (RFC 6533 §3). */
export function embedded(address: string): string {
  return address.replace(/[^\x00-\x7f]/gu, (character) => {
    return `\\x{${(character.codePointAt(0) as number).toString(16).toUpperCase()}}`
  })
}

/** Decodes `\\x{…}`. Escapes of control characters and surrogates stay unchanged. */
export function disembedded(address: string): string {
  return address.replace(/\\x\{([0-9A-F]{2,6})\}/g, (written, hex: string) => {
    const point = Number.parseInt(hex, 16)
    return point < 0x80 || point > 0x10ffff || (point >= 0xd800 && point < 0xe000)
      ? written
      : String.fromCodePoint(point)
  })
}

/** Returns the look-up key of an address. */
export function foldAddress({ local, domain }: Pick<MailAddress, 'local' | 'domain'>): string {
  return `${foldLocal(local)}@${domain}`
}

export const domainSchema = z.string().transform((text, context) => {
  const domain = canonicalDomain(text.trim())
  if (domain) return domain
  context.addIssue({ code: 'custom', message: `"${text.slice(0, 80)}" is not a domain name, e.g. example.org` })
  return z.NEVER
})

export const mailAddressSchema = z.string().transform((text, context) => {
  const address = parseMailAddress(text.trim())
  if (address) return address.text
  context.addIssue({ code: 'custom', message: notAnAddress(text) })
  return z.NEVER
})

function notAnAddress(text: string): string {
  return `"${text.slice(0, 80)}" is not an email address, e.g. jane@example.org: ${addressFault(text.trim())}`
}

/** A mail address in the form stored in the directory: folded, so that two spellings are one entry. */
export const mailboxSchema = z.string().transform((text, context) => {
  const address = parseMailAddress(text.trim())
  if (address) return foldAddress(address)
  context.addIssue({ code: 'custom', message: notAnAddress(text) })
  return z.NEVER
})
