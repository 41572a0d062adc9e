import { isIP } from 'node:net'
import { type CertificateCheck, Trust } from '../client/certificate.ts'
import type { TlsPolicy } from '../client/connect-options.ts'
import { type DnssecResolver, usable } from './dnssec.ts'
import { domainNames, type MtaSts, type Policy } from './mta-sts.ts'

/**
 * On which terms a host is talked to. DANE goes before MTA-STS, and MTA-STS before the settings: what a domain demands of
 * those who send to it is never less than what we would do by ourselves. Asked only when a connection is to be opened.
 */
export type Assurance = {
  trust: Trust
  mtaSts: MtaSts | undefined
  /** Only with a resolver that validates and is trusted. */
  secureDns: DnssecResolver | undefined
}

/** No policies: what the settings say, by the usual authorities. */
export const settingsAlone: Assurance = { trust: new Trust(), mtaSts: undefined, secureDns: undefined }

export type TlsTerms =
  | {
      kind: 'terms'
      tls: TlsPolicy
      proof?: CertificateCheck
      /** Wanted by a policy in testing: whatever is wrong is told, and the mail goes all the same. */
      testing?: string
      /** Whether it is authentic that this host takes the domain's mail (RFC 8689 §4.2.1). */
      authentic: boolean
      /** Whether the demand is the recipient's domain's, which the sender may waive (RFC 8689 §4.2.2). */
      byRecipient: boolean
    }
  /** This host gets no mail on any terms. */
  | { kind: 'refused'; text: string; byRecipient: boolean; forNow?: true }

/** Terms for a host that an administrator named, and for one whose TLS nobody has an opinion on. */
export function settledTerms(tls: TlsPolicy): TlsTerms & { kind: 'terms' } {
  const isVerified = tls === 'require' || tls === 'implicit'
  const proof = isVerified ? { proof: { kind: 'name', by: 'the settings' } as const } : {}
  return { kind: 'terms', tls, ...proof, authentic: true, byRecipient: false }
}

export type MxHost = { domain: string; host: string; port: number; tls: TlsPolicy }

/** Terms for a host that the DNS named. Never rejects. */
export async function termsFor(mx: MxHost, { mtaSts, secureDns }: Assurance): Promise<TlsTerms> {
  const settled = { ...settledTerms(mx.tls), authentic: false }
  if (mx.tls === 'none') return settled
  const dane = secureDns ? await daneTerms(mx, secureDns) : undefined
  if (dane?.kind === 'refused' || dane?.proof) return dane
  const policy = await mtaSts?.policyFor(mx.domain)
  const own = { ...settled, authentic: dane !== undefined }
  if (policy) return policyTerms(mx, policy, own)
  // TLSA records that nobody can use still ask for TLS.
  return dane?.tls === 'require' && mx.tls === 'opportunistic' ? dane : own
}

/** `undefined`: the MX is not authentic. Without `proof`: it is, and DANE demands nothing that can be checked. */
async function daneTerms({ domain, host, port, tls }: MxHost, dns: DnssecResolver): Promise<TlsTerms | undefined> {
  try {
    if (!(await dns.hasSecureMx(domain))) return undefined
  } catch (error) {
    return waits(`the MX of ${domain} could not be validated: ${(error as Error).message}`)
  }
  return byTlsa({ kind: 'terms', tls, authentic: true, byRecipient: true }, { host, port, names: [domain] }, dns)
}

/**
 * Terms for the host of a route or the gateway: the administrator named it, and its TLSA records say which certificate is its
 * own (RFC 7672 §2.2.1, "non-MX destinations"). With `require` they stand in for an authority. Never rejects.
 */
export async function routeTerms(
  { host, port, tls }: Omit<MxHost, 'domain'>,
  { secureDns }: Assurance,
): Promise<TlsTerms> {
  const settled = settledTerms(tls)
  if (!secureDns || isIP(host) || tls === 'none' || tls === 'implicit') return settled
  const terms = await byTlsa(settled, { host, port, names: [] }, secureDns)
  return { ...terms, byRecipient: false }
}

type Named = { host: string; port: number; names: readonly string[] }

/** `own` where the host has no TLSA records; `names`: what its certificate may be for, besides. */
async function byTlsa(
  own: TlsTerms & { kind: 'terms' },
  { host, port, names }: Named,
  dns: DnssecResolver,
): Promise<TlsTerms> {
  const answer = await dns.tlsa(host, port)
  switch (answer.kind) {
    case 'not-known':
      return waits(`whether ${host} has TLSA records could not be found out: ${answer.why}`)
    case 'insecure':
      return own
    case 'secure': {
      const records = usable(answer.records)
      if (records.length === 0) return { ...own, tls: 'require' }
      const certified = [...new Set([answer.base, host, ...names])]
      return { ...own, tls: 'require', proof: { kind: 'dane', records, names: certified } }
    }
  }
}

function waits(text: string): TlsTerms {
  return { kind: 'refused', text, byRecipient: true, forNow: true }
}

function policyTerms({ domain, host }: MxHost, policy: Policy, own: TlsTerms & { kind: 'terms' }): TlsTerms {
  const by = `the MTA-STS policy of ${domain}`
  const proof = { kind: 'name', by } as const
  const isNamed = domainNames(policy, host)
  if (policy.mode === 'testing') {
    const testing = isNamed ? by : `${by} does not name ${host}`
    return { ...own, ...(own.proof ? {} : { proof }), testing: testing }
  }
  if (isNamed) return { ...own, tls: 'require', proof, authentic: true, byRecipient: true }
  return { kind: 'refused', text: `${host} is not among the hosts of ${by}`, byRecipient: true }
}
