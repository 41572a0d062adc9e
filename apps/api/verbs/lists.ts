import { describeIssues } from '@postern/contract/input-errors.ts'
import { type ListEntry, type ListInput, type ListName, listInputSchemas } from '@postern/contract/lists.ts'
import type { ListEntryView, WriteResult } from '@postern/contract/views.ts'
import type { ChangeSet } from '@postern/store/control/change-set.ts'
import { headRevision } from '@postern/store/control/revisions.ts'
import { expiredAmong, listRows, type StoredJson } from '@postern/store/control/rows.ts'
import { yieldToEventLoop } from '@postern/store/database.ts'
import { csvLine, parseCsv } from '../csv.ts'
import { afterCursor, iso, type PageQuery, pageOf } from '../pagination.ts'
import { type FieldError, invalid, notFound } from '../problem.ts'
import { type Call, writeRevision } from '../write-revision.ts'

const pageRows = 500
const maxBadLines = 1000
const maxLines = 1_000_000
const columns = ['value', 'action', 'comment', 'expiresAt', 'reason'] as const

export async function readList({ parts }: Call, list: ListName, { limit, cursor, q }: PageQuery) {
  const found = await listRows(parts.control, list, { limit: limit + 1, after: afterCursor(cursor), q })
  return {
    ...pageOf(found, { limit, key: ({ key }) => key, view: entryView }),
    revision: await headRevision(parts.control),
  }
}

function entryView({ id, value }: StoredJson): ListEntryView {
  return { id, ...(JSON.parse(value) as ListEntry) }
}

export function addEntry(call: Call, list: ListName, input: unknown): Promise<WriteResult> {
  const schema = listInputSchemas[list]
  const result = schema.safeParse(input)
  if (!result.success) throw invalid(describeIssues(result.error, input, schema))
  const value = stored(call, result.data)
  return writeRevision(call, { action: `${list}.add`, kind: list, entity: value.value }, async (changeSet) => {
    const id = call.parts.newId()
    await makeRoom(changeSet, { list, values: [value.value], now: call.parts.now() })
    await changeSet.put(list, id, value)
    return { answer: { id, item: { id, ...value } } }
  })
}

/**
 * Removes expired entries that the sweeper has not removed yet, so that they do not block new entries with the same
 * value.
 */
export async function makeRoom(
  changeSet: ChangeSet,
  { list, values, now }: { list: ListName; values: readonly string[]; now: number },
): Promise<void> {
  for (const { id } of await expiredAmong(changeSet.queries, list, { keys: values, now }))
    await changeSet.remove(list, id)
}

export function removeEntry(call: Call, list: ListName, id: string): Promise<WriteResult> {
  return writeRevision(call, { action: `${list}.remove` }, async (changeSet) => {
    if (!(await changeSet.remove(list, id))) throw notFound(`entry ${id} in the list ${list}`)
    return {}
  })
}

/** Returns the entry to store. Refuses an entry that has already expired, because it would have no effect. */
export function stored({ parts, who }: Pick<Call, 'parts' | 'who'>, input: ListInput): ListEntry {
  const now = parts.now()
  const { value, action, comment, expiresAt, reason, evidence } = input
  if (expiresAt !== undefined && Date.parse(expiresAt) <= now)
    throw invalid([{ path: 'expiresAt', message: `expiresAt is "${expiresAt}" but must be in the future` }])
  return {
    value,
    ...(action === undefined ? {} : { action }),
    ...(comment === undefined ? {} : { comment }),
    ...(expiresAt === undefined ? {} : { expiresAt: iso(Date.parse(expiresAt)) }),
    ...(reason === undefined ? {} : { reason }),
    ...(evidence === undefined ? {} : { evidence }),
    createdBy: who.actor,
    createdAt: iso(now),
  }
}

type Line = { number: number; input: Record<string, string> }

/**
 * Adds every line or none. Reports bad lines by number and skips values that already exist. Works in slices, so that
 * the API keeps answering during an import of a million lines.
 */
