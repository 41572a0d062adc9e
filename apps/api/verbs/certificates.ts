import {
  type Certificate,
  type CertificateFacts,
  type CertificateInput,
  type CertificateSource,
  shownCertificates,
} from '@postern/contract/certificates.ts'
import type { CertificateView, WriteResult } from '@postern/contract/views.ts'
import { type CertificateWatch, certificateWatches, orderNow } from '@postern/store/control/acme.ts'
import { allRows, getRow, getSettings } from '@postern/store/control/rows.ts'
import type { Queries } from '@postern/store/database.ts'
import { renewCertificates } from '../certificates.ts'
import type { Dependencies } from '../dependencies.ts'
import { iso } from '../pagination.ts'
import { type FieldError, invalid, notFound, ProblemError } from '../problem.ts'
import { type Call, writeRevision } from '../write-revision.ts'

/**
 * Certificates: uploaded, self-signed, requested with a CSR, or ordered through ACME. Private keys can be written but
 * never read.
 */

type Json = Record<string, unknown>
type SelfSigned = CertificateSource & { type: 'self-signed' }
type Request = CertificateSource & { type: 'csr' }

const day = 86_400_000

/** Turns an administrator's input into the row that the workers get. Throws 422. */
export async function certificateRow({ parts }: Call, given: Json, old: Json | undefined): Promise<Json> {
  const input = given as CertificateInput
  const before = old as Certificate | undefined
  const { type } = input.source
  if (before && before.source.type !== type)
    throw wrong(
      'source.type',
      `source.type is "${type}" but this certificate has the source "${before.source.type}"; create another certificate`,
    )
  refuseWhatIsMade(input, before)
  switch (input.source.type) {
    case 'upload':
      return { ...input, ...readUpload(parts, input) }
    case 'self-signed':
      if (before && same(before.source, input.source)) return { ...before, name: input.name }
      return { ...input, ...(await makeSelfSigned(parts, input.source)) }
    case 'csr':
      return requested(parts, { input, source: input.source, before })
    case 'acme':
      return ordered(input.source, { input, before })
  }
}

const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b)
const wrong = (path: string, message: string) => invalid([{ path, message }])

/** Refuses a private key except in an upload, and a certificate except in an upload or a signed request. */
function refuseWhatIsMade({ source, certificate, privateKey }: CertificateInput, before: Certificate | undefined) {
  const found: FieldError[] = []
  if (source.type !== 'upload' && privateKey !== before?.privateKey)
    found.push({ path: 'privateKey', message: `privateKey must be left out when source.type is "${source.type}"` })
  if (source.type !== 'upload' && source.type !== 'csr' && certificate !== before?.certificate)
    found.push({ path: 'certificate', message: `certificate must be left out when source.type is "${source.type}"` })
  if (source.type === 'csr' && !before && certificate !== undefined)
    found.push({ path: 'certificate', message: 'certificate can only be uploaded after the request has been signed' })
  if (found.length > 0) throw invalid(found)
}

function readUpload(parts: Dependencies, { certificate, privateKey }: CertificateInput): CertificateFacts {
  const missing = Object.entries({ certificate, privateKey }).filter(([, value]) => value === undefined)
  if (missing.length > 0)
    throw invalid(missing.map(([path]) => ({ path, message: `${path} is missing; an upload needs both in PEM` })))
  return read(parts, String(certificate), String(privateKey))
}

function read(parts: Dependencies, certificate: string, privateKey: string): CertificateFacts {
  try {
    return parts.certificates.read(certificate, privateKey)
  } catch (error) {
    throw wrong('certificate', `certificate ${error instanceof Error ? error.message : 'cannot be read'}`)
  }
}

async function makeSelfSigned({ certificates, now }: Dependencies, { names, key, days }: SelfSigned) {
  const privateKey = await certificates.makeKey(key)
  // Backdate by a minute, so that a client whose clock is slightly slow does not refuse the certificate.
  const notBefore = now() - 60_000
  const dates = { notBefore, notAfter: notBefore + days * day }
  const certificate = await certificates.selfSigned({ names, kind: key, privateKey, ...dates })
  return { certificate, privateKey, ...certificates.read(certificate, privateKey) }
}

type Requested = { input: CertificateInput; source: Request; before: Certificate | undefined }

