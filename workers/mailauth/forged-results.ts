import { domainToASCII } from 'node:url'
import type { Field } from './header.ts'

/**
 * Removes forged Authentication-Results fields, which claim to come from this server but arrived from outside (RFC 8601
 * §5). Fields in the name of other servers stay, because readers may trust those servers.
 */

/** A header with more such fields loses everything after them: nobody sends such a header in good faith. */
const maxCuts = 1000

export type Cut = [from: number, to: number]

/** Returns the byte ranges of the message to leave out, in order, with adjacent ranges merged. */
export function forgedIn(fields: readonly Field[], hostname: string): { cuts: Cut[]; count: number } {
  const ours = canonical(hostname)
  const cuts: Cut[] = []
  let count = 0
  for (const { name, text, from, to } of fields) {
    if (name !== 'authentication-results' || servedBy(text) !== ours) continue
    count++
    const last = cuts.at(-1)
    if (last && last[1] === from) last[1] = to
    else if (cuts.length < maxCuts) cuts.push([from, to])
    else {
      const end = fields.at(-1)?.to ?? to
      ;(last as Cut)[1] = end
      break
    }
  }
  return { cuts, count }
}

/** Returns the authserv-id (RFC 8601 §2.2): a token or a quoted string, after comments and white space, before a version. */
function servedBy(field: string): string {
  const value = withoutComments(field.slice(field.indexOf(':') + 1)).replace(/^\s+/, '')
  const quoted = /^"((?:[^"\\]|\\.)*)"/s.exec(value)
  const id = quoted ? (quoted[1] ?? '').replace(/\\(.)/gs, '$1') : (/^[^\s;]*/.exec(value)?.[0] ?? '')
  return canonical(id)
}

/** Removes comments. They can be nested. Parentheses in quotes or after a backslash do not count (RFC 5322 §3.2.2). */
function withoutComments(text: string): string {
  let out = ''
  let depth = 0
  let inQuotes = false
  for (let i = 0; i < text.length; i++) {
    const c = text[i] as string
    if (c === '\\' && (depth > 0 || inQuotes)) {
      if (depth === 0) out += c + (text[i + 1] ?? '')
      i++
    } else if (c === '"' && depth === 0) {
      inQuotes = !inQuotes
      out += c
    } else if (inQuotes) out += c
    else if (c === '(') depth++
    else if (c === ')' && depth > 0) depth--
    else if (depth === 0) out += c
    // The authserv-id has ended.
    if (c === ';' && depth === 0 && !inQuotes) break
  }
  return out
}

/** Normalizes a name for comparison as in the DNS (RFC 8601: case-insensitive by §2.3, with A-labels by §5). */
function canonical(name: string): string {
  const plain = Buffer.from(name, 'latin1').toString('utf8').trim().replace(/\.$/, '').toLowerCase()
  return domainToASCII(plain) || plain
}
