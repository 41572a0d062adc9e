import type { Client, InArgs, InStatement, Replicated, ResultSet, Transaction, TransactionMode } from '@libsql/client'
import type { Checkpoint } from './checkpoint.ts'

/** Number of statements from which a transaction counts as very large. */
const manyStatements = 200

/**
 * A libSQL client that never loses an acknowledged write.
 *
 * @libsql/client 0.18 never resets a statement that failed with SQLITE_BUSY: later "commits" on that connection stay in
 *   a transaction that is thrown away (libsql-client-ts issue 352). Its waits also block the event loop, so two writers
 *   in one process wait for each other until the time-out. Therefore:
 * - every write, batch and transaction goes through one first-in-first-out lock;
 * - after any SQLITE_BUSY all connections are dropped before the next use;
 * - a read that lost its connection in this way is retried once.
 * With a `Checkpoint`, a transaction of very many statements leaves its log to it. Until the log is checkpointed,
 * writes wait and reads continue.
 */
export class GuardedClient implements Client {
  readonly #client: Client
  readonly #checkpoint: Checkpoint | undefined
  #tail: Promise<void> = Promise.resolve()
  #spoiled = false
  #openReads = 0

  constructor(client: Client, checkpoint?: Checkpoint) {
    this.#client = client
    this.#checkpoint = checkpoint
  }

  get closed(): boolean {
    return this.#client.closed
  }

  get protocol(): string {
    return this.#client.protocol
  }

  execute(statement: InStatement | string, args?: InArgs): Promise<ResultSet> {
    const run = () =>
      typeof statement === 'string' ? this.#client.execute(statement, args) : this.#client.execute(statement)
    const text = typeof statement === 'string' ? statement : statement.sql
    return isRead(text) ? this.#read(run) : this.#write(run)
  }

  batch(statements: (InStatement | [string, InArgs?])[], mode?: TransactionMode): Promise<ResultSet[]> {
    const run = () => this.#client.batch(statements, mode)
    return mode === 'read' ? this.#read(run) : this.#write(run)
  }

  migrate(statements: InStatement[]): Promise<ResultSet[]> {
    return this.#write(() => this.#client.migrate(statements))
  }

  executeMultiple(sql: string): Promise<void> {
    return this.#write(() => this.#client.executeMultiple(sql))
  }

  /** A write transaction holds the lock until it is committed, rolled back or closed. */
  async transaction(mode: TransactionMode = 'write'): Promise<Transaction> {
    if (mode === 'read') {
      const transaction = await this.#read(() => this.#client.transaction('read'))
      this.#openReads++
      return watched(transaction, this.#saw, () => this.#openReads--)
    }
    const unlock = await this.#lock()
    try {
      this.#mend()
      const inner = await this.#client.transaction(mode)
      const checkpoint = this.#checkpoint
      if (!checkpoint) return watched(inner, this.#saw, unlock)
      const counted = countedIn(inner, checkpoint)
      return watched(counted, this.#saw, () => {
        if (counted.isLarge) this.#relieve(checkpoint).finally(unlock)
        else unlock()
      })
    } catch (error) {
      this.#saw(error)
      unlock()
      throw error
    }
  }

  sync(): Promise<Replicated> {
    return this.#client.sync()
  }

  reconnect(): void {
    this.#client.reconnect()
  }

  close(): void {
    this.#client.close()
  }

  async #lock(): Promise<() => void> {
    const before = this.#tail
    let unlock = () => {}
    this.#tail = new Promise((resolve) => {
      unlock = resolve
    })
    await before
    return unlock
  }

  async #write<T>(run: () => Promise<T>): Promise<T> {
    const unlock = await this.#lock()
    try {
      this.#mend()
      return await run()
    } catch (error) {
      this.#saw(error)
      throw error
    } finally {
      unlock()
    }
  }

  async #read<T>(run: () => Promise<T>): Promise<T> {
    try {
      return await run()
    } catch (error) {
      if (this.#saw(error) !== 'CLIENT_CLOSED') throw error
      return await run()
    }
  }

  readonly #saw = (error: unknown): string | undefined => {
    const code = sqliteCode(error)
    if (code?.startsWith('SQLITE_BUSY')) this.#spoiled = true
    return code
  }

  /** Opens new connections after a large transaction: its connection would never checkpoint its log by itself again. */
  async #relieve(checkpoint: Checkpoint): Promise<void> {
    await checkpoint.takeOver()
    this.#spoiled = true
  }

  /** Called only by the holder of the lock, so that no write uses the dropped connections. */
  #mend(): void {
    if (!this.#spoiled) return
    this.#spoiled = false
    this.#client.reconnect()
  }
}

const isRead = (sql: string) => /^\s*(select|explain|values)\b/i.test(sql)

/** Returns the SQLite or client code of an error, even if Drizzle wrapped it. */
export function sqliteCode(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  const { code, extendedCode } = error as { code?: unknown; extendedCode?: unknown }
  if (typeof extendedCode === 'string') return extendedCode
  if (typeof code === 'string') return code
  return sqliteCode(error.cause)
}

/** Wraps a transaction so that COMMIT does not checkpoint its log once it is large. */
function countedIn(inner: Transaction, { flush }: Checkpoint): Transaction & { readonly isLarge: boolean } {
  let statements = 0
  return {
    execute: async (statement: InStatement) => {
      if (++statements === manyStatements) await inner.execute('pragma wal_autocheckpoint = 0')
      return inner.execute(statement)
    },
    batch: (some: InStatement[]) => inner.batch(some),
    executeMultiple: (sql: string) => inner.executeMultiple(sql),
    commit: async () => {
      if (statements >= manyStatements) await flush()
      await inner.commit()
    },
    rollback: () => inner.rollback(),
    close: () => inner.close(),
    get closed() {
      return inner.closed
    },
    get isLarge() {
      return statements >= manyStatements
    },
  } as Transaction & { readonly isLarge: boolean }
}

function watched(inner: Transaction, saw: (error: unknown) => unknown, ended: () => void): Transaction {
  let isOver = false
  const end = () => {
    if (!isOver) ended()
    isOver = true
  }
  const seen = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work
    } catch (error) {
      saw(error)
      throw error
    }
  }
  const last = async (work: () => Promise<void>) => {
    try {
      await seen(work())
    } finally {
      inner.close()
      end()
    }
  }
  return {
    execute: (statement: InStatement) => seen(inner.execute(statement)),
    batch: (statements: InStatement[]) => seen(inner.batch(statements)),
    executeMultiple: (sql: string) => seen(inner.executeMultiple(sql)),
    commit: () => last(() => inner.commit()),
    rollback: () => last(() => inner.rollback()),
    close: () => {
      inner.close()
      end()
    },
    get closed() {
      return inner.closed
    },
  } as Transaction
}
