import { parseAddress, parseBlock } from '@postern/contract/ip-address.ts'
import type { ListEntry } from '@postern/contract/lists.ts'

/**
 * Addresses, CIDR blocks and ranges. The longest prefix wins, so an entry for one address overrides an entry for its
 * network. A look-up takes one hash look-up for each prefix length in use, so a hundred thousand entries cost as much as
 * one.
 *
 * A list shares its table with a successor that only adds entries. Each list ignores entries beyond its own size. An
 * attack that adds entries many times a second therefore does not cause the list to be read again each time.
 */
export type BlockEntry = {
  value: string
  action?: ListEntry['action']
  expiresAt: number
  /**
   * An automatic entry with an end is valid from this time. If that is in the future, the entry was made before the
   * clock was set back.
   */
  startsAt?: number
  /** Created automatically from client behaviour, not by a person. */
  automatic?: true
  /** The position of the entry in the order in which entries were added. */
  n: number
}

/** Tolerated clock difference between the API and a worker. */
const aheadMs = 300_000

/** One prefix length: maps a masked address to the entries of exactly that block. */
type Level = { bits: number; entries: Map<number | string, BlockEntry[]> }

export type AddressBlocks = { size: number; readonly table: Table }

/** `entries`: all entries added by this list and its successors. */
type Table = { v4: Level[]; v6: Level[]; entries: ListEntry[] }

/** An address as 32-bit words: one for IPv4, four for IPv6. */
type Words = readonly number[]

/** Reads entries one by one. `add` throws an Error that names the value if it is not an address, block or range. */
export function addressBlocks(): { blocks: AddressBlocks; add(entry: ListEntry): void } {
  return adding({ size: 0, table: { v4: [], v6: [], entries: [] } })
}

/** Like `addressBlocks`, for the successor of a list; `null` if another successor has already added to the table. */
export function successorOf({ size, table }: AddressBlocks): ReturnType<typeof addressBlocks> | null {
  return table.entries.length === size ? adding({ size, table }) : null
}

/** Returns whether entry number `i` of the list is this exact entry. */
export function isSameBlock({ table }: AddressBlocks, i: number, entry: ListEntry): boolean {
  return table.entries[i] === entry
}

function adding(blocks: AddressBlocks) {
  return { blocks, add: (entry: ListEntry) => addEntry(blocks, entry) }
}

function addEntry(blocks: AddressBlocks, entry: ListEntry): void {
  const { table, size } = blocks
  const { value, action, createdBy, createdAt } = entry
  const kept: BlockEntry = { value, expiresAt: expiry(entry), n: size }
  if (action) kept.action = action
  if (createdBy.startsWith('system:')) {
    kept.automatic = true
    if (Number.isFinite(kept.expiresAt)) kept.startsAt = Date.parse(createdAt) - aheadMs
  }
  const found = blocksOf(value)
  table.entries.push(entry)
  blocks.size++
  for (const { words, bits } of found) {
    const { entries } = levelFor(words.length === 1 ? table.v4 : table.v6, bits)
    const key = keyOf(words, bits)
    const same = entries.get(key)
    if (same) same.push(kept)
    else entries.set(key, [kept])
  }
}

/** Returns the most specific entry whose block contains `ip`; `undefined` if there is none or if `ip` cannot be parsed. */
export function findBlock(blocks: AddressBlocks, ip: string, now: number): BlockEntry | undefined {
  if (blocks.size === 0) return undefined
  const words = readWords(ip)
  if (!words) return undefined
  const { table, size } = blocks
  const levels = words.length === 1 ? table.v4 : table.v6
  for (const level of levels) {
    const found = level.entries.get(keyOf(words, level.bits))
    if (!found) continue
    const live = liveEntry(found, now, size)
    if (live) return live
  }
  return undefined
}

/** Returns the entry in force. Of several entries for the same block, one that refuses wins. */
function liveEntry(entries: BlockEntry[], now: number, size: number): BlockEntry | undefined {
  let live: BlockEntry | undefined
  for (const entry of entries) {
    if (entry.expiresAt <= now || entry.n >= size) continue
    if (entry.startsAt !== undefined && entry.startsAt > now) continue
    if (!live || entry.action === 'deny') live = entry
  }
  return live
}

