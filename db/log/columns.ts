import type { EventRow } from '@postern/contract/events/row.ts'
import { eventTypeNames, rowOf } from '@postern/contract/events.ts'
import type { EventRange } from './file-names.ts'
import { sqlPaths, sqlText } from './sql.ts'

/**
 * The columns of the log: of the Parquet files, and of the batches that are not compacted yet. One row a column. `from`
 * makes it from `e`, the parsed event, `line`, its JSON, `recipients`, and `files`, which has what the name of the batch says.
 */

type Column = {
  type: 'TIMESTAMP_MS' | 'BIGINT' | 'INTEGER' | 'SMALLINT' | 'BOOLEAN' | 'VARCHAR' | 'VARCHAR[]'
  from: string
  /** Whether events can be counted by it. */
  countable?: true
}

/** What is read of an event, in one pass over its JSON. A field of another type is NULL. */
const eventStructure = {
  n: 'BIGINT',
  at: 'VARCHAR',
  type: 'VARCHAR',
  log: 'BOOLEAN',
  messageId: 'VARCHAR',
  sender: 'VARCHAR',
  recipient: 'VARCHAR',
  recipients: ['VARCHAR'],
  domain: 'VARCHAR',
  client: { ip: 'VARCHAR', login: 'VARCHAR' },
  address: 'VARCHAR',
  login: 'VARCHAR',
  verdict: { rule: 'VARCHAR', reason: 'VARCHAR', revision: 'INTEGER', reply: 'VARCHAR' },
  rule: 'VARCHAR',
  reason: 'VARCHAR',
  revision: 'INTEGER',
  reply: 'VARCHAR',
  status: 'VARCHAR',
  remote: { host: 'VARCHAR' },
  host: 'VARCHAR',
  durationMs: 'BIGINT',
  size: 'BIGINT',
  subject: 'VARCHAR',
}

const replyText = `coalesce(e.reply, e.verdict.reply)`
/**
 * Every recipient once, in lower case: `{address, original}` in an event of acceptance, else the address. NULL for an event
 * without.
 */
const recipients = `case when e.recipients is not null or e.recipient is not null then
  list_distinct(flatten(list_transform(list_append(e.recipients, e.recipient), lambda r: case
    when starts_with(r, '{') then [lower(json_extract_string(r, '$.address')), lower(json_extract_string(r, '$.original'))]
    else [lower(r)] end))) end`

/** A batch's lines begin with number, time and type; the type says where its fields begin. */
const headOf = `strpos(line, concat('"type":"', e."type", '"')) + length(e."type") + 9`
const fields = `case when starts_with(line, '{"n":') then concat('{', ltrim(substr(line, ${headOf}), ',')) else line end`

export const columns = {
  at: { type: 'TIMESTAMP_MS', from: `e."at"::timestamp_ms` },
  worker: { type: 'VARCHAR', from: 'files.worker', countable: true },
  log: { type: 'VARCHAR', from: 'files.log' },
  n: { type: 'BIGINT', from: 'n' },
  type: { type: 'VARCHAR', from: 'e."type"', countable: true },
  severity: { type: 'SMALLINT', from: byType((row) => row?.severity, 6), countable: true },
  level: { type: 'VARCHAR', from: byType((row) => row?.level, 'normal'), countable: true },
  /** Whether the logging settings had the event in the log. What they left out is kept for the trace of its message. */
  logged: { type: 'BOOLEAN', from: 'e.log is distinct from false' },
  message_id: { type: 'VARCHAR', from: 'e.messageId' },
  sender: { type: 'VARCHAR', from: 'lower(e.sender)', countable: true },
  recipient: { type: 'VARCHAR[]', from: 'recipients', countable: true },
  domain: {
    type: 'VARCHAR[]',
    from: `list_distinct(list_append(list_transform(recipients, lambda r: nullif(split_part(r, '@', -1), r)), lower(e.domain)))`,
    countable: true,
  },
  client_ip: { type: 'VARCHAR', from: 'coalesce(e.client.ip, e.address)', countable: true },
  login: { type: 'VARCHAR', from: 'coalesce(e.login, e.client.login)', countable: true },
  rule: { type: 'VARCHAR', from: 'coalesce(e.verdict.rule, e.rule)', countable: true },
  reason: { type: 'VARCHAR', from: 'coalesce(e.verdict.reason, e.reason)', countable: true },
  revision: { type: 'INTEGER', from: 'coalesce(e.verdict.revision, e.revision)', countable: true },
  reply_code: {
    type: 'SMALLINT',
    from: `try_cast(regexp_extract(${replyText}, '^[2-5][0-9][0-9]') as smallint)`,
    countable: true,
  },
  enhanced_code: {
    type: 'VARCHAR',
    from: String.raw`coalesce(nullif(regexp_extract(${replyText}, '^[2-5][0-9][0-9][ -]([245]\.[0-9]{1,3}\.[0-9]{1,3})', 1), ''), e.status)`,
    countable: true,
  },
  remote_host: { type: 'VARCHAR', from: 'coalesce(e.remote.host, e.host)', countable: true },
  duration_ms: { type: 'BIGINT', from: 'e.durationMs' },
  size: { type: 'BIGINT', from: 'e.size' },
  subject: { type: 'VARCHAR', from: 'e.subject' },
  /** The event's fields as JSON. */
  fields: { type: 'VARCHAR', from: fields },
} as const satisfies Record<string, Column>

