import { parentPort, workerData } from 'node:worker_threads'
import type { IndexFiles } from './file.ts'
import { IndexDatabase } from './index-database.ts'
import type { Scanned } from './rebuild.ts'
import type { Commit, OrderEffect } from './rows.ts'

/** The thread in which the index lives: one question at a time, in order. */

export type Questions = {
  commit: Commit
  domains: { after: string; limit: number }
  load: { now: number; quotas: [string, number][]; limit: number }
  take: string[]
  locate: string
  order: OrderEffect
  hasten: { at: number; limit: number; domain?: string | undefined }
  waiting: null
  inSegment: { segment: string; limit: number }
  doneOrders: string[]
  adopt: Scanned
  finishRebuild: { cursors: [writer: string, cursor: string][]; keepMissing: boolean }
  close: null
}

function start(): void {
  const { book, opened } = IndexDatabase.open(workerData as IndexFiles)
  const answers: { [Q in keyof Questions]: (given: Questions[Q]) => unknown } = {
    commit: (given) => book.commit(given),
    domains: (given) => book.domains(given),
    load: (given) => book.load(given),
    take: (given) => book.take(given),
    locate: (given) => book.locate(given),
    order: (given) => book.order(given),
    hasten: (given) => book.hasten(given),
    waiting: () => book.waiting(),
    inSegment: (given) => book.inSegment(given),
    doneOrders: (given) => book.doneOrders(given),
    adopt: (given) => book.adopt(given),
    finishRebuild: (given) => book.finishRebuild(given),
    close: () => book.close(),
  }
  parentPort?.on('message', ({ id, question, given }: { id: number; question: keyof Questions; given: never }) => {
    try {
      parentPort?.postMessage({ id, answer: answers[question](given), counts: book.counts })
    } catch (error) {
      const { code, message } = error as { code?: string; message: string }
      parentPort?.postMessage({ id, error: { code, message } })
    }
    if (question === 'close') parentPort?.close()
  })
  parentPort?.postMessage({ id: 0, answer: opened })
}

start()
