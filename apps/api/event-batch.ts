import { recorderOf } from '@postern/contract/events.ts'
import type { ServiceName } from '@postern/contract/services.ts'
import { hourOf } from '@postern/log/file-names.ts'
import { invalid, ProblemError } from './problem.ts'
import { headPattern, type SentEvent } from './sent-event.ts'

/** The numbers that a batch claims to have, and the service whose events it may hold. */
type Claim = { first: number; last: number; service: ServiceName }

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)
const [newline, quote, backslash, closingBrace] = bytesOf('\n"\\}') as unknown as [number, number, number, number]
const beforeNumber = bytesOf('{"n":')
const beforeTime = bytesOf(',"at":"')
const beforeType = bytesOf('","type":"')
/** The length of `2026-11-30T09`, and of a whole time. */
const hourBytes = 13
const timeBytes = 24
const maxTypeBytes = 100

/**
 * Checks the lines of a batch without parsing them: each begins with number, time and type, in this order, as
 * JSON.stringify writes them. Refuses a batch whose numbers are not `first` to `last` in order, whose events are not from
 * one UTC hour, or that holds an event of another service. Events of unknown types are accepted.
 */
export class BatchChecker {
  readonly #claim: Claim
  #next: number
  /** The hour of the first event as text, and its beginning in milliseconds since the epoch. */
  #hour: { text: Uint8Array; at: number } | undefined
  /** Types that were found to be allowed. A batch has few. */
  readonly #types: Uint8Array[] = []

  constructor(claim: Claim) {
    this.#claim = claim
    this.#next = claim.first
  }

