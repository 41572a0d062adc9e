import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * For tests: a small libSQL server. Hrana over HTTP, JSON pipelines (version 2), on one SQLite file; a stream with an open
 * transaction keeps all others waiting, as a server that serialises writers does. A transaction that nobody continues is
 * rolled back, because its client may be frozen or gone.
 */
export type HranaServer = {
  url: string
  /** How many requests it got. */
  requests: number
  /** The only token it accepts; `undefined`: it asks for none. */
  authToken: string | undefined
  close(): Promise<void>
}

type Value = { type: string; value?: string | number; base64?: string }
type Statement = {
  sql?: string
  sql_id?: number
  args?: Value[]
  named_args?: { name: string; value: Value }[]
  want_rows?: boolean
}
type Condition = { type: string; step?: number; cond?: Condition; conds?: Condition[] }
type Request = {
  type: string
  sql_id?: number
  stmt?: Statement
  sql?: string
  batch?: { steps: { stmt: Statement; condition?: Condition }[] }
}
type StepError = { message: string; code: string }
type Stream = {
  baton: string
  database: DatabaseSync
  sql: Map<number, string>
  release?: () => void
  timer?: NodeJS.Timeout
}

/** libSQL waits five seconds; here, a busy machine must not decide a test. */
const transactionMs = 10_000

