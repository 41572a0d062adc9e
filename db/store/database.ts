import type { Client, ResultSet } from '@libsql/client'
import { type SQL, type SQLWrapper, sql } from 'drizzle-orm'
import type { LibSQLDatabase } from 'drizzle-orm/libsql'
import type { BaseSQLiteDatabase } from 'drizzle-orm/sqlite-core'

/** One of the two databases, behind the guard. `open.ts` creates it; all other code only uses it. */
export type Database = LibSQLDatabase<Record<string, never>> & { $client: Client }

/** The object that a query runs on: the database itself, or a transaction in it. */
export type Queries = BaseSQLiteDatabase<'async', ResultSet, Record<string, never>>

/**
 * Yields to the event loop. libSQL's calls on a file are synchronous, so awaiting them alone does not let other tasks
 * run.
 */
export const yieldToEventLoop = (): Promise<void> => new Promise((resolve) => setTimeout(resolve))

/** Escapes `%` and `_` in a search text. Use with `escape '\'`. */
export const contains = (text: string): string => `%${text.replace(/[\\%_]/g, '\\$&')}%`

/** Matches a column that contains this text. ASCII letters match in either case. */
export const includes = (column: SQLWrapper, text: string): SQL => sql`${column} like ${contains(text)} escape '\\'`

/** Matches a column that has one of these values. Uses one parameter, independent of their number. */
export const isAmong = (column: SQLWrapper, values: readonly unknown[]): SQL =>
  sql`${column} in (select value from json_each(${JSON.stringify(values)}))`

/** Joins conditions with `and`; `true` if there are none. */
export function all(conditions: (SQL | undefined)[]): SQL {
  const given = conditions.filter((condition) => condition !== undefined)
  return given.length === 0 ? sql`true` : sql.join(given, sql` and `)
}