async function requested(parts: Dependencies, { input, source, before }: Requested): Promise<Json> {
  const { names, key: kind, organization } = source
  if (before && before.source.type === 'csr' && before.source.key !== kind)
    throw wrong(
      'source.key',
      `source.key is "${kind}", but the key of a request cannot change; create another certificate`,
    )
  const privateKey = before?.privateKey ?? (await parts.certificates.makeKey(kind))
  const csr =
    before?.csr && same(before.source, source)
      ? before.csr
      : await parts.certificates.request({ names, kind, privateKey, organization })
  const facts = input.certificate === undefined ? { names } : read(parts, input.certificate, privateKey)
  return { ...before, ...input, privateKey, csr, ...facts }
}

type Ordered = { input: CertificateInput; before: Certificate | undefined }

function ordered({ names, agreed }: CertificateSource & { type: 'acme' }, { input, before }: Ordered): Json {
  const found: FieldError[] = []
  if (!agreed) found.push({ path: 'source.agreed', message: 'source.agreed must be true: ACME needs your agreement' })
  names.forEach((name, i) => {
    if (name.startsWith('*.'))
      found.push({
        path: `source.names.${i}`,
        message: `source.names is "${name}"; HTTP-01 does not support wildcards; list each host name`,
      })
  })
  if (found.length > 0) throw invalid(found)
  return { ...before, ...input, names: before?.certificate ? before.names : names }
}

/** Returns warnings to show after a successful write. */
export function warnOfCertificate({ parts }: Call, { notAfter, source }: Json): string[] {
  if (typeof notAfter === 'string' && Date.parse(notAfter) <= parts.now())
    return [`The certificate expired at ${notAfter}. Clients that verify certificates reject it.`]
  if ((source as CertificateSource).type === 'acme')
    return ['The certificate is ordered in the background, and is used once it is issued.']
  return []
}

/** Renews a certificate now. A self-signed one gets a new key; an ACME one is ordered. */
export async function renew(call: Call, id: string): Promise<WriteResult> {
  const { parts } = call
  const result = await writeRevision(call, { action: 'certificate.renew' }, async (changeSet) => {
    const before = (await changeSet.get('certificate', id))?.value
    if (!before) throw notFound(`certificate ${id}`)
    const { source } = before
    if (source.type === 'upload' || source.type === 'csr')
      throw new ProblemError(409, `A certificate with the source ${source.type} is renewed by uploading a new one.`)
    if (source.type === 'self-signed')
      await changeSet.put('certificate', id, { ...before, ...(await makeSelfSigned(parts, source)) })
    return { answer: { id } }
  })
  if (!call.write.dryRun) await orderAgain(parts, id)
  return result
}

async function orderAgain(parts: Dependencies, id: string): Promise<void> {
  const row = await getRow(parts.control, 'certificate', id)
  if (!row || (JSON.parse(row.value) as Certificate).source?.type !== 'acme') return
  await orderNow(parts.control, id)
  parts.background(renewCertificates(parts))
}

/** Returns a function that builds the view of a certificate row. The data that all views share is read only once. */
export async function certificateViews(
  queries: Queries,
  now: number,
): Promise<(id: string, row: Json) => CertificateView> {
  const rows = await allRows(queries, 'certificate')
  const known = new Map(rows.map(({ id, value }) => [id, JSON.parse(value) as Certificate]))
  const { hostname } = await getSettings(queries, 'general')
  const shown = shownCertificates(known, hostname)
  const watches = await certificateWatches(queries)
  return (id, row) => {
    const { certificate, privateKey, selfSigned, ...open } = row as Certificate
    const source = open.source ?? { type: 'upload' as const }
    const own = { ...open, source, certificate }
    return {
      id,
      ...open,
      source,
      state: stateOf(own, now),
      ...troubleOf(own, watches.get(id)),
      shownFor: [...shown.byName].filter(([, of]) => of === id).map(([name]) => name),
      isDefault: shown.fallback === id,
    }
  }
}

type Seen = Pick<Certificate, 'certificate' | 'notAfter' | 'source'>

function stateOf({ certificate, notAfter, source }: Seen, now: number): CertificateView['state'] {
  if (!certificate) return source.type === 'acme' ? 'ordered' : 'unsigned'
  return Date.parse(notAfter ?? '') > now ? 'valid' : 'expired'
}

function troubleOf({ source }: Seen, watch: CertificateWatch | undefined) {
  if (source.type !== 'acme' || !watch?.error) return {}
  return { trouble: watch.error, nextTryAt: iso(Math.max(0, watch.nextTryAt)) }
}
