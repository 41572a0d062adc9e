import { Worker } from 'node:worker_threads'
import type { ClockReading } from '../message/queue-clock.ts'
import type { IndexDatabase } from './index-database.ts'
import type { IndexFiles } from './index-file.ts'
import type { Counts, Opened } from './rows.ts'
import type { IndexRequests } from './thread.ts'

/** The index as the event loop sees it: every question is a promise, answered in the order asked. */
export type Index = {
  opened: Opened
  /** As of the last answer. */
  counts: Counts
  ask<Q extends Exclude<keyof IndexRequests, 'close'>>(
    question: Q,
    ...given: IndexRequests[Q] extends null ? [] : [IndexRequests[Q]]
  ): Promise<ReturnType<IndexDatabase[Q]>>
  close(reading: ClockReading): Promise<void>
}

type Pending = { resolve(answer: never): void; reject(error: Error): void }

/** An error of the index: `code` is SQLite's, e.g. SQLITE_FULL. */
export class IndexFailure extends Error {
  override readonly name = 'IndexFailure'
  readonly code: string
  constructor(message: string, code = '') {
    super(message)
    this.code = code
  }
}

export async function openIndex(files: IndexFiles): Promise<Index> {
  const thread = new Worker(new URL('./thread.ts', import.meta.url), { workerData: files, stdout: false })
  const pending = new Map<number, Pending>()
  const index = {} as Index
  let last = 0
  let ended: Error | undefined
  const failAll = (error: Error) => {
    ended ??= error
    for (const { reject } of pending.values()) reject(error)
    pending.clear()
  }
  thread.on('message', ({ id, answer, error, counts }) => {
    if (counts) index.counts = counts
    const waiting = pending.get(id)
    pending.delete(id)
    if (error) waiting?.reject(new IndexFailure(error.message, error.code))
    else waiting?.resolve(answer as never)
  })
  thread.on('error', (error) => failAll(new IndexFailure(error.message)))
  thread.on('exit', () => failAll(new IndexFailure('the index is closed')))
  const answerTo = <T>(id: number) =>
    new Promise<T>((resolve, reject) => {
      if (ended) reject(ended)
      else pending.set(id, { resolve, reject })
    })
  const ask = <T>(question: keyof IndexRequests, given: unknown): Promise<T> => {
    last += 1
    const answer = answerTo<T>(last)
    if (!ended) thread.postMessage({ id: last, question, given })
    return answer
  }
  Object.assign(index, {
    ask: (question: keyof IndexRequests, given?: unknown) => ask(question, given ?? null),
    close: (reading: ClockReading) => ask<void>('close', reading),
  })
  const opened = await answerTo<Opened>(0)
  index.opened = opened
  index.counts = opened.counts
  return index
}