  /** Takes the next lines. The last one ends with a line feed. */
  take(lines: Uint8Array): void {
    for (let from = 0; from < lines.length; ) {
      const end = lines.indexOf(newline, from)
      if (end < 0) throw refused('the last line does not end')
      if (this.#next <= this.#claim.last && !this.#isSound(lines, from, end)) this.#refuse(lines.subarray(from, end))
      this.#next++
      from = end + 1
    }
    refuseHalfCharacters(lines)
  }

  /** @returns the beginning of the hour of all events in milliseconds since the epoch */
  end(): number {
    const { first, last } = this.#claim
    if (this.#next !== last + 1)
      throw refused(`there are ${this.#next - first} events, but numbers ${first} to ${last} make ${last - first + 1}`)
    return this.#hour?.at ?? 0
  }

  #isSound(lines: Uint8Array, from: number, end: number): boolean {
    if (!startsWith(lines, beforeNumber, from) || lines[end - 1] !== closingBrace) return false
    const number = digitsFrom(lines, from + beforeNumber.length)
    if (number.value !== this.#next || !startsWith(lines, beforeTime, number.end)) return false
    const time = number.end + beforeTime.length
    if (!this.#isTime(lines, time) || !startsWith(lines, beforeType, time + timeBytes)) return false
    return this.#isType(lines, time + timeBytes + beforeType.length, end)
  }

  #isTime(lines: Uint8Array, at: number): boolean {
    if (!this.#hour) {
      const { text, ms } = timeAt(lines, at)
      if (Number.isNaN(ms)) return false
      this.#hour = { text: bytesOf(text.slice(0, hourBytes)), at: hourOf(ms) }
    }
    return startsWith(lines, this.#hour.text, at) && isRestOfTime(lines, at + hourBytes)
  }

  #isType(lines: Uint8Array, from: number, end: number): boolean {
    for (const type of this.#types)
      if (lines[from + type.length] === quote && startsWith(lines, type, from)) return true
    const to = lines.indexOf(quote, from)
    if (to <= from || to >= end || to - from > maxTypeBytes) return false
    const bytes = lines.slice(from, to)
    if (bytes.includes(backslash)) return false
    const type = new TextDecoder().decode(bytes)
    const { service } = this.#claim
    if ((recorderOf(type) ?? service) !== service)
      throw new ProblemError(
        403,
        `Event ${this.#next} is ${type}, which only the service ${recorderOf(type)} records. This worker is enrolled for ${service}.`,
      )
    this.#types.push(bytes)
    return true
  }

  /** Finds out what is wrong with a line. */
  #refuse(line: Uint8Array): never {
    const n = this.#next
    const { at } = parsedLine(new TextDecoder().decode(line), n)
    const hour = this.#hour && new TextDecoder().decode(this.#hour.text)
    if (hour !== undefined && !at.startsWith(hour))
      throw refused(`the events are from more than one hour: ${hour}, ${at.slice(0, hourBytes)}`)
    throw refused(`event ${n} does not begin with number, time and type, in this order and without spaces`)
  }
}

function startsWith(lines: Uint8Array, wanted: Uint8Array, at: number): boolean {
  for (let i = 0; i < wanted.length; i++) if (lines[at + i] !== wanted[i]) return false
  return true
}

const isDigit = (byte: number | undefined, highest = 9): boolean =>
  byte !== undefined && byte >= 0x30 && byte <= 0x30 + highest

/** Reads a decimal number without leading zeros; 0 if there is none. */
function digitsFrom(lines: Uint8Array, from: number): { value: number; end: number } {
  let value = 0
  let end = from
  for (; isDigit(lines[end]); end++) value = value * 10 + (lines[end] as number) - 0x30
  return { value: lines[from] === 0x30 ? 0 : value, end }
}

const timePattern = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

function timeAt(lines: Uint8Array, at: number): { text: string; ms: number } {
  const text = new TextDecoder().decode(lines.subarray(at, at + timeBytes))
  return { text, ms: timePattern.test(text) ? Date.parse(text) : Number.NaN }
}

/** Whether the bytes are like `:59:59.999Z`. */
function isRestOfTime(lines: Uint8Array, at: number): boolean {
  return (
    lines[at] === 0x3a &&
    isDigit(lines[at + 1], 5) &&
    isDigit(lines[at + 2]) &&
    lines[at + 3] === 0x3a &&
    isDigit(lines[at + 4], 5) &&
    isDigit(lines[at + 5]) &&
    lines[at + 6] === 0x2e &&
    isDigit(lines[at + 7]) &&
    isDigit(lines[at + 8]) &&
    isDigit(lines[at + 9]) &&
    lines[at + 10] === 0x5a
  )
}

function parsedLine(line: string, n: number): SentEvent {
  let event: SentEvent
  try {
    event = JSON.parse(line) as SentEvent
  } catch {
    throw refused(`event ${n} is not JSON`)
  }
  if (event?.n !== n) throw refused(`event ${n} has the number ${JSON.stringify(event?.n)?.slice(0, 40)}`)
  if (typeof event.at !== 'string' || !timePattern.test(event.at) || Number.isNaN(Date.parse(event.at)))
    throw refused(
      `event ${n} has the time ${JSON.stringify(event.at)?.slice(0, 40)}, not one like 2026-11-30T09:00:00.000Z`,
    )
  if (typeof event.type !== 'string' || event.type.length < 1 || event.type.length > maxTypeBytes)
    throw refused(`event ${n} has no type`)
  return event
}

/**
 * Refuses lines with half of a surrogate pair, as JSON.stringify escapes it: the engines that read the log refuse it. Few
 * lines have an escape of a surrogate at all.
 */
function refuseHalfCharacters(lines: Uint8Array): void {
  for (let at = lines.indexOf(backslash); at >= 0; at = lines.indexOf(backslash, at + 2)) {
    if (lines[at + 1] !== 0x75 || ((lines[at + 2] ?? 0) | 0x20) !== 0x64) continue
    const end = lines.indexOf(newline, at)
    const line = new TextDecoder().decode(lines.subarray(lines.lastIndexOf(newline, at) + 1, end))
    if (hasHalfCharacter(line)) throw refused(`event ${headPattern.exec(line)?.[1]} contains an unpaired surrogate`)
    at = end
  }
}

function hasHalfCharacter(line: string): boolean {
  let found = false
  try {
    JSON.parse(line, (key, value: unknown) => {
      if (!key.isWellFormed() || (typeof value === 'string' && !value.isWellFormed())) found = true
      return value
    })
  } catch {
    return true
  }
  return found
}

const refused = (message: string) => invalid([{ path: 'body', message: `The batch is not valid: ${message}` }])
