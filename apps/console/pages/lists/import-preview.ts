import { describeIssues } from '@postern/contract/input-errors.ts'
import { type ListName, listInputSchemas } from '@postern/contract/lists.ts'

export type BadLine = { line: number; text: string; message: string }
export type Preview = { lines: number; bad: BadLine[]; checked: boolean }

/** Above this number of lines only the API checks, so that the page stays fast. */
const quickLines = 20_000
const shownBad = 200

/** Returns `csv` if the first line names a column `value` among others, else `text`. */
export function formatOf(text: string): 'text' | 'csv' {
  const head = /^\ufeff?([^\n]*)/.exec(text)?.[1] ?? ''
  const cells = head.split(head.includes(',') ? ',' : ';').map((cell) => cell.trim().replace(/"/g, ''))
  return cells.length > 1 && cells.includes('value') ? 'csv' : 'text'
}

/** Lists the lines of a pasted text that the contract refuses. Ignores empty lines and lines that begin with #. */
export function previewOf(list: ListName, text: string): Preview {
  const all = text.split('\n').map((line, i) => ({ line: i + 1, text: line.trim() }))
  const lines = all.filter((line) => line.text !== '' && !line.text.startsWith('#'))
  if (formatOf(text) === 'csv') return { lines: Math.max(0, lines.length - 1), bad: [], checked: false }
  if (lines.length > quickLines) return { lines: lines.length, bad: [], checked: false }
  const bad: BadLine[] = []
  for (const line of lines) {
    const input = { value: line.text }
    const result = listInputSchemas[list].safeParse(input)
    if (!result.success)
      for (const { message } of describeIssues(result.error, input, listInputSchemas[list]))
        bad.push({ ...line, message })
    if (bad.length >= shownBad) break
  }
  return { lines: lines.length, bad, checked: true }
}

/** Returns the text without these lines, in the same order. */
export function withoutLines(text: string, bad: readonly { line: number }[]): string {
  const gone = new Set(bad.map(({ line }) => line))
  return text
    .split('\n')
    .filter((_, i) => !gone.has(i + 1))
    .join('\n')
}
