import { foldLocal } from '@postern/contract/address.ts'
import type { ListEntry } from '@postern/contract/lists.ts'
import { expiry } from './address-blocks.ts'

/**
 * The Kill File: `user@host`, `@host`, `@*suffix` (any suffix of the host, not only after a dot).
 *
 * One open-addressing table holds all three kinds. A key is hashed from its end backwards, so one pass over a sender
 * gives the hash of every suffix of its host, then of the host, then of the whole address. Only suffix lengths in use
 * are looked up. A look-up costs one pass over the address, for ten entries or a million. The table has its final size
 * from the start, so filling it never pauses to grow.
 *
 * A file shares its table with a successor that only adds entries. Each file ignores entries beyond its own size.
 */
export type KillFile = { readonly size: number; readonly table: Table }

type Table = {
  readonly capacity: number
  /** Number of values in the table. It exceeds a file's size once a successor has added some. */
  filled: number
  readonly values: string[]
  /** Pairs of hash and index into `values` + 1; 0 means free. */
  readonly slots: Uint32Array
  /** 1 if a suffix of that length exists. */
  readonly suffixLengths: Uint8Array
  /** Expiry of each entry; `null` if none expires. */
  expires: Float64Array | null
}

const ofAddress = 0x51ed270b
const ofHost = 0x2545f491
const ofSuffix = 0x7f4a7c15

/** Creates a table with room for `size` entries and a few more. */
export function emptyKillFile(size: number): KillFile {
  const capacity = size + (size >> 3) + 16
  let slots = 16
  while (slots * 3 < capacity * 4) slots *= 2
  const table = {
    capacity,
    filled: 0,
    values: new Array<string>(capacity),
    slots: new Uint32Array(slots * 2),
    suffixLengths: new Uint8Array(256),
    expires: null,
  }
  return { size: 0, table }
}

/** Returns whether the file may grow `to` this size: the entries fit, and no other successor has added to the table. */
export function mayGrow({ size, table }: KillFile, to: number): boolean {
  return table.filled === size && to <= table.capacity
}

/** Returns whether entry number `i` of the file has the same content. */
export function isSameKill({ table }: KillFile, i: number, entry: ListEntry): boolean {
  if (table.values[i] !== entry.value) return false
  return expiry(entry) === (table.expires?.[i] ?? Number.POSITIVE_INFINITY)
}

/** Returns the file with one more entry. Throws an Error if the entry is malformed. Call only while `mayGrow` is true. */
export function withKill({ size, table }: KillFile, entry: ListEntry): KillFile {
  const { value } = entry
  if (size >= table.capacity) throw new Error(`the Kill File has more entries than its capacity of ${table.capacity}`)
  const at = value.lastIndexOf('@')
  if (at < 0 || at === value.length - 1)
    throw new Error(`Kill File entry "${value}" is not user@host, @host or @*suffix`)
  const ends = expiry(entry)
  if (ends !== Number.POSITIVE_INFINITY) {
    table.expires ??= new Float64Array(table.capacity).fill(Number.POSITIVE_INFINITY)
    table.expires[size] = ends
  }
  table.values[size] = value
  table.filled = size + 1
  put(table, entryHash(table, value, at), size + 1)
  return { size: size + 1, table }
}

function entryHash(table: Table, value: string, at: number): number {
  const suffix = value.startsWith('@*')
  if (suffix) table.suffixLengths[Math.min(value.length - 2, 255)] = 1
  const stop = suffix ? 2 : at === 0 ? 1 : 0
  let hash = 0
  for (let i = value.length - 1; i >= stop; i--) hash = step(hash, value.charCodeAt(i))
  return finish(hash, suffix ? ofSuffix : at === 0 ? ofHost : ofAddress)
}

function put({ slots }: Table, hash: number, index: number): void {
  const mask = slots.length / 2 - 1
  let slot = hash & mask
  while (slots[slot * 2 + 1] !== 0) slot = (slot + 1) & mask
  slots[slot * 2] = hash
  slots[slot * 2 + 1] = index
}

/** The look-up key. Its text is compared only if a hash matches. `from`: where the suffix begins in the domain. */
type Wanted = { kind: number; local: string; domain: string; from: number; now: number }

/**
 * Returns the list entry that forbids this sender: the shortest suffix first, then the host, then the address.
 * @param domain canonical, lower case
 */
export function findKill(
  file: KillFile,
  { local, domain }: { local: string; domain: string },
  now: number,
): string | undefined {
  if (file.size === 0) return undefined
  const wanted: Wanted = { kind: ofSuffix, local: foldLocal(local), domain, from: domain.length, now }
  let hash = 0
  while (wanted.from > 0) {
    hash = step(hash, domain.charCodeAt(--wanted.from))
    if (file.table.suffixLengths[domain.length - wanted.from] !== 1) continue
    const suffix = get(file, hash, wanted)
    if (suffix !== undefined) return suffix
  }
  wanted.kind = ofHost
  const host = get(file, hash, wanted)
  if (host !== undefined) return host
  wanted.kind = ofAddress
  hash = step(hash, 0x40)
  for (let i = wanted.local.length - 1; i >= 0; i--) hash = step(hash, wanted.local.charCodeAt(i))
  return get(file, hash, wanted)
}

function get({ size, table }: KillFile, rolled: number, wanted: Wanted): string | undefined {
  const { slots, values, expires } = table
  const hash = finish(rolled, wanted.kind)
  const mask = slots.length / 2 - 1
  for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
    const index = slots[slot * 2 + 1] as number
    if (index === 0) return undefined
    if (slots[slot * 2] !== hash || index > size) continue
    const value = values[index - 1] as string
    if (value === spelt(wanted) && (!expires || (expires[index - 1] as number) > wanted.now)) return value
  }
}

function spelt({ kind, local, domain, from }: Wanted): string {
  if (kind === ofSuffix) return `@*${domain.slice(from)}`
  return kind === ofHost ? `@${domain}` : `${local}@${domain}`
}

function step(hash: number, code: number): number {
  return (Math.imul(hash ^ code, 0x01000193) + 0x9e37) | 0
}

/** Mixes the bits (the finisher of MurmurHash3) and separates the three kinds. */
function finish(hash: number, kind: number): number {
  let mixed = hash ^ kind
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}

/**
 * Returns the values of all entries that could match this sender, so that only these are read from a list of up to a
 * million.
 */
export function killKeys({ local, domain }: { local: string; domain: string }): string[] {
  const keys = [`@${domain}`, `${foldLocal(local)}@${domain}`]
  for (let from = 0; from < domain.length; from++) keys.push(`@*${domain.slice(from)}`)
  return keys
}
