import { pauseAfter } from '@postern/contract/back-off.ts'
import { type Certificate, type CertificateSource, daysLeft, expiryWarnings } from '@postern/contract/certificates.ts'
import {
  acmeAccount,
  addAcmeAccount,
  type CertificateWatch,
  certificateWatches,
  claimOrder,
  dropChallenge,
  endOrder,
  forgetCertificates,
  noteWarning,
  putChallenge,
  setAcmeAccountUrl,
} from '@postern/store/control/acme.ts'
import { commit } from '@postern/store/control/revisions.ts'
import { allRows } from '@postern/store/control/rows.ts'
import { recordApiEvent } from './api-events.ts'
import { sendChangeNotifications } from './change-notifications.ts'
import type { Dependencies } from './dependencies.ts'
import { iso } from './pagination.ts'

/**
 * Maintains certificates: warns before they expire, and orders and renews ACME certificates. May run twice, or in two
 * processes at once, because an order belongs to the process that claimed it. A failure of one certificate does not
 * reject the whole run.
 */

const minute = 60_000
const day = 86_400_000
/** Renewal starts this long before expiry, or when a third of the lifetime is left, whichever is later. */
const renewAheadMs = 30 * day
/** An order takes seconds. After this time an interrupted order can be claimed again. */
const orderMs = 10 * minute
/** The pause after a failed order. It doubles with each failure, because authorities count failed orders. */
const firstPauseMs = 10 * minute
const longestPauseMs = 12 * 60 * minute

type Acme = CertificateSource & { type: 'acme' }
type Kept = { id: string; row: Certificate; watch: CertificateWatch | undefined }

export async function renewCertificates(parts: Dependencies): Promise<void> {
  const rows = await allRows(parts.control, 'certificate')
  const watches = await certificateWatches(parts.control)
  if (watches.size > rows.length) await forgetCertificates(parts.control)
  for (const { id, value } of rows) {
    const kept = { id, row: JSON.parse(value) as Certificate, watch: watches.get(id) }
    try {
      await orderIfDue(parts, kept)
      await warnOfEnd(parts, kept)
    } catch (error) {
      parts.log.warn({ certificate: kept.row.name, error: String(error) }, 'certificate maintenance failed')
    }
  }
}

async function warnOfEnd(parts: Dependencies, { id, row, watch }: Kept): Promise<void> {
  const { notAfter, fingerprint } = row
  if (!notAfter || !fingerprint) return
  const left = daysLeft(notAfter, parts.now())
  const warned = expiryWarnings.findLast((days) => left < days)
  if (warned === undefined) return
  // ACME certificates renew automatically. Warn only if renewal fails or the certificate has expired.
  if (row.source?.type === 'acme' && left >= 0 && !watch?.failures) return
  if (watch?.fingerprint === fingerprint && watch.warned !== null && watch.warned <= warned) return
  if (!(await noteWarning(parts.control, { id, fingerprint, warned }))) return
  const what = left < 0 ? 'a certificate has expired' : 'a certificate expires soon'
  parts.log.warn({ certificate: row.name, notAfter, daysLeft: left }, what)
  await recordApiEvent(parts, 'certificate.expiring', { ...named(id, row), notAfter, daysLeft: left })
}

const named = (id: string, { name, names }: Certificate) => ({ certificateId: id, name, names })

async function orderIfDue(parts: Dependencies, { id, row, watch }: Kept): Promise<void> {
  const { source } = row
  const now = parts.now()
  if (source?.type !== 'acme' || !isDue(row, source, now, watch?.nextTryAt === -1)) return
  // If the next try is further away than the longest pause, it was planned before the clock was set back.
  const pauseLeft = (watch?.nextTryAt ?? 0) - now
  if (pauseLeft > 0 && pauseLeft <= longestPauseMs) return
  if (!(await claimOrder(parts.control, { id, now, until: now + orderMs, latestTry: now + longestPauseMs }))) return
  try {
    await order(parts, { id, row, source })
    await endOrder(parts.control, { id, nextTryAt: 0 })
  } catch (error) {
    const pause = pauseAfter((watch?.failures ?? 0) + 1, { firstMs: firstPauseMs, longestMs: longestPauseMs })
    const nextTryAt = parts.now() + pause
    const text = (error instanceof Error ? error.message : String(error)).slice(0, 500)
    await endOrder(parts.control, { id, error: text, nextTryAt })
    await recordApiEvent(parts, 'certificate.failed', { ...named(id, row), error: text, nextTryAt: iso(nextTryAt) })
  }
}

function isDue({ certificate, names, notBefore, notAfter }: Certificate, source: Acme, now: number, asked: boolean) {
  if (asked || !certificate || !notAfter || !notBefore) return true
  if ([...names].sort().join() !== [...source.names].sort().join()) return true
  const end = Date.parse(notAfter)
  return now > end - Math.min(renewAheadMs, (end - Date.parse(notBefore)) / 3)
}

/**
 * Orders a certificate, with a new key each time. The row changes only after a matching certificate has been issued.
 */
async function order(
  parts: Dependencies,
  { id, row, source }: { id: string; row: Certificate; source: Acme },
): Promise<void> {
  const { names, key: kind } = source
  const privateKey = await parts.certificates.makeKey(kind)
  const csr = await parts.certificates.request({ names, kind, privateKey, organization: '' })
  const account = await accountFor(parts, source)
  const issued = await parts.acme.order({
    directoryUrl: source.directoryUrl,
    email: source.email,
    account,
    names,
    csr,
    publish: (token, answer) => putChallenge(parts.control, { token, answer, expiresAt: parts.now() + orderMs }),
    withdraw: (token) => dropChallenge(parts.control, token, parts.now()),
  })
  if (issued.accountUrl !== account.url) await setAcmeAccountUrl(parts.control, account.id, issued.accountUrl)
  const facts = parts.certificates.read(issued.certificate, privateKey)
  const comment = `issued by ${facts.issuer ?? 'ACME'}, valid until ${facts.notAfter}`.slice(0, 500)
  const options = { seal: parts.seal, now: parts.now(), id: parts.newId(), actor: 'system', comment }
  const { revision, count } = await commit(
    parts.control,
    { ...options, action: 'certificate.issue' },
    async (changeSet) => {
      const current = (await changeSet.get('certificate', id))?.value
      // The certificate was deleted or changed during the order. The next run orders what is wanted now.
      if (!current || JSON.stringify(current.source) !== JSON.stringify(source)) return
      await changeSet.put('certificate', id, { ...current, certificate: issued.certificate, privateKey, ...facts })
    },
  )
  if (count === 0) return
  await sendChangeNotifications(parts, revision)
  await recordApiEvent(parts, 'certificate.issued', {
    ...named(id, { ...row, names: facts.names }),
    notAfter: facts.notAfter,
    issuer: facts.issuer ?? '',
  })
}

/** Returns the account for an authority and contact. Its key is stored sealed. */
async function accountFor(parts: Dependencies, { directoryUrl, email }: Acme) {
  const id = `${directoryUrl} ${email}`
  const place = `acme-account/${id}`
  const found = await acmeAccount(parts.control, id)
  const account =
    found ??
    (await addAcmeAccount(
      parts.control,
      { id, key: await parts.seal.seal(await parts.certificates.makeKey('ecdsa-p256'), place), url: '' },
      parts.now(),
    ))
  return { ...account, key: await parts.seal.open(account.key, place) }
}
