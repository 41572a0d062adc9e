import type { Findings, MailCheck } from '@postern/contract/mailauth.ts'
import { evaluateDmarc } from 'mailauth/lib/dmarc/index.js'
import { spf as verifySpf } from 'mailauth/lib/spf/index.js'
import { type Cut, forgedIn } from './forged-results.ts'
import { fieldsOf, HeaderEnd } from './header.ts'
import type { Dns, Resolve } from './resolver.ts'
import { Signatures, type Signed } from './signatures.ts'

/**
 * Determines the origin of a message: SPF (RFC 7208), DKIM (RFC 6376) and DMARC (RFC 9989) with mailauth, and forged
 * Authentication-Results fields (RFC 8601 §5). The message is processed as a stream.
 */

export type Question = {
  /** MAIL FROM. If empty, SPF checks the HELO name (RFC 7208 §2.4). */
  sender: string
  ip: string
  helo: string
  /** This server's name: the authserv-id, and %{r} in macros. */
  hostname: string
  /** The checks to run. Empty: only look for forged fields. */
  checks: readonly MailCheck[]
  /** Results that are already known. */
  found?: Findings | undefined
  /** No signature is verified, not even for DMARC. */
  relay?: boolean | undefined
  /** The author domain of a message in which nothing else matters (`Authentication` in the contract). */
  author?: string | undefined
}

export type VerifyResult = {
  /** Only the requested results that could be determined. */
  findings: Findings
  /** Byte ranges of the message to leave out. */
  cuts: Cut[]
  /** Number of Authentication-Results fields among them that claimed to come from this server. */
  forged: number
  /** Milliseconds for which the same question has the same answer. Absent: not known. */
  holdsMs?: number
}

/** Maximum header size that is checked. Anything beyond it is left out of the message on delivery. */
const maxHeader = 1 << 20
/** RFC 7208 §4.6.4: at least 20 seconds. */
const spfMs = 20_000

export async function verify(
  question: Question,
  message: Iterable<Buffer> | AsyncIterable<Buffer>,
  dns: Dns,
): Promise<VerifyResult> {
  const { checks, found = {} } = question
  const wants = (check: MailCheck) => checks.includes(check)
  const asksSpf = wants('spf') || (wants('dmarc') && !found.spf)
  const spf = asksSpf ? spfOf(question, dns) : Promise.resolve(found.spf)
  spf.catch(() => {})
  const wantsSignatures = !question.relay && (wants('dkim') || wants('dmarc'))
  const read = await readThrough(message, { question, resolve: dns.resolve, wantsSignatures })
  const findings: Findings = {}
  const known = await spf
  if (wants('spf') && known) findings.spf = known
  if (wants('dkim') && read.signed && !question.relay) findings.dkim = read.signed.results
  if (wants('dmarc')) {
    const dmarc = await dmarcOf({ spf: known, ...read, relay: question.relay === true }, dns)
    if (dmarc) findings.dmarc = dmarc
  }
  return { findings, cuts: read.cuts, forged: read.forged }
}

type Read = { signed: Signed | undefined; isSigned: boolean; from: Signed['from']; fromFields: number }

type Reading = { question: Question; resolve: Resolve; wantsSignatures: boolean }

async function readThrough(
  message: Iterable<Buffer> | AsyncIterable<Buffer>,
  { question, resolve, wantsSignatures }: Reading,
): Promise<Read & { cuts: Cut[]; forged: number }> {
  const head = new HeaderEnd(maxHeader)
  let begun: Begun | undefined
  for await (const piece of message) {
    const body = head.take(piece)
    if (!head.ended) continue
    begun ??= await begin(head, { question, resolve, wantsSignatures })
    if (!wantsSignatures || !begun.signatures.signed) break
    await begun.signatures.body(body)
  }
  begun ??= await begin(head, { question, resolve, wantsSignatures })
  const { signatures, cuts, forged } = begun
  const signed = wantsSignatures ? await signatures.end() : undefined
  return { signed, isSigned: signatures.signed, ...signatures.from, cuts, forged }
}

type Begun = { signatures: Signatures; cuts: Cut[]; forged: number }

async function begin(head: HeaderEnd, { question, resolve, wantsSignatures }: Reading): Promise<Begun> {
  const { header, isWhole, bytes } = head
  const fields = fieldsOf(header)
  const { cuts, count } = forgedIn(fields, question.hostname)
  if (!isWhole) {
    // The last field is also removed, because its end is not known.
    const last = fields.at(-1)?.from ?? 0
    while (cuts.length > 0 && (cuts.at(-1) as Cut)[1] > last) cuts.pop()
    cuts.push([last, head.ended ? bytes - 2 : bytes])
  }
  const signatures = await Signatures.begin({ fields, header, whole: isWhole, wanted: wantsSignatures }, resolve)
  return { signatures, cuts, forged: count }
}

