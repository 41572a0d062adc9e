import { and, eq, getTableColumns, gt, isNull, lte, ne, notInArray, or, sql } from 'drizzle-orm'
import type { Queries } from '../database.ts'
import { acmeAccounts, acmeChallenges, certificateWatch, rows } from './tables.ts'

/** ACME data in addition to the certificate rows: accounts, open challenges, and the results of orders. */

export type AcmeAccount = Omit<typeof acmeAccounts.$inferSelect, 'createdAt'>

export function acmeAccount(queries: Queries, id: string): Promise<AcmeAccount | undefined> {
  const { createdAt: _, ...columns } = getTableColumns(acmeAccounts)
  return queries.select(columns).from(acmeAccounts).where(eq(acmeAccounts.id, id)).get()
}

/** Adds an account. If another process was faster, returns the existing one. */
export async function addAcmeAccount(queries: Queries, account: AcmeAccount, now: number): Promise<AcmeAccount> {
  await queries
    .insert(acmeAccounts)
    .values({ ...account, createdAt: now })
    .onConflictDoNothing({ target: acmeAccounts.id })
  return (await acmeAccount(queries, account.id)) ?? account
}

export async function setAcmeAccountUrl(queries: Queries, id: string, url: string): Promise<void> {
  await queries.update(acmeAccounts).set({ url }).where(eq(acmeAccounts.id, id))
}

export async function putChallenge(
  queries: Queries,
  { token, answer, expiresAt }: { token: string; answer: string; expiresAt: number },
): Promise<void> {
  const changing = { answer, expiresAt }
  await queries
    .insert(acmeChallenges)
    .values({ token, ...changing })
    .onConflictDoUpdate({ target: acmeChallenges.token, set: changing })
}

export async function challengeAnswer(queries: Queries, token: string, now: number): Promise<string | undefined> {
  const row = await queries
    .select({ answer: acmeChallenges.answer })
    .from(acmeChallenges)
    .where(and(eq(acmeChallenges.token, token), gt(acmeChallenges.expiresAt, now)))
    .get()
  return row?.answer
}

/** Removes the challenges with this token, and all that have expired. */
export async function dropChallenge(queries: Queries, token: string, now: number): Promise<void> {
  await queries.delete(acmeChallenges).where(or(eq(acmeChallenges.token, token), lte(acmeChallenges.expiresAt, now)))
}

export type CertificateWatch = Omit<typeof certificateWatch.$inferSelect, 'busyUntil'>

export async function certificateWatches(queries: Queries): Promise<Map<string, CertificateWatch>> {
  const { busyUntil: _, ...columns } = getTableColumns(certificateWatch)
  const watches = await queries.select(columns).from(certificateWatch).all()
  return new Map(watches.map((watch) => [watch.id, watch]))
}

/**
 * Records the warning given for this certificate.
 * @returns `false` if it was already given
 */
export async function noteWarning(
  queries: Queries,
  { id, fingerprint, warned }: { id: string; fingerprint: string; warned: number },
): Promise<boolean> {
  const noted = await queries
    .insert(certificateWatch)
    .values({ id, fingerprint, warned })
    .onConflictDoUpdate({
      target: certificateWatch.id,
      set: { fingerprint, warned },
      setWhere: or(
        ne(certificateWatch.fingerprint, fingerprint),
        isNull(certificateWatch.warned),
        gt(certificateWatch.warned, warned),
      ),
    })
    .returning({ id: certificateWatch.id })
  return noted.length > 0
}

/**
 * Claims the order for this process until `until`.
 * @returns `false` if another process has it, or if it is not due yet
 */
export async function claimOrder(
  queries: Queries,
  { id, now, until, latestTry }: { id: string; now: number; until: number; latestTry: number },
): Promise<boolean> {
  // A time further ahead was planned before the clock was set back.
  const claimed = await queries
    .insert(certificateWatch)
    .values({ id, busyUntil: until })
    .onConflictDoUpdate({
      target: certificateWatch.id,
      set: { busyUntil: until },
      setWhere: and(
        or(lte(certificateWatch.busyUntil, now), gt(certificateWatch.busyUntil, until + 60_000)),
        or(lte(certificateWatch.nextTryAt, now), gt(certificateWatch.nextTryAt, latestTry)),
      ),
    })
    .returning({ id: certificateWatch.id })
  return claimed.length > 0
}

/** Records the end of the order. Without an error it succeeded. */
export async function endOrder(
  queries: Queries,
  { id, error, nextTryAt }: { id: string; error?: string | undefined; nextTryAt: number },
): Promise<void> {
  const failures = error === undefined ? 0 : sql`${certificateWatch.failures} + 1`
  await queries
    .update(certificateWatch)
    .set({ busyUntil: 0, nextTryAt, error: error ?? null, failures })
    .where(eq(certificateWatch.id, id))
}

/** Makes the order due at the next check, however often it failed. */
export async function orderNow(queries: Queries, id: string): Promise<void> {
  const changing = { nextTryAt: -1 }
  await queries
    .insert(certificateWatch)
    .values({ id, ...changing })
    .onConflictDoUpdate({ target: certificateWatch.id, set: changing })
}

/** Removes the observations of deleted certificates. */
export async function forgetCertificates(queries: Queries): Promise<void> {
  const present = queries.select({ id: rows.id }).from(rows).where(eq(rows.kind, 'certificate'))
  await queries.delete(certificateWatch).where(notInArray(certificateWatch.id, present))
}
