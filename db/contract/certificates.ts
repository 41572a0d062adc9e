import { z } from 'zod'
import { domainSchema, mailAddressSchema } from './address.ts'
import { setting } from './setting.ts'

/** The server's certificates: their sources, and which certificate a client gets. */

/** Kinds of keys that the server creates. It does not create DSA or short RSA keys, as older products did. */
export const keyKinds = ['ecdsa-p256', 'ecdsa-p384', 'rsa-2048', 'rsa-3072', 'rsa-4096'] as const
export type KeyKind = (typeof keyKinds)[number]

/** A host name, or `*.` followed by a domain. The wildcard matches one label (RFC 6125 §6.4.3). */
const certificateNameSchema = z.string().transform((text, context) => {
  const wildcard = text.trim().startsWith('*.')
  const domain = domainSchema.safeParse(wildcard ? text.trim().slice(2) : text)
  if (domain.success && !domain.data.startsWith('[')) return wildcard ? `*.${domain.data}` : domain.data
  context.addIssue({
    code: 'custom',
    message: `"${text.slice(0, 80)}" is not a host name, e.g. mail.example.org or *.example.org`,
  })
  return z.NEVER
})

const names = setting(z.array(certificateNameSchema).min(1).max(100), {
  title: 'Names',
  help: 'The host names that clients connect to, one per line.',
})
const key = setting(z.enum(keyKinds).default('ecdsa-p256'), {
  title: 'Key',
  help: 'ECDSA P-256 is the fastest, and all current clients support it. Choose RSA only for very old clients. The key is created here, and only the workers get it.',
})

export const letsEncrypt = 'https://acme-v02.api.letsencrypt.org/directory'

/** The source of a certificate: the fields that an administrator can set. */
export const certificateSourceSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('upload') }),
  z.strictObject({
    type: z.literal('self-signed'),
    names,
    key,
    days: setting(z.number().int().min(1).max(3650).default(365), {
      title: 'Valid for',
      help: 'How long the certificate is valid. Clients that verify certificates reject it unless they are configured to trust it.',
      unit: 'days',
    }),
  }),
  z.strictObject({
    type: z.literal('csr'),
    names,
    key,
    organization: setting(z.string().trim().max(64).default(''), {
      title: 'Organization',
      help: 'Included in the request. Most authorities ignore it.',
    }),
  }),
  z.strictObject({
    type: z.literal('acme'),
    names,
    key,
    directoryUrl: setting(
      z
        .url({ protocol: /^https$/ })
        .max(500)
        .default(letsEncrypt),
      {
        title: 'ACME directory',
        help: 'The API calls this https URL, and the URLs in its response, from its own network.',
      },
    ),
    email: setting(z.union([z.literal(''), mailAddressSchema]).default(''), {
      title: 'Contact',
      help: 'The address that the authority writes to if something is wrong. Optional.',
    }),
    agreed: setting(z.boolean().default(false), {
      title: 'I agree to the authority’s terms of service',
      help: 'The ACME directory links to them (RFC 8555 §7.3). Nothing is ordered until you agree.',
    }),
  }),
])
export type CertificateSource = z.output<typeof certificateSourceSchema>

export const certificateInputSchema = z.strictObject({
  name: z.string().trim().min(1).max(100),
  source: certificateSourceSchema.default({ type: 'upload' }),
  /** PEM: the leaf first, then the intermediates. Set for an upload and for the certificate issued for a CSR. */
  certificate: z.string().max(200_000).optional(),
  /** PEM. The API sends it only to workers. Set only for an upload. */
  privateKey: setting(z.string().max(50_000), {
    title: 'Private key',
    help: 'Cannot be read back. Encrypted at rest.',
    secret: true,
    sentTo: ['smtp'],
  }).optional(),
})
export type CertificateInput = z.output<typeof certificateInputSchema>

/** Fields read from a certificate; users cannot set them. */
const factsSchema = z.object({
  names: z.array(z.string()),
  notBefore: z.string(),
  notAfter: z.string(),
  fingerprint: z.string(),
  issuer: z.string().optional(),
  key: z.string().optional(),
  selfSigned: z.boolean().optional(),
})
export type CertificateFacts = z.output<typeof factsSchema>

/** A certificate as stored and replicated. `certificate` is absent until a request is signed or an order is finished. */
export const certificateRowSchema = certificateInputSchema.extend({
  ...factsSchema.partial().shape,
  names: z.array(z.string()),
  csr: z.string().optional(),
})
export type Certificate = z.output<typeof certificateRowSchema>

/** Days before expiry on which administrators are warned. */
export const expiryWarnings = [30, 14, 3, 0] as const

/** Returns the whole days until expiry, rounded down; negative after expiry. */
export function daysLeft(notAfter: string, now: number): number {
  return Math.floor((Date.parse(notAfter) - now) / 86_400_000)
}

export type ShownCertificates = { byName: Map<string, string>; fallback: string | undefined }

/**
 * Selects the certificate id for each lower-case name that clients request (wildcards as `*.domain`), and the default
 * one. The default is the certificate for the server's own name, or else the best of all. If several certificates cover
 * a name, a CA-signed one is preferred to a self-signed one, then the one that expires last.
 */
export function shownCertificates(rows: ReadonlyMap<string, Certificate>, hostname: string): ShownCertificates {
  const usable = [...rows].filter(([, { certificate, privateKey }]) => certificate && privateKey)
  const best = usable.sort(([a, left], [b, right]) => better(left, right) || (a < b ? -1 : 1))
  const byName = new Map<string, string>()
  for (const [id, { names }] of best) for (const name of names.map(lower)) if (!byName.has(name)) byName.set(name, id)
  return { byName, fallback: shownFor({ byName, fallback: best[0]?.[0] }, hostname) }
}

/** Looks up a name: first an exact match, then a wildcard one label up, then the default. */
export function shownFor({ byName, fallback }: ShownCertificates, name: string): string | undefined {
  const asked = lower(name)
  return byName.get(asked) ?? byName.get(`*${asked.slice(asked.indexOf('.'))}`) ?? fallback
}

const lower = (name: string) => name.toLowerCase()

function better(left: Certificate, right: Certificate): number {
  const own = Number(left.selfSigned ?? false) - Number(right.selfSigned ?? false)
  return own || Date.parse(right.notAfter ?? '') - Date.parse(left.notAfter ?? '') || 0
}
