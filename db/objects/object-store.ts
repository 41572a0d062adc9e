/**
 * Immutable files under keys: a directory on one machine, a bucket at scale. Both pass one suite (test/suite.ts).
 * What a call reports as stored is durable: a machine that stops does not take it along. A reader sees an object whole or
 * not at all.
 */
export type ObjectStore = {
  /**
   * Stores an object under a key that has none. A key that is taken keeps its object. After an error the outcome is
   * unknown: call again with the same content. `taken` may then mean that the first call stored it.
   */
  create(key: string, content: Uint8Array): Promise<'created' | 'taken'>
  /** Stores an object in the place of another, or of none. After an error the key has the old object or the new one. */
  put(key: string, content: Uint8Array): Promise<void>
  /** `undefined`: the key has no object. */
  get(key: string): Promise<Uint8Array | undefined>
  /** The first `limit` objects whose keys begin with `prefix` and follow `after`, in the order of their octets. */
  list(range: ListRange): Promise<StoredObject[]>
  /** What keys that begin with `folder` have up to their next `/`: `folders('log/')` → `['log/2026-11-30/']`. In order. */
  folders(folder: string): Promise<string[]>
  /** Removes objects. A key that has none is no error. After an error some may be gone: call again. */
  remove(keys: readonly string[]): Promise<void>
  /** Ends what is under way and frees its connections. */
  close(): void
}

export type ListRange = {
  prefix: string
  /** Exclusive. */
  after?: string
  /** 1 to 1 000; 1 000 without it. */
  limit?: number
}

export type StoredObject = { key: string; bytes: number }

/** What one call lists at most: S3 answers no more. */
export const maxListed = 1_000

/** A key that a directory and a bucket both hold, in the same order. */
const keyPattern = /^[A-Za-z0-9_=-][A-Za-z0-9._=-]*(?:\/[A-Za-z0-9_=-][A-Za-z0-9._=-]*)*$/
const maxKeyLength = 900

const isKey = (text: string): boolean => text.length <= maxKeyLength && keyPattern.test(text)

/**
 * A key is parts with `/` between them; a part has `A-Z a-z 0-9 . _ = -` and does not begin with a dot. No key may be a
 * folder of another: a directory cannot hold both.
 * @throws RangeError
 */
export function checkKey(key: string): void {
  if (!isKey(key)) throw new RangeError(`not a key of an object store: ${JSON.stringify(key.slice(0, 200))}`)
}

/** @throws RangeError for a folder that is not '' or a key and a `/`. */
export function checkFolder(folder: string): void {
  if (folder !== '' && !(folder.endsWith('/') && isKey(folder.slice(0, -1))))
    throw new RangeError(`not a folder of an object store: ${JSON.stringify(folder.slice(0, 200))}`)
}

/** Keys in the order that S3 lists them. */
export const byKey = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
