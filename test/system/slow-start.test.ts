import { spawn } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { showLogsOnFailure } from '../peers/failure.ts'
import { temporaryDirectory } from '../peers/peer.ts'
import { type Postern, startPostern } from './postern.ts'

/** Longer than the delay of the first housekeeping. */
const slowMs = 7_000
const root = join(import.meta.dirname, '../..')

let postern: Postern | undefined
afterEach(() => postern?.stop())
showLogsOnFailure(() => [postern])

/** A receiver with a different configuration that takes long to exit. */
async function leaveSlowWorker(dataDirectory: string): Promise<number> {
  const script = join(root, 'workers/smtp/main.ts')
  const code = `process.on('SIGTERM', () => setTimeout(() => process.exit(0), ${slowMs})); setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['-e', code, script], { stdio: 'ignore' })
  process.once('exit', () => child.kill('SIGKILL'))
  const directory = join(dataDirectory, 'worker', 'smtp-1')
  await mkdir(directory, { recursive: true })
  const running = { pid: child.pid, script, environment: 'of another configuration' }
  await writeFile(join(directory, 'process.json'), JSON.stringify(running))
  return child.pid as number
}

it('the API starts, sweeps and serves although its workers start slowly', async () => {
  const dataDirectory = await temporaryDirectory('slow-start')
  await leaveSlowWorker(dataDirectory)
  const startedAt = Date.now()
  postern = await startPostern({ dataDirectory, readyWithinMs: 60_000 })
  expect(Date.now() - startedAt).toBeGreaterThan(slowMs)
  expect(postern.logs()).not.toMatch(/ReferenceError|housekeeping failed/)
  await postern.settle()
})
