import { hash } from 'node:crypto'
import { type FileHandle, open, readFile, rename, rm } from 'node:fs/promises'
import type { Lookups } from '@postern/contract/lookups.ts'
import { writeAll } from '@postern/runtime/disk.ts'
import { networkOf } from './address.ts'

/**
 * Triplets of client network, sender and recipient, and when each was first seen (RFC 6647). Kept in memory; changes are appended
 * to a file of this worker for the next process. Both are bounded: of the triplets that never came back the oldest are forgotten
 * first, and they never displace those that did.
 */
export type Seen = Exclude<NonNullable<Lookups['greylist']>, 'not-known'>

export type Triplet = { ip: string; sender: string; recipient: string; now: number }
export type GreylistSettings = { delaySeconds: number; rememberDays: number }

export type GreylistOptions = {
  /** Without a file nothing outlives the process. */
  file?: string
  /** For the operator's log: the file cannot be read or written. */
  trouble: (error: unknown) => void
  /** Triplets of each kind, waiting and passed. */
  max?: number
}

const dayMs = 86_400_000
/** A triplet that has not come back by then is new when it comes. */
const waitMs = 2 * dayMs
/** The facts of two sessions may be so far apart. */
const aheadMs = 60_000
/** How often within `rememberDays` a triplet in use is written again. */
const refreshes = 24
const flushMs = 200
/** Lines that are written together. */
const chunk = 5_000

type Passed = { first: number; last: number }

export class Greylist {
  readonly #waiting = new Map<string, number>()
  readonly #passed = new Map<string, Passed>()
  readonly #max: number
  readonly #file: string | undefined
  readonly #trouble: (error: unknown) => void
  #handle: FileHandle | undefined
  /** Lines in the file, with those that newer ones have replaced. */
  #lines = 0
  #unwritten: string[] = []
  #timer: NodeJS.Timeout | undefined
  #writing: Promise<void> = Promise.resolve()

  private constructor({ file, trouble, max = 100_000 }: GreylistOptions) {
    this.#file = file
    this.#trouble = trouble
    this.#max = max
  }

  /** A file that cannot be read is reported and started again; one that cannot be written is reported and not used. */
  static async open(parts: GreylistOptions): Promise<Greylist> {
    const greylist = new Greylist(parts)
    if (parts.file === undefined) return greylist
    await greylist.#read(parts.file).catch(parts.trouble)
    await greylist.#rewrite(parts.file).catch(parts.trouble)
    return greylist
  }

  get size(): number {
    return this.#waiting.size + this.#passed.size
  }

  /** Notes that the triplet was seen now. @returns what was known before; `firstSeen` is now for a new one */
  see({ ip, sender, recipient, now }: Triplet, { delaySeconds, rememberDays }: GreylistSettings): Seen {
    const key = keyOf(ip, sender, recipient)
    const passed = this.#passed.get(key)
    if (passed && passed.last + rememberDays * dayMs > now) {
      // One line now and then is enough, in place of one for each message.
      const isOld = passed.last + (rememberDays * dayMs) / refreshes < now
      if (isOld || passed.last > now + aheadMs) this.#pass(key, { first: Math.min(passed.first, now), last: now })
      return { firstSeen: Math.min(passed.first, now), passed: true }
    }
    const first = this.#waiting.get(key)
    // Seen in the future: the clock was set back, and nobody is to wait until it has come as far again.
    if (first === undefined || first + waitMs < now || first > now + aheadMs) {
      this.#wait(key, now)
      return { firstSeen: now, passed: false }
    }
    if (now - first >= delaySeconds * 1000) this.#pass(key, { first, last: now })
    return { firstSeen: first, passed: false }
  }

  #wait(key: string, first: number): void {
    this.#waiting.delete(key)
    this.#waiting.set(key, first)
    shorten(this.#waiting, this.#max)
    this.#append(waitingLine(key, first))
  }

