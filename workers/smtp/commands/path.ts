import { embedded } from '@postern/contract/address.ts'

/** The argument of MAIL and RCPT (RFC 5321 §4.1.1.2, §4.1.1.3): `FROM:<path> KEY=value KEY`. */

export type PathArgument = {
  /** What stands between the angle brackets. */
  path: string
  /** In the order given, keys in upper case; `null` where there was no `=`. */
  parameters: readonly Parameter[]
}
export type Parameter = readonly [key: string, value: string | null]

const none: readonly Parameter[] = []
const keyPattern = /^[A-Za-z0-9][A-Za-z0-9-]*$/

/** Why it cannot be read. What is wrong with a parameter says nothing against the address. */
export type PathFault = { of: 'path' | 'parameters'; detail: string }

/**
 * Anything whose meaning is clear is taken: blanks and tabs about the colon and within the brackets, no brackets, two pairs,
 * a name before them. What a path holds is looked at by whoever reads it as an address; nothing is sent on as it came.
 */
export function readPath(argument: string, keyword: 'FROM:' | 'TO:'): PathArgument | PathFault {
  const { length } = keyword
  const isPlain = argument[length] === '<' && argument.slice(0, length).toUpperCase() === keyword
  const text = isPlain ? argument.slice(length) : afterKeyword(argument, keyword)
  if (text === null) return badPath(`expected ${keyword}<address>`)
  if (text[0] !== '<') return bare(text, keyword)
  const close = closing(text, 0)
  if (close === -1) return badPath('no closing angle bracket')
  const path = text.slice(1, close)
  if (path[0] === '<') return doubled(text)
  return readParameters(trimmed(path), text.slice(close + 1))
}

function badPath(detail: string): PathFault {
  return { of: 'path', detail }
}

/** What follows the colon, without a person's name before the brackets. */
function afterKeyword(argument: string, keyword: string): string | null {
  const [begin = '', word = ''] = /^([A-Za-z]+)[ \t]*:[ \t]*/.exec(argument) ?? []
  if (`${word.toUpperCase()}:` !== keyword) return null
  const text = argument.slice(begin.length)
  return /^(?:"[^"\\<>]*"[ \t]*|[^"\\<>@=:;,]*)(<.*)$/.exec(text)?.[1] ?? text
}

/** Without brackets the address ends at the first blank outside quotes. */
function bare(text: string, keyword: string): PathArgument | PathFault {
  const [path = ''] = /^(?:"(?:[^"\\]|\\.)*"|[^\s"<>])+/.exec(text) ?? []
  const rest = text.slice(path.length)
  if (path === '') return badPath(`expected ${keyword}<address>`)
  if (/^[<>"]/.test(rest)) return badPath('no opening angle bracket')
  return readParameters(path, rest)
}

/** `<<jane@example.org>>`. */
function doubled(text: string): PathArgument | PathFault {
  const close = closing(text, 1)
  if (text[close + 1] !== '>') return badPath('an angle bracket within the address')
  return readParameters(trimmed(text.slice(2, close)), text.slice(close + 2))
}

/** Without the blanks and tabs at its ends; no other white space is one here. */
export function trimmed(text: string): string {
  let from = 0
  let to = text.length
  while (from < to && isBlank(text[from])) from++
  while (to > from && isBlank(text[to - 1])) to--
  return to - from === text.length ? text : text.slice(from, to)
}

function isBlank(character: string | undefined): boolean {
  return character === ' ' || character === '\t'
}

/** The `>` that ends the path: a quoted local part may hold one (RFC 5321 §4.1.2). */
function closing(text: string, open: number): number {
  let at = open + 1
  while (isBlank(text[at])) at++
  if (text[at] !== '"') return text.indexOf('>', open)
  at++
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1
  return text.indexOf('>', at)
}

function readParameters(path: string, text: string): PathArgument | PathFault {
  if (text === '') return { path, parameters: none }
  const parameters: Parameter[] = []
  const seen = new Set<string>()
  for (const word of text.split(/[ \t]+/)) {
    if (word === '') continue
    const equals = word.indexOf('=')
    const name = equals === -1 ? word : word.slice(0, equals)
    if (!keyPattern.test(name)) return { of: 'parameters', detail: 'expected KEY or KEY=value' }
    const key = name.toUpperCase()
    if (seen.has(key)) return { of: 'parameters', detail: `${key} is given twice` }
    seen.add(key)
    parameters.push([key, equals === -1 ? null : word.slice(equals + 1)])
  }
  return { path, parameters }
}

/** RFC 3461 §4: `+2B` and printable ASCII without `+` and `=`. `null` when it is not xtext, or hides a control character. */
export function decodeXtext(text: string): string | null {
  if (!/^(?:[\x21-\x2a\x2c-\x3c\x3e-\x7e]|\+[0-9A-F]{2})*$/.test(text)) return null
  const decoded = text.replace(/\+([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return /^[\x20-\x7e]*$/.test(decoded) ? decoded : null
}

/** RFC 6533 §3: a character as its code point in hexadecimal. */
const codePoint = /\\x\{([0-9A-F]{2,6})\}/g

/**
 * An address of the type `utf-8` (RFC 6533 §3), as `\x{…}` where it is beyond ASCII: so it can stand in any report and be
 * handed on to any host. `raw`: UTF-8 may stand in it as it is. `null` when it is none, or hides a control character.
 */
export function readUtf8Address(text: string, raw: boolean): string | null {
  if (!/^[\x21-\x7e\u0080-\u{10ffff}]+$/u.test(text) || (!raw && /[^\x00-\x7f]/.test(text))) return null
  if (/[+=]/.test(text) || text.replace(codePoint, '').includes('\\')) return null
  const points = [...text.matchAll(codePoint)].map(([, hex = '']) => Number.parseInt(hex, 16))
  if (points.some((point) => point > 0x10ffff || (point >= 0xd800 && point < 0xe000) || isUnseen(point))) return null
  return embedded(text)
}

function isUnseen(point: number): boolean {
  return /[\p{Cc}\p{Z}]/u.test(String.fromCodePoint(point))
}
