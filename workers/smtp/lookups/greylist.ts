import { hash } from 'node:crypto'
import { type FileHandle, open, readFile, rename, rm } from 'node:fs/promises'
import type { Lookups } from '@postern/contract/lookups.ts'
import { writeAll } from '@postern/runtime/disk.ts'
import { networkOf } from './address.ts'

/**
 * Which client networks, senders and recipients were seen together, and since when (RFC 6647). Kept in memory; what changes is
 * appended to a file of this worker, so that the next process knows it too. Neither grows without bound: of the many who never
 * come back the oldest are forgotten first, and they never push out those who did.
 */
export type Seen = Exclude<NonNullable<Lookups['greylist']>, 'not-known'>

export type Sight = { ip: string; sender: string; recipient: string; now: number }
export type Patience = { delaySeconds: number; rememberDays: number }

export type GreylistParts = {
  /** Without it nothing outlives the process. */
  file?: string
  /** For the operator: the file cannot be read or written. */
  trouble: (error: unknown) => void
  /** Of each kind, waiting and passed. */
  most?: number
}

const dayMs = 86_400_000
/** Whoever has not come back by then is new when it comes. */
const waitMs = 2 * dayMs
/** So often within what is remembered a pair that goes on writing is noted anew. */
const refreshes = 24
const flushMs = 200
/** Entries that are written in one go. */
const chunk = 5_000

type Passed = { first: number; last: number }

export class Greylist {
  readonly #waiting = new Map<string, number>()
  readonly #passed = new Map<string, Passed>()
  readonly #most: number
  readonly #file: string | undefined
  readonly #trouble: (error: unknown) => void
  #handle: FileHandle | undefined
  /** Lines in the file, also those that newer ones have replaced. */
  #lines = 0
  #unwritten: string[] = []
  #timer: NodeJS.Timeout | undefined
  #writing: Promise<void> = Promise.resolve()

  private constructor({ file, trouble, most = 100_000 }: GreylistParts) {
    this.#file = file
    this.#trouble = trouble
    this.#most = most
  }

  /** A file that cannot be read is told and begun anew; one that cannot be written is told and done without. */
  static async open(parts: GreylistParts): Promise<Greylist> {
    const greylist = new Greylist(parts)
    if (parts.file === undefined) return greylist
    await greylist.#read(parts.file).catch(parts.trouble)
    await greylist.#rewrite(parts.file).catch(parts.trouble)
    return greylist
  }

  get size(): number {
    return this.#waiting.size + this.#passed.size
  }

  /** Notes that they were seen now. @returns what was known of them before, with `firstSeen` now when that was nothing */
  see({ ip, sender, recipient, now }: Sight, { delaySeconds, rememberDays }: Patience): Seen {
    const key = keyOf(ip, sender, recipient)
    const passed = this.#passed.get(key)
    if (passed && passed.last + rememberDays * dayMs > now) {
      // Now and then is enough to be remembered, and spares the file a line for each message.
      if (passed.last + (rememberDays * dayMs) / refreshes < now) this.#pass(key, { first: passed.first, last: now })
      return { firstSeen: passed.first, passed: true }
    }
    const first = this.#waiting.get(key)
    if (first === undefined || first + waitMs < now) {
      this.#wait(key, now)
      return { firstSeen: now, passed: false }
    }
    if (now - first >= delaySeconds * 1000) this.#pass(key, { first, last: now })
    return { firstSeen: first, passed: false }
  }

  #wait(key: string, first: number): void {
    this.#waiting.delete(key)
    this.#waiting.set(key, first)
    shorten(this.#waiting, this.#most)
    this.#append(waitingLine(key, first))
  }

  #pass(key: string, passed: Passed): void {
    this.#waiting.delete(key)
    this.#passed.delete(key)
    this.#passed.set(key, passed)
    shorten(this.#passed, this.#most)
    this.#append(passedLine(key, passed))
  }

  /** What is not written yet is. */
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
      this.#recall(line.split(' '))
      if (i % chunk === chunk - 1) await breath()
    }
  }

  #recall([kind, key, one, two]: string[]): void {
    const first = Number(one)
    if (key === undefined || !Number.isSafeInteger(first)) return
    if (kind === 'w') {
      this.#waiting.delete(key)
      this.#waiting.set(key, first)
      shorten(this.#waiting, this.#most)
    }
    const last = Number(two)
    if (kind !== 'p' || !Number.isSafeInteger(last)) return
    this.#waiting.delete(key)
    this.#passed.delete(key)
    this.#passed.set(key, { first, last })
    shorten(this.#passed, this.#most)
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

  /** Whatever the disk refused is in memory: the next time everything is written, and no line is joined to a torn one. */
  #writeAnew(error: unknown): never {
    this.#lines = Infinity
    throw error
  }

  /** The file again, with nothing in it that is over. What comes meanwhile is appended after. */
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

/** Which network, whom from, whom to; not readable by who finds the file. */
function keyOf(ip: string, sender: string, recipient: string): string {
  return hash('sha256', `${networkOf(ip)} ${sender.toLowerCase()} ${recipient.toLowerCase()}`, 'base64url').slice(0, 22)
}

function waitingLine(key: string, first: number): string {
  return `w ${key} ${first}\n`
}

function passedLine(key: string, { first, last }: Passed): string {
  return `p ${key} ${first} ${last}\n`
}

function shorten(map: Map<string, unknown>, most: number): void {
  if (map.size > most) map.delete(map.keys().next().value as string)
}

function breath(): Promise<void> {
  return new Promise((go) => setImmediate(go))
}