/** `roundTripMs`: how long each request takes at least. */
export async function startHranaServer(file: string, authToken?: string, roundTripMs = 0): Promise<HranaServer> {
  const streams = new Map<string, Stream>()
  let tail: Promise<void> = Promise.resolve()
  let batons = 0
  const own: HranaServer = { url: '', requests: 0, authToken, close: async () => {} }

  const lock = async (): Promise<() => void> => {
    const before = tail
    let release = () => {}
    tail = new Promise((resolve) => {
      release = resolve
    })
    await before
    return release
  }

  const pipeline = async (body: { baton: string | null; requests: Request[] }) => {
    const stream = body.baton ? streams.get(body.baton) : open(file, `b${++batons}`)
    if (!stream) return undefined
    clearTimeout(stream.timer)
    streams.set(stream.baton, stream)
    const isInTransaction = stream.release !== undefined
    const release = stream.release ?? (await lock())
    const results = body.requests.map((request) => {
      try {
        return { type: 'ok', response: answer(stream, request) }
      } catch (error) {
        return { type: 'error', error: errorOf(error) }
      }
    })
    const isClosed = body.requests.some(({ type }) => type === 'close')
    if (stream.database.isTransaction && !isClosed) {
      stream.release = release
      stream.timer = setTimeout(() => {
        stream.database.close()
        streams.delete(stream.baton)
        release()
      }, transactionMs)
    } else {
      delete stream.release
      release()
    }
    if (isClosed) {
      stream.database.close()
      streams.delete(stream.baton)
    }
    return { baton: isClosed ? null : stream.baton, base_url: null, results, was: isInTransaction }
  }

  const server = createServer(async (request, response) => {
    own.requests++
    if (roundTripMs > 0) await sleep(roundTripMs)
    const send = (status: number, body: unknown) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    if (own.authToken && request.headers.authorization !== `Bearer ${own.authToken}`)
      return send(401, { message: 'no' })
    if (request.url === '/v2') return send(200, {})
    if (request.url === '/v2/pipeline') {
      const results = await pipeline(JSON.parse(await read(request)) as never)
      return results ? send(200, results) : send(400, { message: 'The stream has expired', code: 'STREAM_EXPIRED' })
    }
    return send(404, {})
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  own.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  own.close = () => closeServer(server, streams)
  return own
}

function closeServer(server: Server, streams: Map<string, Stream>): Promise<void> {
  for (const { database, timer } of streams.values()) {
    clearTimeout(timer)
    database.close()
  }
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}

function open(file: string, baton: string): Stream {
  const database = new DatabaseSync(file)
  database.exec('pragma journal_mode = wal')
  return { baton, database, sql: new Map() }
}

function answer(stream: Stream, request: Request): unknown {
  const { database, sql } = stream
  switch (request.type) {
    case 'store_sql':
      sql.set(request.sql_id ?? 0, request.sql ?? '')
      return { type: 'store_sql' }
    case 'close_sql':
      sql.delete(request.sql_id ?? 0)
      return { type: 'close_sql' }
    case 'execute':
      return { type: 'execute', result: execute(stream, request.stmt ?? {}) }
    case 'sequence':
      database.exec(request.sql ?? '')
      return { type: 'sequence' }
    case 'batch':
      return { type: 'batch', result: batch(stream, request) }
    case 'get_autocommit':
      return { type: 'get_autocommit', is_autocommit: !database.isTransaction }
    case 'close':
      return { type: 'close' }
    default:
      throw new Error(`${request.type} is not spoken here`)
  }
}

function batch(stream: Stream, request: Request) {
  const { database } = stream
  const results: unknown[] = []
  const errors: (StepError | null)[] = []
  const holds = (condition: Condition | undefined): boolean => {
    if (!condition) return true
    const step = condition.step ?? 0
    switch (condition.type) {
      case 'ok':
        return results[step] !== null && results[step] !== undefined
      case 'error':
        return errors[step] !== null && errors[step] !== undefined
      case 'not':
        return !holds(condition.cond)
      case 'and':
        return (condition.conds ?? []).every(holds)
      case 'or':
        return (condition.conds ?? []).some(holds)
      default:
        return !database.isTransaction
    }
  }
  for (const { stmt, condition } of request.batch?.steps ?? []) {
    let result: unknown = null
    let error: StepError | null = null
    try {
      if (holds(condition)) result = execute(stream, stmt)
    } catch (thrown) {
      error = errorOf(thrown)
    }
    results.push(result)
    errors.push(error)
  }
  return { step_results: results, step_errors: errors }
}

function execute({ database, sql: stored }: Stream, { sql, sql_id, args = [], named_args = [] }: Statement) {
  const statement = database.prepare(sql ?? stored.get(sql_id ?? 0) ?? '')
  statement.setReadBigInts(true)
  statement.setReturnArrays(true)
  const named = Object.fromEntries(named_args.map(({ name, value }) => [name, inputOf(value)]))
  const given = args.map(inputOf)
  const columns = statement.columns().map(({ name, type }) => ({ name, decltype: type ?? null }))
  if (columns.length === 0) {
    const { changes, lastInsertRowid } = statement.run(named, ...given)
    return { cols: [], rows: [], affected_row_count: Number(changes), last_insert_rowid: String(lastInsertRowid) }
  }
  const rows = statement.all(named, ...given) as unknown as unknown[][]
  return { cols: columns, rows: rows.map((row) => row.map(toValue)), affected_row_count: 0, last_insert_rowid: null }
}

function inputOf({ type, value, base64 }: Value): SQLInputValue {
  switch (type) {
    case 'null':
      return null
    case 'integer':
      return BigInt(value ?? 0)
    case 'blob':
      return Buffer.from(base64 ?? '', 'base64')
    default:
      return value ?? null
  }
}

function toValue(value: unknown): Value {
  if (value === null) return { type: 'null' }
  if (typeof value === 'bigint') return { type: 'integer', value: String(value) }
  if (typeof value === 'number') return { type: 'float', value }
  if (value instanceof Uint8Array) return { type: 'blob', base64: Buffer.from(value).toString('base64') }
  return { type: 'text', value: String(value) }
}

function errorOf(error: unknown): StepError {
  const { errstr, message } = error as { errstr?: string; message: string }
  return { message, code: errstr?.includes('locked') ? 'SQLITE_BUSY' : 'SQLITE_ERROR' }
}

async function read(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('utf8')
}