type Spf = NonNullable<Findings['spf']>

/** Checks SPF for the client and the sender's domain (RFC 7208 §2.3, §2.4); for the null sender, for the HELO name. */
function spfOf(question: Question, dns: Dns): Promise<Spf> {
  const { sender, ip, helo } = question
  const identity = sender === '' ? `helo ${helo}` : sender.slice(sender.lastIndexOf('@'))
  return dns.recall(`spf ${ip} ${identity}`, (resolve) => findSpf(question, resolve))
}

async function findSpf({ sender, ip, helo, hostname }: Question, resolver: Resolve): Promise<Spf> {
  const asked = { sender, ip, helo: helo || `[${ip}]`, mta: hostname, resolver, strict: true, maxElapsedTime: spfMs }
  const { status, domain, explanation } = await verifySpf(asked as Parameters<typeof verifySpf>[0])
  return {
    result: status.result as Spf['result'],
    domain: plain(String(domain ?? ''), 255),
    ...(explanation ? { explanation: plain(explanation, 500) } : {}),
  }
}

type Dmarc = NonNullable<Findings['dmarc']>

type Identities = { spfDomains: string[]; dkimDomains: { domain: string; underSized: number }[] }

/** Maximum number of author domains that are checked in one message. */
const maxAuthors = 10
const strength = { none: 0, quarantine: 1, reject: 2 }

/** Returns the DMARC result. Absent: it depends on an unknown result, such as a signature that was not verified. */
async function dmarcOf(
  { spf, signed, isSigned, from, fromFields, relay }: Read & { spf: Spf | undefined; relay: boolean },
  dns: Dns,
): Promise<Dmarc | undefined> {
  const dkimDomains = (signed?.passed ?? []).map(({ domain, unsigned }) => ({ domain, underSized: unsigned }))
  const identities: Identities = { spfDomains: spf?.result === 'pass' ? [spf.domain] : [], dkimDomains }
  const author = { from, fromFields }
  const domains = from.map((address) => address.slice(address.lastIndexOf('@')))
  const key = `dmarc ${JSON.stringify([domains, fromFields, identities])}`
  const found = await dns.recall(key, (resolve) => evaluated(author, identities, resolve))
  if (found.result !== 'fail') return found
  if (relay && isSigned) return undefined
  // A check that failed temporarily might have passed (RFC 9989 §5.3.4). The result is then unknown, not a fail.
  return spf?.result === 'temperror' || hasTemporary(signed) ? { ...found, result: 'temperror' } : found
}

type Author = Pick<Signed, 'from' | 'fromFields'>

async function evaluated(author: Author, identities: Identities, resolver: Resolve): Promise<Dmarc> {
  const asked = { headerFrom: author.from, fromFields: author.fromFields, ...identities, resolver, strict: true }
  const { response, authorDomains = [] } = await evaluateDmarc(asked as unknown as Parameters<typeof evaluateDmarc>[0])
  if (!response) return ofSeveral(authorDomains, identities, resolver)
  const { status, policy } = response as Evaluated
  const { result } = status
  const applies = result === 'fail' || result === 'pass' ? (policy ?? 'none') : 'none'
  return { result, policy: applies, domain: plain(status.header?.from ?? '', 255) }
}

type Evaluated = { status: { result: Dmarc['result']; header?: { from?: string } }; policy?: Dmarc['policy'] }

/**
 * Without exactly one author domain there is nothing to evaluate (RFC 9989 §5.3.1), which senders could exploit. So
 * each domain is checked, and the strictest policy of a failing one applies (RFC 7489 §6.6.1).
 */
async function ofSeveral(domains: readonly string[], identities: Identities, resolver: Resolve): Promise<Dmarc> {
  let worst: Dmarc = { result: 'permerror', policy: 'none', domain: plain(domains.join(' '), 255) }
  for (const domain of domains.slice(0, maxAuthors)) {
    const found = await evaluated({ from: [`x@${domain}`], fromFields: 1 }, identities, resolver)
    if (found.result === 'fail' && strength[found.policy] > strength[worst.policy]) worst = found
  }
  return worst
}

function hasTemporary(signed: Signed | undefined): boolean {
  return signed?.results.some(({ result }) => result === 'temperror') ?? false
}

function plain(text: string, length: number): string {
  return text.slice(0, length).replace(/[\p{C}\u2028\u2029]/gu, '?')
}