/** Returns when the entry ends, in milliseconds since the epoch; `Infinity` if it does not. */
export function expiry({ value, expiresAt }: Pick<ListEntry, 'value' | 'expiresAt'>): number {
  if (expiresAt === undefined) return Number.POSITIVE_INFINITY
  const at = Date.parse(expiresAt)
  if (Number.isNaN(at)) throw new Error(`list entry "${value}": expiresAt "${expiresAt}" is not an RFC 3339 time`)
  return at
}

function levelFor(levels: Level[], bits: number): Level {
  const at = levels.findIndex((level) => level.bits <= bits)
  const found = levels[at]
  if (found?.bits === bits) return found
  const level = { bits, entries: new Map() }
  levels.splice(at < 0 ? levels.length : at, 0, level)
  return level
}

function keyOf(words: Words, bits: number): number | string {
  if (words.length === 1) return masked(words[0] as number, bits)
  let key = ''
  for (let i = 0; i < 4; i++) key += `${masked(words[i] as number, bits - 32 * i)}:`
  return key
}

function masked(word: number, bits: number): number {
  if (bits >= 32) return word | 0
  return bits <= 0 ? 0 : word & (-1 << (32 - bits))
}

const v4Pattern = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/

/** Returns the words of an address, with IPv4-mapped IPv6 as IPv4; `null` if `ip` is not an address. */
function readWords(ip: string): Words | null {
  if (!ip.includes(':')) {
    const parts = v4Pattern.exec(ip)
    if (!parts) return null
    let word = 0
    for (let i = 1; i <= 4; i++) {
      const octet = Number(parts[i])
      if (octet > 255) return null
      word = (word << 8) | octet
    }
    return [word]
  }
  const address = parseAddress(ip)
  return address ? wordsOf(address.toByteArray()) : null
}

function wordsOf(bytes: readonly number[]): Words {
  const words: number[] = []
  for (let i = 0; i < bytes.length; i += 4)
    words.push(((bytes[i] ?? 0) << 24) | ((bytes[i + 1] ?? 0) << 16) | ((bytes[i + 2] ?? 0) << 8) | (bytes[i + 3] ?? 0))
  return words
}

function blocksOf(value: string): { words: Words; bits: number }[] {
  const [from, to] = value.includes('-') ? value.split('-') : []
  if (from !== undefined && to !== undefined) return rangeBlocks(value, from, to)
  const block = parseBlock(value)
  if (!block) throw new Error(`list entry "${value}" is not an address, CIDR block or range`)
  return [{ words: wordsOf(block.address.toByteArray()), bits: block.bits }]
}

/**
 * Returns the fewest CIDR blocks that make up a range: at most 62 for IPv4, 254 for IPv6. Returns none if the range is
 * reversed.
 */
function rangeBlocks(value: string, from: string, to: string): { words: Words; bits: number }[] {
  const first = readWords(from.trim())
  const last = readWords(to.trim())
  if (!first || !last || first.length !== last.length) throw new Error(`list entry "${value}" is not an address range`)
  const width = first.length * 32
  const end = toBig(last)
  const found: { words: Words; bits: number }[] = []
  let at = toBig(first)
  while (at <= end) {
    let free = 0
    while (free < width && !((at >> BigInt(free)) & 1n) && at + (1n << BigInt(free + 1)) - 1n <= end) free++
    found.push({ words: fromBig(at, first.length), bits: width - free })
    at += 1n << BigInt(free)
  }
  return found
}

function toBig(words: Words): bigint {
  return words.reduce((sum, word) => (sum << 32n) | BigInt(word >>> 0), 0n)
}

function fromBig(value: bigint, length: number): Words {
  return Array.from({ length }, (_, i) => Number((value >> BigInt(32 * (length - 1 - i))) & 0xffff_ffffn) | 0)
}
