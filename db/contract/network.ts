import { z } from 'zod'
import { formatBlock, parseAddress, parseBlock } from './ip-address.ts'

/** Schemas of addresses, blocks, hosts and URLs. */

export const blockSchema = z.string().transform((text, context) => {
  const block = parseBlock(text)
  if (block) return formatBlock(block)
  context.addIssue({
    code: 'custom',
    message: `"${text.slice(0, 60)}" is not an address or CIDR block; allowed: 192.0.2.1, 192.0.2.0/24, 2001:db8::1, 2001:db8::/32`,
  })
  return z.NEVER
})

export const hostPattern =
  /^(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/i

/** A host: a DNS name, or an address (IPv6 in brackets or bare). */
export const hostSchema = z
  .string()
  .trim()
  .refine((text) => hostPattern.test(text) || parseAddress(text) !== null, {
    message: 'must be a host name or an IP address, e.g. mx.example.org or 192.0.2.1',
  })

/** The URL of a hook: http or https, without user or password, which would appear in logs. */
export const webUrlSchema = z
  .url({ protocol: /^https?$/ })
  .max(2000)
  .refine((text) => !/^[^/]*\/\/[^/?#]*@|#/.test(text), {
    message: 'must not contain a user, password or fragment; allowed: https://host[:port]/path',
  })

export const portSchema = z.number().int().min(1).max(65_535)
