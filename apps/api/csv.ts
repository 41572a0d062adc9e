/** Reads and writes CSV (RFC 4180), also as spreadsheets write it: with a byte order mark, and with semicolons. */

/**
 * A spreadsheet takes a cell that begins with one of these for a formula. An apostrophe before it makes it text; what begins
 * with both gets another one, so that reading takes back exactly what writing added.
 */
const formula = /^'*[-=+@\t\r]/

/**
 * Yields rows of cells. A quoted cell may hold separators, quotes and line ends. The first line tells whether commas or
 * semicolons separate the cells.
 */
export function* parseCsv(document: string): Generator<string[]> {
  const text = document.replace(/^\ufeff/, '')
  const firstLine = /^[^\r\n]*/.exec(text)?.[0] ?? ''
  const separator = firstLine.includes(';') && !firstLine.includes(',') ? ';' : ','
  let row: string[] = []
  let at = 0
  while (at < text.length) {
    const [cell, end] = text[at] === '"' ? quotedCell(text, at, separator) : plainCell(text, at, separator)
    row.push(cell.startsWith("'") && formula.test(cell) ? cell.slice(1) : cell)
    at = end
    if (text[at] === separator) {
      at++
      if (at === text.length) row.push('')
      continue
    }
    if (text[at] === '\r') at++
    if (text[at] === '\n') at++
    yield row
    row = []
  }
  if (row.length > 0) yield row
}

function quotedCell(text: string, from: number, separator: string): [string, number] {
  let cell = ''
  let at = from + 1
  for (;;) {
    const quote = text.indexOf('"', at)
    if (quote < 0) return [cell + text.slice(at), text.length]
    cell += text.slice(at, quote)
    if (text[quote + 1] !== '"') {
      const end = quote + 1
      const rest = plainCell(text, end, separator)
      return [cell + rest[0], rest[1]]
    }
    cell += '"'
    at = quote + 2
  }
}

function plainCell(text: string, from: number, separator: string): [string, number] {
  let at = from
  while (at < text.length && text[at] !== separator && text[at] !== '\n' && text[at] !== '\r') at++
  return [text.slice(from, at), at]
}

export function csvLine(cells: readonly (string | undefined)[]): string {
  return `${cells.map((cell = '') => quoted(formula.test(cell) ? `'${cell}` : cell)).join(',')}\r\n`
}

function quoted(cell: string): string {
  return /[",;\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell
}
