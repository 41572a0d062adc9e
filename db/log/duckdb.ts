import type { DuckDBConnection, DuckDBInstance, DuckDBValue } from '@duckdb/node-api'

/** Values of `$name` in the SQL. Texts from outside come only here. */
export type Values = Record<string, DuckDBValue>
export type Row = Record<string, unknown>

export type DuckDBOptions = {
  /** Where sorts and groups go that memory does not hold. */
  temporary: string
  /** Of its buffers, as DuckDB writes it: `128MB`. */
  memory: string
  /** What a query gets for a second try when that was too little. */
  moreMemory: string
  threads: number
  /** How many queries run at once; others wait. Each occupies one thread of libuv, which the file system needs too. */
  concurrent: number
}

/**
 * DuckDB, loaded at the first query. Its work is done in threads of its own. It reads no file but those that a query names,
 * and loads no extension from the network.
 */
export class DuckDB {
  readonly #options: DuckDBOptions
  #instance: Promise<DuckDBInstance> | undefined
  #running = 0
  readonly #waiting: (() => void)[] = []

  constructor(options: DuckDBOptions) {
    this.#options = options
  }

  /** Runs a query and returns its rows. An abort interrupts it; it then throws the signal's reason. */
  rows(sql: string, values: Values, signal?: AbortSignal): Promise<Row[]> {
    return this.connected(signal, async (connection) => {
      const run = async () => (await connection.runAndReadAll(sql, values)).getRowObjectsJS()
      try {
        return await run()
      } catch (error) {
        if (!(error as Error).message.startsWith('Out of Memory')) throw error
        return await this.#withMoreMemory(connection, run)
      }
    })
  }

  async #withMoreMemory<T>(connection: DuckDBConnection, run: () => Promise<T>): Promise<T> {
    await connection.run(`set memory_limit = '${this.#options.moreMemory}'`)
    try {
      return await run()
    } finally {
      await connection.run(`set memory_limit = '${this.#options.memory}'`).catch(() => {})
    }
  }

  /** A connection of its own for several queries. An abort interrupts the one that runs. */
  async connected<T>(signal: AbortSignal | undefined, use: (connection: DuckDBConnection) => Promise<T>): Promise<T> {
    signal?.throwIfAborted()
    await this.#turn()
    try {
      const connection = await (await this.#open()).connect()
      try {
        return await interruptible(connection, signal, () => use(connection))
      } finally {
        connection.closeSync()
      }
    } finally {
      this.#running--
      this.#waiting.shift()?.()
    }
  }

  async close(): Promise<void> {
    const instance = await this.#instance?.catch(() => undefined)
    this.#instance = undefined
    instance?.closeSync()
  }

  async #turn(): Promise<void> {
    while (this.#running >= this.#options.concurrent) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    this.#running++
  }

  #open(): Promise<DuckDBInstance> {
    this.#instance ??= open(this.#options).catch((error) => {
      this.#instance = undefined
      throw error
    })
    return this.#instance
  }
}

async function open({ temporary, memory, threads }: DuckDBOptions): Promise<DuckDBInstance> {
  const { DuckDBInstance } = await import('@duckdb/node-api')
  return DuckDBInstance.create(':memory:', {
    threads: String(threads),
    memory_limit: memory,
    temp_directory: temporary,
    preserve_insertion_order: 'false',
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
    allow_community_extensions: 'false',
    // It reads a file twice, first for the order and then for the rows that are wanted: a batch is parsed twice.
    disabled_optimizers: 'late_materialization',
  })
}

const interruptAgainMs = 20

/** An interrupt that comes before the query has begun is lost: it is repeated until the query ends. */
async function interruptible<T>(connection: DuckDBConnection, signal: AbortSignal | undefined, run: () => Promise<T>) {
  let timer: NodeJS.Timeout | undefined
  const interrupt = () => {
    connection.interrupt()
    timer ??= setInterval(() => connection.interrupt(), interruptAgainMs)
  }
  signal?.addEventListener('abort', interrupt)
  try {
    signal?.throwIfAborted()
    const result = await run()
    signal?.throwIfAborted()
    return result
  } catch (error) {
    signal?.throwIfAborted()
    throw error
  } finally {
    clearInterval(timer)
    signal?.removeEventListener('abort', interrupt)
  }
}
