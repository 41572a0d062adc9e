import { maxListed, type ObjectStore } from '@postern/objects/object-store.ts'
import {
  dropChunks as dropFormer,
  dropOldChunks as dropOldFormer,
  chunkOf as formerChunk,
} from '@postern/store/records/message-chunks.ts'
import type { Dependencies } from './dependencies.ts'

/**
 * Bytes of messages in transit between the API and a worker: an object for each chunk, in the store of the log, kept for
 * at most a day. The database has only the request that names them. An earlier release kept them as rows, which are
 * still read.
 */
type Transit = Pick<Dependencies, 'records'> & { eventStore: { transit: ObjectStore } }

const folder = 'messages/'
const keyOf = (bundle: string, n: number) => `${folder}${bundle}/${String(n).padStart(4, '0')}`

/** Stores a chunk. One that is there already is the same: the sender repeats it. */
export async function putChunk(
  { eventStore }: Transit,
  { bundle, n, bytes }: { bundle: string; n: number; bytes: Uint8Array },
): Promise<void> {
  await eventStore.transit.create(keyOf(bundle, n), bytes)
}

export async function chunkOf(
  { eventStore, records }: Transit,
  bundle: string,
  n: number,
): Promise<Uint8Array | undefined> {
  return (await eventStore.transit.get(keyOf(bundle, n))) ?? formerChunk(records, bundle, n)
}

export async function dropChunks(
  { eventStore, records }: Transit,
  { bundle, chunks }: { bundle: string; chunks: number },
): Promise<void> {
  await eventStore.transit.remove(Array.from({ length: chunks }, (_, n) => keyOf(bundle, n)))
  await dropFormer(records, bundle)
}

/** Removes what nobody fetched. `before` is in milliseconds since the epoch. */
export async function dropOldChunks({ eventStore, records }: Transit, before: number): Promise<void> {
  const { transit } = eventStore
  for (const prefix of await transit.folders(folder)) {
    if (madeAt(prefix) >= before) continue
    for (let found = await transit.list({ prefix }); found.length > 0; ) {
      await transit.remove(found.map(({ key }) => key))
      found = found.length < maxListed ? [] : await transit.list({ prefix })
    }
  }
  await dropOldFormer(records, before)
}

/** A bundle ends with a UUIDv7, which begins with the time (RFC 9562 §5.7). */
function madeAt(prefix: string): number {
  const [, high, low] = /([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\/$/.exec(prefix) ?? []
  return high === undefined || low === undefined ? 0 : Number.parseInt(high + low, 16)
}
