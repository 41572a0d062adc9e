import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, open, readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { makeDirectory, replaceWith, syncDirectory, writeAll } from './disk.ts'

/**
 * Events on the worker's disk: one event for each line, in files named after their first number. The file `log` names the
 * log that the numbers belong to.
 */
export class EventFiles {
  readonly #directory: string
  #files: EventFile[] = []
  #current: FileHandle | undefined
  #currentLines = 0
  #isDirectoryDirty = true
  #log: Log | undefined
  #last = 0
  #recovered = 0

  private constructor(directory: string) {
    this.#directory = directory
  }

  /**
   * Opens the directory and finds the events of an earlier process. A directory without a log begins a new one.
   * `found` is called with each event in the two newest files.
   */
  static async open(directory: string, found: (line: EventLine) => void): Promise<EventFiles> {
    await makeDirectory(directory)
    const files = new EventFiles(directory)
    files.#log = await savedLog(join(directory, logName))
    await files.#recover(found)
    if (!files.#log) await files.beginLog(files.oldest ?? 1)
    return files
  }

  async #recover(found: (line: EventLine) => void): Promise<void> {
    const names = (await readdir(this.#directory)).filter((name) => namePattern.test(name)).sort()
    for (const name of names) {
      const { size } = await stat(join(this.#directory, name))
      this.#files.push({ first: Number(name.slice(0, digits)), bytes: size })
    }
    // A crash may have left the newest file with nothing but an incomplete line.
    for (const file of this.#files.slice(-2)) {
      const lines = await this.#read(file)
      lines.forEach(found)
      this.#last = Math.max(this.#last, lines.at(-1)?.n ?? file.first - 1)
    }
    this.#recovered = this.#last
  }

  /** Names the log that the numbers belong to. */
  get id(): string {
    return this.#log?.id ?? ''
  }

  /** The highest number on disk; 0 if there is none. */
  get last(): number {
    return this.#last
  }

  /** The highest number that an earlier process left on disk. */
  get recovered(): number {
    return this.#recovered
  }

  /** The lowest number of the log that may be on disk; `undefined` if there are no files. */
  get oldest(): number | undefined {
    const [oldest] = this.#files
    return oldest && Math.max(oldest.first, this.#log?.first ?? 1)
  }

  /** Begins a new log, durably. Lines below `first` do not belong to it. */
  async beginLog(first: number): Promise<void> {
    const id = randomBytes(6).toString('hex')
    await replaceWith(join(this.#directory, logName), `${id} ${first}\n`)
    this.#log = { id, first }
  }

  /** Appends all of these lines or none. Rejects if the disk refuses. */
  async append(lines: readonly EventLine[]): Promise<void> {
    if (!this.#current || this.#currentLines >= linesPerFile) await this.#roll(lines[0]?.n ?? this.#last + 1)
    const current = this.#current as FileHandle
    const file = this.#files.at(-1) as EventFile
    const text = Buffer.from(`${lines.map((line) => line.text).join('\n')}\n`)
    try {
      await writeAll(current, text)
    } catch (error) {
      // The next line must not be joined to an incomplete one.
      await current.truncate(file.bytes).catch(() => this.#leave())
      throw error
    }
    this.#currentLines += lines.length
    file.bytes += text.length
    this.#last = lines.at(-1)?.n ?? this.#last
  }

  async #roll(first: number): Promise<void> {
    await this.#current?.datasync()
    await this.#leave()
    // A file with this name can only hold the incomplete first line of a killed process.
    this.#current = await open(this.#path(first), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0o600)
    this.#isDirectoryDirty = true
    this.#currentLines = 0
    if (this.#files.at(-1)?.first === first) this.#files.pop()
    this.#files.push({ first, bytes: 0 })
  }

  /**
   * Returns the lines of one file from a number on, without those that the disk has damaged: one of them would make a
   * whole batch unreadable. `next` is where the next file begins; `undefined` after the newest file.
   */
  async readFrom(n: number): Promise<{ lines: EventLine[]; damaged: number; next: number | undefined }> {
    const from = Math.max(n, this.#log?.first ?? 1)
    const file = this.#files.findLast(({ first }) => first <= from) ?? this.#files[0]
    if (!file) return { lines: [], damaged: 0, next: undefined }
    const found = (await this.#read(file)).filter((line) => line.n >= from)
    const lines = found.filter(({ text }) => isJson(text))
    return { lines, damaged: found.length - lines.length, next: this.#files[this.#files.indexOf(file) + 1]?.first }
  }

  /** Removes files without a number above `n`. Keeps the newest file, so that the numbers are not lost. */
  async removeUpTo(n: number): Promise<void> {
    while (this.#files.length > 1 && (this.#files[1]?.first ?? Infinity) - 1 <= n) await this.#removeOldest()
  }

  /** Removes the oldest files until the rest fits. @returns the lowest number that is left, if one was removed */
  async keepBelow(maxBytes: number): Promise<number | undefined> {
    let left: number | undefined
    while (this.#files.length > 1 && this.#files.reduce((sum, { bytes }) => sum + bytes, 0) > maxBytes) {
      await this.#removeOldest()
      left = this.#files[0]?.first
    }
    return left
  }

  async #removeOldest(): Promise<void> {
    const oldest = this.#files.shift()
    if (oldest) await rm(this.#path(oldest.first), { force: true })
  }

  /** Resolves when all appended lines survive a crash of the machine. */
  async sync(): Promise<void> {
    await this.#current?.datasync()
    if (!this.#isDirectoryDirty) return
    await syncDirectory(this.#directory)
    this.#isDirectoryDirty = false
  }

  close(): Promise<void> {
    return this.#leave()
  }

  async #leave(): Promise<void> {
    const left = this.#current
    this.#current = undefined
    await left?.close()
  }

  async #read({ first }: EventFile): Promise<EventLine[]> {
    return linesIn(await readFile(this.#path(first), 'utf8'))
  }

  #path(first: number): string {
    return join(this.#directory, `${String(first).padStart(digits, '0')}.ndjson`)
  }
}

/** An event as JSON, its number, and the UTC hour in which it happened, e.g. `2026-11-30T19`. */
export type EventLine = { n: number; hour: string; text: string }

type EventFile = { first: number; bytes: number }

/** `first`: its lowest number. */
type Log = { id: string; first: number }

const { O_APPEND, O_CREAT, O_TRUNC, O_WRONLY } = constants
const logName = 'log'
const logPattern = /^([0-9a-f]{12}) (\d{1,15})\n$/
const digits = 15
const namePattern = /^\d{15}\.ndjson$/
const linesPerFile = 20_000
const headPattern = /^\{"n":(\d+),"at":"([^"]{13})/

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/** Returns complete lines with a number, without a last line that a crash cut off. */
function linesIn(text: string): EventLine[] {
  const lines: EventLine[] = []
  for (const line of text.split('\n')) {
    const head = headPattern.exec(line)
    if (head && line.endsWith('}')) lines.push({ n: Number(head[1]), hour: head[2] as string, text: line })
  }
  return lines
}

async function savedLog(path: string): Promise<Log | undefined> {
  try {
    const saved = logPattern.exec(await readFile(path, 'utf8'))
    return saved ? { id: saved[1] as string, first: Number(saved[2]) } : undefined
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return undefined
  }
}
