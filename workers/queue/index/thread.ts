import { parentPort, workerData } from 'node:worker_threads'
import type { ClockReading } from '../message/queue-clock.ts'
import { IndexDatabase } from './index-database.ts'
import type { IndexFiles } from './index-file.ts'
import type { Scanned } from './rebuild.ts'
import type { Commit, Counts, Opened, OrderEffect } from './rows.ts'

/** The thread in which the index lives: one question at a time, in order. */

export type IndexRequests = {
  open: null
  commit: Commit
  domains: { after: string; limit: number }
  load: { now: number; quotas: [string, number][]; limit: number }
  take: string[]
  locate: string
  order: OrderEffect
  hasten: { at: number; limit: number; domain?: string | undefined }
  waiting: null
  counted: null
  untold: number
  everything: { after: number; wallAhead: number }
  summaries: { n: number; summary: string }[]
  told: number
  inSegment: { segment: string; limit: number }
  doneOrders: string[]
  adopt: Scanned
  finishRebuild: { cursors: [writer: string, cursor: string][]; keepMissing: boolean }
  close: ClockReading
}

export type IndexRequest = { id: number; question: keyof IndexRequests; given: unknown }
export type IndexResponse = { id: number; answer: unknown; counts: Counts }

let database: IndexDatabase

function open(): Opened {
  const opened = IndexDatabase.open(workerData as IndexFiles)
  database = opened.database
  return opened.opened
}

const answers: { [Q in keyof IndexRequests]: (given: IndexRequests[Q]) => unknown } = {
  open,
  commit: (given) => database.commit(given),
  domains: (given) => database.domains(given),
  load: (given) => database.load(given),
  take: (given) => database.take(given),
  locate: (given) => database.locate(given),
  order: (given) => database.order(given),
  hasten: (given) => database.hasten(given),
  waiting: () => database.waiting(),
  counted: () => database.counted(),
  untold: (given) => database.untold(given),
  everything: (given) => database.everything(given),
  summaries: (given) => database.summaries(given),
  told: (given) => database.told(given),
  inSegment: (given) => database.inSegment(given),
  doneOrders: (given) => database.doneOrders(given),
  adopt: (given) => database.adopt(given),
  finishRebuild: (given) => database.finishRebuild(given),
  close: (given) => database.close(given),
}

parentPort?.on('message', ({ id, question, given }: IndexRequest) => {
  try {
    parentPort?.postMessage({ id, answer: answers[question](given as never), counts: database.counts })
  } catch (error) {
    const { code, message } = error as { code?: string; message: string }
    parentPort?.postMessage({ id, error: message, code })
  }
  if (question === 'close') parentPort?.close()
})
