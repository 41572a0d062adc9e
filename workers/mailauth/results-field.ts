import { domainToASCII } from 'node:url'
import type { Findings } from '@postern/contract/mailauth.ts'

/** Builds the Authentication-Results field (RFC 8601 §2.2). Text from outside cannot break out of its place in the field. */

export type Shown = {
  hostname: string
  findings: Findings
  /** The null sender: SPF checked the HELO name. */
  nullSender: boolean
  /** The client was logged in, so nothing else was checked. */
  loggedIn?: boolean
}

/** Returns the field with its CRLF, in latin1. */
export function resultsField({ hostname, findings, nullSender, loggedIn = false }: Shown): string {
  const { spf, dkim = [], dmarc } = findings
  const results: string[] = []
  if (loggedIn) results.push('auth=pass')
  for (const { result, domain, selector, because } of dkim)
    results.push(`dkim=${result}${comment(because)}${property('header.d', domain)}${property('header.s', selector)}`)
  if (spf) results.push(`spf=${spf.result}${property(nullSender ? 'smtp.helo' : 'smtp.mailfrom', spf.domain)}`)
  if (dmarc) {
    const policy = dmarc.result === 'pass' || dmarc.result === 'fail' ? property('policy.dmarc', dmarc.policy) : ''
    results.push(`dmarc=${dmarc.result}${policy}${property('header.from', dmarc.domain)}`)
  }
  const name = token(hostname) ?? quoted(hostname)
  if (results.length === 0) return `Authentication-Results: ${name}; none\r\n`
  return `Authentication-Results: ${name};\r\n\t${results.join(';\r\n\t')}\r\n`
}

function property(name: string, value: string | undefined): string {
  if (!value) return ''
  const plain = token(value) ? value : domainToASCII(value) || value.replace(/[^\x20-\x7e]/g, '?')
  return ` ${name}=${token(plain) ?? quoted(plain)}`
}

/** Returns the text as a token that needs no quotes (RFC 2045 §5.1). */
function token(text: string): string | undefined {
  return /^[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]{1,255}$/.test(text) ? text : undefined
}

function quoted(text: string): string {
  return `"${printable(text).replace(/["\\]/g, '\\$&')}"`
}

function comment(text: string | undefined): string {
  return text
    ? ` (${printable(text)
        .replace(/"/g, "'")
        .replace(/[()\\]/g, '\\$&')})`
    : ''
}

/** Makes text printable and limits it: a line has at most 998 bytes (RFC 5322 §2.1.1). */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, 255)
}
