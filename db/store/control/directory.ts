import type { RowKind } from '@postern/contract/rows.ts'
import { and, asc, eq, inArray, or, type SQL, sql } from 'drizzle-orm'
import { contains, isAmong, type Queries } from '../database.ts'
import type { StoredJson } from './rows.ts'
import { rows } from './tables.ts'

/** Queries on the directory that span several kinds. */
export type Named = Pick<StoredJson, 'kind' | 'id' | 'key'>

const { kind, id, key, value } = rows
const isEntry = inArray(kind, ['account', 'alias', 'group'])

const named = (queries: Queries, condition: SQL | undefined) =>
  queries.select({ kind, id, key }).from(rows).where(condition)

/** Finds accounts, aliases and groups with one of these addresses. */
export function ownersOf(queries: Queries, addresses: readonly string[]): Promise<Named[]> {
  return named(queries, and(isEntry, isAmong(key, addresses))).all()
}

/**
 * Finds accounts, aliases and groups that share a local part across these domains. Entries with the same local part are
 * adjacent. At most 6.
 */
export function sameLocals(queries: Queries, domains: readonly string[]): Promise<Named[]> {
  return queries.all<Named>(sql`
    select kind, id, key from (
      select *, count(*) over (partition by local) as owners from (
        select rows.kind, rows.id, rows.key, substr(rows.key, 1, length(rows.key) - length(domains.value) - 1) as local
        from json_each(${JSON.stringify(domains)}) as domains join rows
          on rows.kind in ('account', 'alias', 'group')
          and substr(rows.key, -length(domains.value) - 1) = '@' || domains.value
      )
    ) where owners > 1 order by local, key limit 6`)
}

/** Finds accounts that log in with this name, set explicitly or taken from their address. */
export function accountsByLogin(queries: Queries, login: string): Promise<Named[]> {
  const name = sql`lower(iif(${value} ->> 'login' = '', ${key}, ${value} ->> 'login'))`
  return named(queries, and(eq(kind, 'account'), eq(name, login.toLowerCase()))).all()
}

/** Finds accounts, aliases and groups whose local part contains the text, and on request also logins. At most 5. */
export function holding(queries: Queries, text: string, alsoLogins: boolean): Promise<Named[]> {
  const inLocal = sql`instr(substr(${key}, 1, instr(${key}, '@') - 1), ${text}) > 0`
  const inLogin = alsoLogins ? sql`instr(${value} ->> 'login', ${text}) > 0` : undefined
  return named(queries, and(isEntry, or(inLocal, inLogin)))
    .orderBy(asc(key))
    .limit(5)
    .all()
}

/** Finds accounts, aliases and groups in a domain. At most 5. */
export function addressesIn(queries: Queries, domain: string): Promise<Named[]> {
  return named(queries, and(isEntry, sql`${key} like ${contains(`@${domain}`).slice(0, -1)} escape '\\'`))
    .orderBy(asc(key))
    .limit(5)
    .all()
}

/** Finds domains that have this name or this alias. */
export function domainsNamed(queries: Queries, name: string): Promise<Named[]> {
  const isAlias = sql`exists (select 1 from json_each(${value}, '$.aliases') where json_each.value = ${name})`
  return named(queries, and(eq(kind, 'domain'), or(eq(key, name), isAlias))).all()
}

/** Returns accounts, aliases and groups with one of these keys, as stored. */
export function entriesAt(queries: Queries, keys: readonly string[]): Promise<(Named & { value: string })[]> {
  return queries
    .select({ kind, id, key, value })
    .from(rows)
    .where(and(isEntry, isAmong(key, keys)))
    .all()
}

/** Finds accounts, aliases and groups whose mail goes to one of these addresses. At most 20. */
export function entriesNaming(queries: Queries, addresses: readonly string[]): Promise<Named[]> {
  const field = sql`case ${kind} when 'alias' then '$.to' when 'group' then '$.members' else '$.forwardTo' end`
  const isTarget = isAmong(sql`lower(target.value)`, addresses)
  return named(
    queries,
    and(isEntry, sql`exists (select 1 from json_each(${value}, ${field}) as target where ${isTarget})`),
  )
    .orderBy(asc(key))
    .limit(20)
    .all()
}

/** Returns the keys of all rows of a kind. */
export async function keysIn(queries: Queries, of: RowKind): Promise<string[]> {
  const found = await queries.select({ key }).from(rows).where(eq(kind, of)).all()
  return found.map((row) => row.key)
}
