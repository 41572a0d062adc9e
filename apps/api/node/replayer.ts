import { existsSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import type { ReplayResult } from '@postern/contract/replay.ts'
import type { Change } from '@postern/store/control/change.ts'
import type { Replayer, ReplayRun } from '../dependencies.ts'
import { timeSlice } from '../time-slice.ts'
import { ReplayEngine } from './replay-engine.ts'

/**
 * Runs each replay in its own thread. Without the thread's file (in a bundled function), runs it in slices on this
 * thread.
 */

export type ToThread =
  | { kind: 'rows'; text: string }
  | { kind: 'begin'; changes: readonly Change[] }
  | { kind: 'facts'; records: Uint8Array }
  | { kind: 'result' }

const thread = import.meta.dirname === undefined ? undefined : new URL('./replay-thread.ts', import.meta.url)

export const replayer: Replayer = (options) => {
  if (thread && existsSync(thread)) return inThread(thread, options)
  const engine = new ReplayEngine(options)
  return {
    rows: async (text) => engine.rows(text),
    begin: async (changes) => engine.begin(changes),
    facts: async (records) => {
      const breathe = timeSlice()
      for (const steps = engine.facts(records); ; ) {
        const step = steps.next()
        if (step.done) return step.value
        await breathe()
      }
    },
    result: async () => engine.result(),
    end: () => {},
  }
}

function inThread(file: URL, options: Parameters<Replayer>[0]): ReplayRun {
  const worker = new Worker(file, { workerData: options })
  const waiting: { resolve: (answer: never) => void; reject: (error: Error) => void }[] = []
  worker.on('message', ({ answer, error }: { answer?: unknown; error?: string }) => {
    const asked = waiting.shift()
    if (error === undefined) asked?.resolve(answer as never)
    else asked?.reject(new Error(error))
  })
  const fail = (error: Error) => {
    for (const { reject } of waiting.splice(0)) reject(error)
  }
  worker.on('error', fail)
  worker.on('exit', () => fail(new Error('the replay was stopped')))
  const ask = <T>(message: ToThread): Promise<T> =>
    new Promise<T>((resolve, reject) => {
      waiting.push({ resolve, reject })
      worker.postMessage(message)
    })
  return {
    rows: (text) => ask({ kind: 'rows', text }),
    begin: (changes) => ask({ kind: 'begin', changes }),
    facts: (records) => ask<number>({ kind: 'facts', records }),
    result: () => ask<ReplayResult>({ kind: 'result' }),
    end: () => void worker.terminate(),
  }
}
