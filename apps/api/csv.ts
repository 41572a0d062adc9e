/** Reads and writes CSV (RFC 4180). */

/** Yields rows of cells. A quoted cell may hold commas, quotes and line ends. */
export function* parseCsv(text: string): Generator<string[]> {
  let row: string[] = []
  let at = 0
  while (at < text.length) {
    const [cell, end] = text[at] === '"' ? quotedCell(text, at) : plainCell(text, at)
    row.push(cell)
    at = end
    if (text[at] === ',') {
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

function quotedCell(text: string, from: number): [string, number] {
  let cell = ''
  let at = from + 1
  for (;;) {
    const quote = text.indexOf('"', at)
    if (quote < 0) return [cell + text.slice(at), text.length]
    cell += text.slice(at, quote)
    if (text[quote + 1] !== '"') {
      const end = quote + 1
      const rest = plainCell(text, end)
      return [cell + rest[0], rest[1]]
    }
    cell += '"'
    at = quote + 2
  }
}

function plainCell(text: string, from: number): [string, number] {
  let at = from
  while (at < text.length && text[at] !== ',' && text[at] !== '\n' && text[at] !== '\r') at++
  return [text.slice(from, at), at]
}

export function csvLine(cells: readonly (string | undefined)[]): string {
  return `${cells.map((cell = '') => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell)).join(',')}\r\n`
}
