import { and, eq, lt } from 'drizzle-orm'
import type { Queries } from '../database.ts'
import { messageChunks } from './tables.ts'

/** Bytes of messages that an earlier release had in transit, one row for each chunk. New ones are objects. */
export async function chunkOf(queries: Queries, bundle: string, n: number): Promise<Uint8Array | undefined> {
  const [row] = await queries
    .select({ bytes: messageChunks.bytes })
    .from(messageChunks)
    .where(and(eq(messageChunks.bundle, bundle), eq(messageChunks.n, n)))
  return row?.bytes
}

export async function dropChunks(queries: Queries, bundle: string): Promise<void> {
  await queries.delete(messageChunks).where(eq(messageChunks.bundle, bundle))
}

export async function dropOldChunks(queries: Queries, before: number): Promise<void> {
  await queries.delete(messageChunks).where(lt(messageChunks.createdAt, before))
}
