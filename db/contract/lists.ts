import { z } from 'zod'
import { canonicalDomain, foldAddress, parseMailAddress } from './address.ts'
import { canonicalAddress, parseAddress } from './ip-address.ts'
import { blockSchema } from './network.ts'

/**
 * The five lists of the administration pages. Each entry is one row. Its value is canonical, so a list never holds a
 * value twice.
 */
export const listNames = ['control-access', 'kill', 'accept', 'white', 'relay'] as const
export type ListName = (typeof listNames)[number]
export const listNameSchema = z.enum(listNames)

/** `user@host`, `@host` (that host only) or `@*suffix` (any host with this suffix, not only after a dot). Ignores case. */
export const killValueSchema = z.string().transform((text, context) => {
  const value = text.trim().toLowerCase()
  // Sender addresses never include the final dot of a fully-qualified name.
  if (/^@\*[a-z0-9._-]{1,253}$/.test(value) && value !== '@*.') return value.replace(/\.$/, '')
  if (value.startsWith('@') && !value.includes('*')) {
    const domain = canonicalDomain(value.slice(1))
    if (domain) return `@${domain}`
  }
  const address = parseMailAddress(value)
  if (address && !value.includes('*')) return foldAddress(address)
  context.addIssue({
    code: 'custom',
    message: `"${text.slice(0, 80)}" is not a Kill File entry; allowed: user@host, @host, @*suffix`,
  })
  return z.NEVER
})

/** An address, a host or `user@host`. Matches exactly, without wildcards. */
export const acceptValueSchema = z.string().transform((text, context) => {
  const value = text.trim()
  const canonical = canonicalAddress(value) ?? (value.includes('@') ? null : canonicalDomain(value))
  if (canonical) return canonical
  const address = value.includes('*') ? null : parseMailAddress(value)
  if (address) return foldAddress(address)
  context.addIssue({
    code: 'custom',
    message: `"${text.slice(0, 80)}" is not an Accept List entry; allowed: an IP address, a host, user@host; no wildcards`,
  })
  return z.NEVER
})

/** An address, a CIDR block, or a range `192.0.2.1-192.0.2.9`. */
export const whiteValueSchema = z.string().transform((text, context) => {
  const [from, to, ...rest] = text.split('-')
  if (from && to && rest.length === 0) {
    const first = parseAddress(from.trim())
    const last = parseAddress(to.trim())
    if (first && last && isRange(first.toByteArray(), last.toByteArray())) return `${first}-${last}`
  }
  const block = blockSchema.safeParse(text)
  if (block.success) return block.data
  context.addIssue({
    code: 'custom',
    message: `"${text.slice(0, 80)}" is not a White List entry; allowed: an IP address, a CIDR block, a range first-last`,
  })
  return z.NEVER
})

/** Returns whether both addresses are of one family and in ascending order. */
function isRange(first: readonly number[], last: readonly number[]): boolean {
  const differs = first.findIndex((byte, i) => byte !== last[i])
  return first.length === last.length && (differs < 0 || (first[differs] ?? 0) < (last[differs] ?? 0))
}

const entryBase = {
  comment: z.string().max(500).optional(),
  /** RFC 3339. At this time the entry loses its effect and is removed. */
  expiresAt: z.iso.datetime({ offset: true }).optional(),
  reason: z.string().max(200).optional(),
  /** The observations that caused the entry, e.g. failed logins. */
  evidence: z.array(z.string().max(500)).max(100).optional(),
}

/**
 * Input that a client may write for each list. Only Control Access has `action`; if absent, it means the opposite of
 * `defaultAccess`.
 */
export const listInputSchemas = {
  'control-access': z.strictObject({ value: blockSchema, action: z.enum(['grant', 'deny']).optional(), ...entryBase }),
  kill: z.strictObject({ value: killValueSchema, ...entryBase }),
  accept: z.strictObject({ value: acceptValueSchema, ...entryBase }),
  white: z.strictObject({ value: whiteValueSchema, ...entryBase }),
  relay: z.strictObject({ value: blockSchema, ...entryBase }),
} as const

export type ListInput = {
  value: string
  action?: 'grant' | 'deny' | undefined
  comment?: string | undefined
  expiresAt?: string | undefined
  reason?: string | undefined
  evidence?: string[] | undefined
}

export const listEntrySchema = z.object({
  value: z.string(),
  action: z.enum(['grant', 'deny']).optional(),
  ...entryBase,
  createdBy: z.string(),
  createdAt: z.iso.datetime({ offset: true }),
})
/** A stored entry. Its id is the row id. */
export type ListEntry = z.infer<typeof listEntrySchema>

export const lists: Record<ListName, { title: string; help: string; example: string }> = {
  'control-access': {
    title: 'Control Access',
    help: 'Who may connect. This list is checked first, and the most specific entry wins. Refused clients get 554 5.7.1.',
    example: '192.0.2.0/24',
  },
  kill: {
    title: 'Kill File',
    help: 'Senders to refuse with 501 5.7.1. An entry is user@host, @host, or @*suffix for every domain that ends with the suffix.',
    example: '@*spam.example',
  },
  accept: {
    title: 'Accept List',
    help: 'Senders and hosts that count as local in the relay modes localUsers and localHosts. Entries are exact; wildcards are not allowed.',
    example: 'partner.example',
  },
  white: {
    title: 'White List',
    help: 'Clients that skip every check marked "skipped for White List". Control Access, Kill File and relay control still apply.',
    example: '198.51.100.7',
  },
  relay: {
    title: 'Relay list',
    help: 'Clients that may send to remote domains without logging in, in the relay mode addresses. Their DKIM signatures are not checked.',
    example: '127.0.0.0/8',
  },
}

/** The relay list after the first start. */
export const defaultRelayList = ['127.0.0.0/8', '::1'] as const
