import { sql } from 'drizzle-orm'
import type { Queries } from '../database.ts'

/** Octets of messages on their way between the API and a worker, a row each, at most a day. */

export type Parcel = { bundle: string; n: number; octets: Uint8Array; createdAt: number }

/** One that comes again replaces what was there. */
export async function putParcel(queries: Queries, { bundle, n, octets, createdAt }: Parcel): Promise<void> {
  await queries.run(sql`
    insert into parcels (bundle, n, octets, created_at) values (${bundle}, ${n}, ${octets}, ${createdAt})
    on conflict (bundle, n) do update set octets = excluded.octets`)
}

export async function parcelOf(queries: Queries, bundle: string, n: number): Promise<Uint8Array | undefined> {
  const [row] = await queries.all<{ octets: ArrayBuffer }>(
    sql`select octets from parcels where bundle = ${bundle} and n = ${n}`,
  )
  return row && new Uint8Array(row.octets)
}

export async function dropParcels(queries: Queries, bundle: string): Promise<void> {
  await queries.run(sql`delete from parcels where bundle = ${bundle}`)
}

export async function dropOldParcels(queries: Queries, before: number): Promise<void> {
  await queries.run(sql`delete from parcels where created_at < ${before}`)
}