  #pass(key: string, passed: Passed): void {
    this.#waiting.delete(key)
    this.#passed.delete(key)
    this.#passed.set(key, passed)
    shorten(this.#passed, this.#max)
    this.#append(passedLine(key, passed))
  }

  /** Writes what is not written yet. */
  async close(): Promise<void> {
    clearTimeout(this.#timer)
    this.#flush()
    await this.#writing
    await this.#handle?.close()
    this.#handle = undefined
  }

  async #read(file: string): Promise<void> {
    const text = await readFile(file, 'latin1').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return ''
      throw error
    })
    const lines = text.split('\n')
    for (const [i, line] of lines.entries()) {
      this.#readLine(line.split(' '))
      if (i % chunk === chunk - 1) await yieldToOthers()
    }
  }

  #readLine([kind, key, one, two]: string[]): void {
    const first = Number(one)
    if (key === undefined || !Number.isSafeInteger(first)) return
    if (kind === 'w') {
      this.#waiting.delete(key)
      this.#waiting.set(key, first)
      shorten(this.#waiting, this.#max)
    }
    const last = Number(two)
    if (kind !== 'p' || !Number.isSafeInteger(last)) return
    this.#waiting.delete(key)
    this.#passed.delete(key)
    this.#passed.set(key, { first, last })
    shorten(this.#passed, this.#max)
  }

  #append(line: string): void {
    if (!this.#handle) return
    this.#unwritten.push(line)
    this.#timer ??= setTimeout(() => this.#flush(), flushMs)
  }

  #flush(): void {
    this.#timer = undefined
    if (this.#unwritten.length === 0) return
    this.#writing = this.#writing.then(() => this.#write()).catch(this.#trouble)
  }

  async #write(): Promise<void> {
    const lines = this.#unwritten
    this.#unwritten = []
    this.#lines += lines.length
    if (this.#handle) await writeAll(this.#handle, lines.join('')).catch((error) => this.#writeAnew(error))
    if (this.#file !== undefined && this.#lines > 4 * this.size + 10_000) await this.#rewrite(this.#file)
  }

  /** What the disk refused is still in memory: next time the whole file is written, so that no line follows a torn one. */
  #writeAnew(error: unknown): never {
    this.#lines = Infinity
    throw error
  }

  /** Writes the file again without what has expired. Changes that come meanwhile are appended after. */
  async #rewrite(file: string): Promise<void> {
    const next = await open(`${file}.new`, 'w', 0o600)
    this.#lines = 0
    try {
      await this.#copy(next, this.#passed, passedLine)
      await this.#copy(next, this.#waiting, waitingLine)
      await rename(`${file}.new`, file)
    } catch (error) {
      await next.close()
      await rm(`${file}.new`, { force: true })
      this.#writeAnew(error)
    }
    await this.#handle?.close()
    this.#handle = next
  }

  async #copy<V>(to: FileHandle, map: Map<string, V>, lineOf: (key: string, value: V) => string): Promise<void> {
    let lines: string[] = []
    const write = async () => {
      this.#lines += lines.length
      const text = lines.join('')
      lines = []
      if (text !== '') await writeAll(to, text)
    }
    for (const [key, value] of map) {
      lines.push(lineOf(key, value))
      if (lines.length === chunk) await write()
    }
    await write()
  }
}

/** A hash, so that a stolen file tells nobody's correspondence. */
function keyOf(ip: string, sender: string, recipient: string): string {
  return hash('sha256', `${networkOf(ip)} ${sender.toLowerCase()} ${recipient.toLowerCase()}`, 'base64url').slice(0, 22)
}

function waitingLine(key: string, first: number): string {
  return `w ${key} ${first}\n`
}

function passedLine(key: string, { first, last }: Passed): string {
  return `p ${key} ${first} ${last}\n`
}

function shorten(map: Map<string, unknown>, max: number): void {
  if (map.size > max) map.delete(map.keys().next().value as string)
}

function yieldToOthers(): Promise<void> {
  return new Promise((go) => setImmediate(go))
}
