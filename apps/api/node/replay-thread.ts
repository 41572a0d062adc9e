import { parentPort, workerData } from 'node:worker_threads'
import type { ReplayOptions } from '../dependencies.ts'
import { ReplayEngine } from './replay-engine.ts'
import type { ToThread } from './replayer.ts'

/** The thread of a replay. Answers every message, in order, with the progress so far. */

const engine = new ReplayEngine(workerData as ReplayOptions)
const port = parentPort

port?.on('message', (message: ToThread) => {
  try {
    port.postMessage({ answer: answer(message) })
  } catch (error) {
    port.postMessage({ error: error instanceof Error ? error.message : String(error) })
  }
})

function answer(message: ToThread): unknown {
  switch (message.kind) {
    case 'rows':
      return engine.rows(message.text)
    case 'begin':
      return engine.begin(message.changes)
    case 'facts': {
      const steps = engine.facts(message.records)
      for (;;) {
        const step = steps.next()
        if (step.done) return step.value
      }
    }
    case 'result':
      return engine.result()
  }
}