export async function importEntries(
  call: Call,
  list: ListName,
  text: string,
  format: 'text' | 'csv',
): Promise<WriteResult> {
  const entries = await readLines(call, list, format === 'csv' ? csvLines(text) : textLines(text))
  const about = { action: `${list}.import`, kind: list, entity: `${entries.length} lines` }
  return writeRevision(call, about, async (changeSet) => {
    let added = 0
    for (let from = 0; from < entries.length; from += pageRows) {
      const some = entries
        .slice(from, from + pageRows)
        .map((value) => ({ id: call.parts.newId(), value: value as Stored }))
      await makeRoom(changeSet, { list, values: some.map(({ value }) => value.value), now: call.parts.now() })
      added += await changeSet.addEntries(list, some)
      await yieldToEventLoop()
    }
    return { answer: { lines: entries.length, added, unchanged: entries.length - added } }
  })
}

type Stored = ListEntry & { expiresAt?: string }

async function readLines(call: Call, list: ListName, lines: Generator<Line>): Promise<ListEntry[]> {
  const schema = listInputSchemas[list]
  const entries: ListEntry[] = []
  const bad: FieldError[] = []
  let count = 0
  for (const { number, input } of lines) {
    if (++count % 2000 === 0) await yieldToEventLoop()
    if (count > maxLines)
      throw invalid([{ path: `line ${number}`, message: `an import may have at most ${maxLines} lines` }])
    const result = schema.safeParse(input)
    if (result.success)
      try {
        entries.push(stored(call, result.data))
        continue
      } catch (error) {
        bad.push({ path: `line ${number}`, message: (error as Error).message })
      }
    else
      bad.push(
        ...describeIssues(result.error, input, schema).map(({ message }) => ({ path: `line ${number}`, message })),
      )
    if (bad.length >= maxBadLines) break
  }
  if (bad.length > 0) throw invalid(bad)
  return entries
}

/** Reads one value per line. Skips empty lines and lines that begin with #. */
function* textLines(text: string): Generator<Line> {
  let number = 0
  for (let from = 0; from < text.length; ) {
    const end = text.indexOf('\n', from)
    // A byte order mark is white space, so trim() removes it.
    const line = text.slice(from, end < 0 ? text.length : end).trim()
    from = end < 0 ? text.length : end + 1
    number++
    if (line !== '' && !line.startsWith('#')) yield { number, input: { value: line } }
  }
}

/** Reads CSV with a header line that names the columns. Without a header, the first cell is the value. */
function* csvLines(text: string): Generator<Line> {
  let head: string[] | undefined
  let number = 0
  for (const cells of parseCsv(text)) {
    number++
    if (cells.every((cell) => cell.trim() === '')) continue
    if (!head) {
      head = cells.some((cell) => cell.trim() === 'value') ? cells.map((cell) => cell.trim()) : [...columns]
      if (cells.some((cell) => cell.trim() === 'value')) continue
    }
    const filled = cells
      .map((cell, i) => [head?.[i] ?? `column ${i + 1}`, cell.trim()] as const)
      .filter(([, cell]) => cell !== '')
    const known = filled.filter(([name]) => name !== 'createdBy' && name !== 'createdAt')
    yield { number, input: Object.fromEntries(known) }
  }
}

/** Streams the whole list. */
export function exportList({ parts }: Call, list: ListName, format: 'text' | 'csv'): Response {
  const encoder = new TextEncoder()
  const head = [...columns, 'createdBy', 'createdAt'] as const
  let after = ''
  let isFirst = true
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const found = await listRows(parts.control, list, { limit: pageRows, after })
      const entries = found.map(({ value }) => JSON.parse(value) as ListEntry)
      const text = entries
        .map((entry) => (format === 'csv' ? csvLine(head.map((name) => entry[name])) : `${entry.value}\n`))
        .join('')
      controller.enqueue(encoder.encode((isFirst && format === 'csv' ? csvLine(head) : '') + text))
      isFirst = false
      after = found.at(-1)?.key ?? after
      if (found.length < pageRows) controller.close()
      else await yieldToEventLoop()
    },
  })
  const headers = {
    'content-type': format === 'csv' ? 'text/csv; charset=utf-8' : 'text/plain; charset=utf-8',
    'content-disposition': `attachment; filename="${list}.${format === 'csv' ? 'csv' : 'txt'}"`,
    'cache-control': 'no-store',
  }
  return new Response(body, { headers })
}
