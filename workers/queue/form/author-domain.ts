import { domainToASCII } from 'node:url'
import { fieldsOf } from '@postern/mailauth/header.ts'

/** Whose message it is: the domain of the one address in its one From field (RFC 5322 §3.6.2), lower-case ASCII. `undefined`: not to be told. */
export function authorDomain(header: Buffer): string | undefined {
  const from = fieldsOf(header).filter(({ name }) => name === 'from')
  const [only] = from
  if (!only || from.length > 1) return undefined
  // What stands in quotes and comments is no address.
  const text = only.text
    .slice(only.text.indexOf(':') + 1)
    .replace(/"(?:[^"\\]|\\[\s\S])*"/g, 'q')
    .replace(/\((?:[^()\\]|\\[\s\S])*\)/g, ' ')
  const addresses = text.split(',').map((each) => /<([^<>]*)>/.exec(each)?.[1] ?? each)
  const domains = new Set(addresses.map(domainOf))
  const [domain] = domains
  return domains.size === 1 ? domain : undefined
}

function domainOf(address: string): string | undefined {
  const at = address.lastIndexOf('@')
  if (at < 0) return undefined
  const name = Buffer.from(address.slice(at + 1).trim(), 'latin1').toString('utf8')
  return domainToASCII(name).toLowerCase() || undefined
}
