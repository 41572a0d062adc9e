import { rm } from 'node:fs/promises'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import { startFixture } from '@postern/api/test/fixture.ts'
import { conditions } from './conditions.ts'
import { table } from './figures.ts'

/**
 * Imports a Kill File of a million lines as one revision, removes it with a rollback and restores it with another.
 * Measures how long each takes, and how long the API did not answer meanwhile. Runs only the API, in this process.
 */

const { values: options } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, lines: { type: 'string' } },
})
const lines = Number(options.lines ?? (options.quick ? 100_000 : 1_000_000))

console.log(`${conditions()}\n`)
const api = await startFixture()
const text = Array.from({ length: lines }, (_, i) => `x${i}@spam${i % 5000}.test\n`).join('')
const results: string[][] = []

async function measured(name: string, work: () => Promise<{ status: number; text: string; json: unknown }>) {
  const loop = monitorEventLoopDelay({ resolution: 5 })
  let isOver = false
  const waits: number[] = []
  const asking = (async () => {
    while (!isOver) {
      const asked = performance.now()
      const { status } = await api.send('GET', '/v1/settings')
      if (status !== 200) throw new Error(`GET /v1/settings was answered ${status}`)
      waits.push(performance.now() - asked)
      await new Promise((go) => setTimeout(go, 20))
    }
  })()
  loop.enable()
  const start = performance.now()
  const answer = await work()
  const seconds = (performance.now() - start) / 1000
  // The last pause is seen at the next turn of the event loop.
  await new Promise((go) => setTimeout(go, 50))
  loop.disable()
  isOver = true
  await asking
  if (answer.status >= 300) throw new Error(`${name}: ${answer.status} ${answer.text.slice(0, 500)}`)
  const pause = loop.max / 1e6
  results.push([name, seconds.toFixed(1), pause.toFixed(0), Math.max(...waits).toFixed(0), String(waits.length)])
  return answer.json as { revision: number }
}

const head = (await api.send('GET', '/v1/settings')).json.revision as number
const post = (path: string, body?: unknown, headers = {}) => api.send('POST', path, { body, headers })
const plain = { 'content-type': 'text/plain' }
const { revision } = await measured('import', () => post('/v1/lists/kill/import', text, plain))
await measured('import again, no new entries', () => post('/v1/lists/kill/import', text, plain))
await measured('rollback, all removed', () => post(`/v1/revisions/${head}/rollback`))
await measured('rollback, all restored', () => post(`/v1/revisions/${revision}/rollback`))
console.log(table(['', 's', 'longest pause ms', 'longest answer ms', 'answers'], results))
await rm(api.directory, { recursive: true })
process.exit(0)
