import type { Client, ResultSet } from '@libsql/client'
import { type SQL, type SQLWrapper, sql } from 'drizzle-orm'
import type { LibSQLDatabase } from 'drizzle-orm/libsql'
import type { BaseSQLiteDatabase } from 'drizzle-orm/sqlite-core'

/** One of the two databases, behind the guard. Made by `open.ts`; everything else only uses it. */
export type Database = LibSQLDatabase<Record<string, never>> & { $client: Client }

/** What a query needs: the database itself, or a transaction in it. */
export type Queries = BaseSQLiteDatabase<'async', ResultSet, Record<string, never>>

/** Gives the event loop a turn: libSQL's calls on a file are synchronous, so awaiting them alone lets nobody else in. */
export const yieldToEventLoop = (): Promise<void> => new Promise((resolve) => setTimeout(resolve))

/** `%` and `_` of a search mean themselves. Use with `escape '\'`. */
export const contains = (text: string): string => `%${text.replace(/[\\%_]/g, '\\$&')}%`

/** Whether the column has this text anywhere in it; ASCII letters match in either case. */
export const includes = (column: SQLWrapper, text: string): SQL => sql`${column} like ${contains(text)} escape '\\'`

/** Whether the column has one of these values: one parameter, however many they are. */
export const isAmong = (column: SQLWrapper, values: readonly unknown[]): SQL =>
  sql`${column} in (select value from json_each(${JSON.stringify(values)}))`

/** `and`-joined conditions, `true` when there are none. */
export function all(conditions: (SQL | undefined)[]): SQL {
  const given = conditions.filter((condition) => condition !== undefined)
  return given.length === 0 ? sql`true` : sql.join(given, sql` and `)
}
