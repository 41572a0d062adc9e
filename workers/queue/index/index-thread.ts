import { Thread } from '@postern/net/thread.ts'
import type { ClockReading } from '../message/queue-clock.ts'
import type { IndexDatabase } from './index-database.ts'
import type { IndexFiles } from './index-file.ts'
import type { Counts, Opened } from './rows.ts'
import type { IndexRequest, IndexRequests, IndexResponse } from './thread.ts'

/** The index as the event loop sees it: every question is a promise, answered in the order asked. */
export type Index = {
  opened: Opened
  /** As of the last answer. */
  counts: Counts
  /** Called after an answer to what may have changed rows or counts. */
  onChange: (() => void) | undefined
  ask<Q extends Exclude<keyof IndexRequests, 'open' | 'close'>>(
    question: Q,
    ...given: IndexRequests[Q] extends null ? [] : [IndexRequests[Q]]
  ): Promise<ReturnType<IndexDatabase[Q]>>
  close(reading: ClockReading): Promise<void>
}

const changing: ReadonlySet<keyof IndexRequests> = new Set(['commit', 'order', 'hasten', 'finishRebuild'])

/** Rejects with ThreadError; its code is SQLite's, e.g. SQLITE_FULL. */
export async function openIndex(files: IndexFiles): Promise<Index> {
  const thread = new Thread<IndexRequest, IndexResponse>({
    script: new URL('./thread.ts', import.meta.url),
    task: 'the index',
    workerData: files,
    once: true,
  })
  const index = {} as Index
  const ask = async (question: keyof IndexRequests, given: unknown): Promise<unknown> => {
    const { answer, counts } = await thread.ask({ id: thread.nextId(), question, given })
    index.counts = counts
    if (changing.has(question)) index.onChange?.()
    return answer
  }
  try {
    index.opened = (await ask('open', null)) as Opened
  } catch (error) {
    await thread.close()
    throw error
  }
  return Object.assign(index, {
    ask: (question: keyof IndexRequests, given?: unknown) => ask(question, given ?? null),
    close: (reading: ClockReading) => ask('close', reading),
  }) as Index
}
