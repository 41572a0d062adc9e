import { sql } from 'drizzle-orm'
import type { Queries } from '../database.ts'

/** What ACME needs besides the certificate rows: accounts, open challenges, and how orders went. */

export type AcmeAccount = { id: string; key: string; url: string }

export async function acmeAccount(queries: Queries, id: string): Promise<AcmeAccount | undefined> {
  const [row] = await queries.all<AcmeAccount>(sql`select id, key, url from acme_accounts where id = ${id}`)
  return row
}

/** The account that stands, when somebody was faster. */
export async function addAcmeAccount(queries: Queries, account: AcmeAccount, now: number): Promise<AcmeAccount> {
  await queries.run(sql`
    insert into acme_accounts (id, key, url, created_at) values (${account.id}, ${account.key}, ${account.url}, ${now})
    on conflict (id) do nothing`)
  return (await acmeAccount(queries, account.id)) ?? account
}

export async function setAcmeAccountUrl(queries: Queries, id: string, url: string): Promise<void> {
  await queries.run(sql`update acme_accounts set url = ${url} where id = ${id}`)
}

export async function putChallenge(
  queries: Queries,
  { token, answer, expiresAt }: { token: string; answer: string; expiresAt: number },
): Promise<void> {
  await queries.run(sql`
    insert into acme_challenges (token, answer, expires_at) values (${token}, ${answer}, ${expiresAt})
    on conflict (token) do update set answer = excluded.answer, expires_at = excluded.expires_at`)
}

export async function challengeAnswer(queries: Queries, token: string, now: number): Promise<string | undefined> {
  const [row] = await queries.all<{ answer: string }>(
    sql`select answer from acme_challenges where token = ${token} and expires_at > ${now}`,
  )
  return row?.answer
}

/** Those with this token, and all whose time is over. */
export async function dropChallenge(queries: Queries, token: string, now: number): Promise<void> {
  await queries.run(sql`delete from acme_challenges where token = ${token} or expires_at <= ${now}`)
}

export type CertificateWatch = {
  id: string
  fingerprint: string
  warned: number | null
  failures: number
  error: string | null
  nextTryAt: number
}

export async function certificateWatches(queries: Queries): Promise<Map<string, CertificateWatch>> {
  const rows = await queries.all<CertificateWatch>(
    sql`select id, fingerprint, warned, failures, error, next_try_at as nextTryAt from certificate_watch`,
  )
  return new Map(rows.map((row) => [row.id, row]))
}

/** The warning that was given for this certificate. @returns `false`: it was given already */
export async function noteWarning(
  queries: Queries,
  { id, fingerprint, warned }: { id: string; fingerprint: string; warned: number },
): Promise<boolean> {
  const noted = await queries.all<{ id: string }>(sql`
    insert into certificate_watch (id, fingerprint, warned) values (${id}, ${fingerprint}, ${warned})
    on conflict (id) do update set fingerprint = excluded.fingerprint, warned = excluded.warned
    where certificate_watch.fingerprint <> excluded.fingerprint or certificate_watch.warned is null
      or certificate_watch.warned > excluded.warned returning id`)
  return noted.length > 0
}

/** Makes the order this process's until `until`. @returns `false`: it is somebody else's, or not due yet */
export async function claimOrder(
  queries: Queries,
  { id, now, until }: { id: string; now: number; until: number },
): Promise<boolean> {
  const claimed = await queries.all<{ id: string }>(sql`
    insert into certificate_watch (id, busy_until) values (${id}, ${until})
    on conflict (id) do update set busy_until = excluded.busy_until
    where certificate_watch.busy_until <= ${now} and certificate_watch.next_try_at <= ${now} returning id`)
  return claimed.length > 0
}

/** How the order ended; without an error it went well. */
export async function endOrder(
  queries: Queries,
  { id, error, nextTryAt }: { id: string; error?: string | undefined; nextTryAt: number },
): Promise<void> {
  await queries.run(sql`
    update certificate_watch set busy_until = 0, next_try_at = ${nextTryAt}, error = ${error ?? null},
      failures = ${error === undefined ? sql`0` : sql`failures + 1`} where id = ${id}`)
}

/** The next look orders at once, however often it failed. */
export async function orderNow(queries: Queries, id: string): Promise<void> {
  await queries.run(sql`
    insert into certificate_watch (id, next_try_at) values (${id}, -1)
    on conflict (id) do update set next_try_at = -1`)
}

/** What was observed of certificates that are gone. */
export async function forgetCertificates(queries: Queries): Promise<void> {
  await queries.run(sql`delete from certificate_watch where id not in (select id from rows where kind = 'certificate')`)
}