export type ColumnName = keyof typeof columns
type Countable<T> = { [Name in keyof T]: T[Name] extends { countable: true } ? Name : never }[keyof T]
/** A column that events can be counted by. */
export type CountedColumn = Countable<typeof columns>

const rows: [string, Column][] = Object.entries(columns)
export const countedColumns = rows.filter(([, column]) => column.countable).map(([name]) => name) as CountedColumn[]

/** The columns, quoted: some of their names are words of SQL. */
export const columnList = rows.map(([name]) => `"${name}"`).join(', ')

/** Rows of a group in Parquet: few enough that a page of the newest events reads little, enough to compress. */
export const rowGroupSize = 16_384

/** A batch with an event that lacks one of them fails the query; reading it then tells that the batch is damaged or foreign. */
const required = new Set(['at', 'type'])

/** The longest line that is read: an event of acceptance with 50 000 recipients has some 4 MB. Few have a hundredth of it. */
export const maxLineBytes = 8_388_608
export const usualLineBytes = 1_048_576

/**
 * A line is one column: JSON has neither this delimiter nor what stands for a pair of backslashes below. DuckDB takes memory
 * for the longest line, in each thread, whether there is one or not.
 */
const lineReader = (lineBytes: number): string => `compression = 'zstd', filename = true, columns = {'text': 'VARCHAR'},
  header = false, auto_detect = false, delim = '\x01', quote = '', escape = '', comment = '',
  max_line_size = ${lineBytes}, buffer_size = ${2 * lineBytes}`

/** JSON.stringify writes half a surrogate pair, the end of a text that was cut, as an escape; for DuckDB that is not JSON. */
const wellFormed = String.raw`case when contains("text", '\ud')
  then replace(regexp_replace(replace("text", '\\', chr(2)), '\\ud[89a-f][0-9a-f]{2}', '�', 'g'), chr(2), '\\') else "text" end`

/** A batch's file on this machine, and what is read of it: some of the numbers that its name says. */
export type BatchPiece = { path: string; name: EventRange; first: number; last: number }

/**
 * Reads batches as rows of the log's columns, and `event`: JSON with the fields, and maybe with what other columns have. It
 * costs less than the fields alone.
 */
export function batchRows(pieces: readonly BatchPiece[], lineBytes = usualLineBytes): string {
  const list = rows.map(([name, { type, from }]) => {
    const value = required.has(name) ? `coalesce(${from}, error('an event without ${name}'))` : from
    return `(${value})::${type} as "${name}"`
  })
  const files = pieces.map(({ path, name, first, last }) => {
    const texts = [path, name.worker, name.log].map(sqlText)
    return `(${[...texts, name.first, name.last, first, last].join(', ')})`
  })
  const lines = `select filename, ${wellFormed} as line from read_csv(${sqlPaths([...new Set(pieces.map(({ path }) => path))])}, ${lineReader(lineBytes)})`
  const events = `select filename, line, json_transform(line, ${sqlText(JSON.stringify(eventStructure))}) as e from (${lines})`
  return `select ${list.join(', ')}, line as event
    from (select filename, line, e, e.n as n, ${recipients} as recipients from (${events})) events
    join (values ${files.join(', ')}) files(filename, worker, log, first, last, "from", upto) using (filename)
    where case when n between files."from" and files.upto then true when n between files.first and files.last then false
      else error('an event with another number than the name of its file says') end`
}

export function parquetRows(paths: string): string {
  return `select ${columnList}, fields as event from read_parquet(${paths})`
}

/**
 * A CASE over the event types of this version; the others, and those without a value, have `otherwise`. Each type is a branch:
 * of a list with IN DuckDB makes a join.
 */
function byType<T extends string | number>(
  columnOf: (row: EventRow | undefined) => T | undefined,
  otherwise: T,
): string {
  const literal = (value: T) => (typeof value === 'number' ? String(value) : sqlText(value))
  const branches = eventTypeNames.flatMap((type) => {
    const value = columnOf(rowOf(type)) ?? otherwise
    return value === otherwise ? [] : [`when ${sqlText(type)} then ${literal(value)}`]
  })
  return `case e."type" ${branches.join(' ')} else ${literal(otherwise)} end`
}
