import { and, eq, lt } from 'drizzle-orm'
import type { Queries } from '../database.ts'
import { messageChunks } from './tables.ts'

/** Bytes of messages in transit between the API and a worker, one row for each chunk, kept for at most a day. */
export type MessageChunk = { bundle: string; n: number; bytes: Uint8Array; createdAt: number }

/** Stores a chunk, replacing an earlier copy. */
export async function putChunk(queries: Queries, { bytes, ...chunk }: MessageChunk): Promise<void> {
  const set = { bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength) }
  await queries
    .insert(messageChunks)
    .values({ ...chunk, ...set })
    .onConflictDoUpdate({ target: [messageChunks.bundle, messageChunks.n], set })
}

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
