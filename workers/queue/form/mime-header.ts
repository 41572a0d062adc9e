import { longestLine } from './long-lines.ts'

/** What a converter has to know of an entity's header, and what it changes in it (RFC 2045). Text is latin1, lines end in CRLF. */

/** `kind`: lower case, `type/subtype`. `encoding`: of its body, lower case. */
export type EntityHeader = { kind: string; boundary: string | undefined; encoding: string }

/** `usual`: what an entity is that does not say. */
export function readHeader(text: string, usual: string): EntityHeader {
  const fields = text.replace(/\r\n(?=[ \t])/g, '').split('\r\n')
  const type = field(fields, 'content-type')
  return {
    kind: (type?.split(';')[0] ?? usual).trim().toLowerCase() || usual,
    boundary: boundaryIn(type ?? ''),
    encoding: (field(fields, 'content-transfer-encoding') ?? '7bit')
      .replace(/\(.*?\)/g, '')
      .trim()
      .toLowerCase(),
  }
}

export function isMime(text: string): boolean {
  return /^(mime-version|content-type)[ \t]*:/im.test(text)
}

function field(fields: readonly string[], name: string): string | undefined {
  const found = fields.find(
    (line) =>
      line
        .slice(0, Math.max(0, line.indexOf(':')))
        .trim()
        .toLowerCase() === name,
  )
  return found?.slice(found.indexOf(':') + 1)
}

/** RFC 2046 §5.1.1: at most 70 bytes; more are understood. */
const longestBoundary = 250

function boundaryIn(type: string): string | undefined {
  const found = /;\s*boundary\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;]+))/i.exec(type)
  const name = (found?.[1]?.replace(/\\(.)/g, '$1') ?? found?.[2] ?? '').trimEnd()
  return name === '' || name.length > longestBoundary ? undefined : name
}

const encodingField = /^content-transfer-encoding[ \t]*:.*\r\n(?:[ \t].*\r\n)*/gim

export function withEncoding(header: string, encoding: string): string {
  return `${header.replace(encodingField, '')}Content-Transfer-Encoding: ${encoding}\r\n`
}

/** Text of which nobody said what it is: `unknown-8bit` (RFC 1428 §3) where it is not ASCII. */
export function asUnknownText(header: string, charset: 'unknown-8bit' | 'us-ascii'): string {
  return `${header.replace(/^content-[a-z-]+[ \t]*:.*\r\n(?:[ \t].*\r\n)*/gim, '')}MIME-Version: 1.0\r\nContent-Type: text/plain; charset=${charset}\r\nContent-Transfer-Encoding: quoted-printable\r\n`
}

/** Lines that are too long are folded at white space (RFC 5322 §2.2.3); where there is none they stay. */
export function folded(header: string): string {
  return header.split('\r\n').flatMap(foldedLine).join('\r\n')
}

function foldedLine(line: string): string[] {
  const lines: string[] = []
  let rest = line
  while (rest.length > longestLine) {
    const at = foldIn(rest)
    if (at === -1) break
    lines.push(rest.slice(0, at))
    rest = rest.slice(at)
  }
  return [...lines, rest]
}

/** The last white space before which a line is short enough, else the first one; never so that one of both is blank. */
function foldIn(line: string): number {
  const first = line.search(/[^ \t]/)
  const last = line.trimEnd().length
  for (let at = longestLine; at > first && first !== -1; at--) if (at < last && isBlank(line[at])) return at
  for (let at = longestLine + 1; at < last; at++) if (isBlank(line[at])) return at
  return -1
}

function isBlank(character: string | undefined): boolean {
  return character === ' ' || character === '\t'
}
