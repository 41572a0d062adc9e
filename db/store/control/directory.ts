import { sql } from 'drizzle-orm'
import { contains, type Queries } from '../database.ts'

/** Questions about the directory that span kinds. */
export type Named = { kind: string; id: string; key: string }

/** Accounts, aliases and groups of one of these addresses. */
export function ownersOf(queries: Queries, addresses: readonly string[]): Promise<Named[]> {
  return queries.all<Named>(sql`
    select kind, id, key from rows where kind in ('account', 'alias', 'group')
      and key in (select value from json_each(${JSON.stringify(addresses)}))`)
}

/** Accounts, aliases and groups whose local part is one of another's in these domains, beside each other. At most 6. */
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

/** Accounts that log in under this name, given or by their address. */
export function accountsByLogin(queries: Queries, login: string): Promise<Named[]> {
  return queries.all<Named>(sql`
    select kind, id, key from rows where kind = 'account'
      and lower(iif(value ->> 'login' = '', key, value ->> 'login')) = ${login.toLowerCase()}`)
}

/** Accounts, aliases and groups whose local part holds the text; also logins, when asked. At most 5. */
export function holding(queries: Queries, text: string, alsoLogins: boolean): Promise<Named[]> {
  const login = alsoLogins ? sql`or instr(value ->> 'login', ${text}) > 0` : sql``
  return queries.all<Named>(sql`
    select kind, id, key from rows where kind in ('account', 'alias', 'group')
      and (instr(substr(key, 1, instr(key, '@') - 1), ${text}) > 0 ${login}) order by key limit 5`)
}

/** Accounts, aliases and groups in a domain. At most 5. */
export function addressesIn(queries: Queries, domain: string): Promise<Named[]> {
  return queries.all<Named>(sql`
    select kind, id, key from rows where kind in ('account', 'alias', 'group')
      and key like ${contains(`@${domain}`).slice(0, -1)} escape '\\' order by key limit 5`)
}

/** Domains that have this name as theirs or as an alias. */
export function domainsNamed(queries: Queries, name: string): Promise<Named[]> {
  return queries.all<Named>(sql`
    select kind, id, key from rows where kind = 'domain'
      and (key = ${name} or exists (select 1 from json_each(rows.value, '$.aliases') where json_each.value = ${name}))`)
}

/** Accounts, aliases and groups under one of these keys, as stored. */
export function entriesAt(queries: Queries, keys: readonly string[]): Promise<(Named & { value: string })[]> {
  return queries.all<Named & { value: string }>(sql`
    select kind, id, key, value from rows where kind in ('account', 'alias', 'group')
      and key in (select value from json_each(${JSON.stringify(keys)}))`)
}

/** Accounts, aliases and groups that name one of these addresses as where their mail goes. At most 20. */
export function entriesNaming(queries: Queries, addresses: readonly string[]): Promise<Named[]> {
  return queries.all<Named>(sql`
    select kind, id, key from rows where kind in ('account', 'alias', 'group') and exists (
      select 1 from json_each(rows.value, case kind when 'alias' then '$.to' when 'group' then '$.members' else '$.forwardTo' end)
        as target where lower(target.value) in (select value from json_each(${JSON.stringify(addresses)}))
    ) order by key limit 20`)
}

/** The keys of all rows of a kind. */
export async function keysIn(queries: Queries, kind: string): Promise<string[]> {
  const rows = await queries.all<{ key: string }>(sql`select key from rows where kind = ${kind}`)
  return rows.map(({ key }) => key)
}
