import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { isAlive } from './running.ts'
import { SupervisedWorker } from './supervisor.ts'

let directory: string
let script: string
const supervised: SupervisedWorker[] = []
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'postern-supervisor-'))
  script = join(directory, 'worker.ts')
  writeFileSync(
    script,
    `import { appendFileSync } from 'node:fs'
     const write = (word: string) => appendFileSync(process.env.OUT as string, word + ' ')
     write('started:' + process.env.POSTERN_ENROL_TOKEN)
     process.on('SIGTERM', () => { write('stopped'); process.exit(0) })
     setInterval(() => {}, 1000)`,
  )
})
afterEach(async () => {
  for (const worker of supervised.splice(0)) await worker.stop()
})

const log = { info: () => {}, warn: () => {}, error: () => {} }
let tokens = 0
function make(env: Record<string, string> = {}): SupervisedWorker {
  const worker = new SupervisedWorker({
    name: 'smtp-1',
    script,
    file: join(directory, 'process.json'),
    env: { OUT: join(directory, 'out'), ...env },
    newToken: async () => `t${++tokens}`,
    log,
    stopTimeoutMs: 5_000,
  })
  supervised.push(worker)
  return worker
}
const written = () => {
  try {
    return readFileSync(join(directory, 'out'), 'utf8').trim().split(' ')
  } catch {
    return []
  }
}
const started = (times: number) =>
  vi.waitFor(() => expect(written().filter((word) => word.startsWith('started'))).toHaveLength(times), {
    timeout: 25_000,
  })

it('restarts a process that died, each time with a new token, and stops it cleanly', async () => {
  const worker = make()
  await worker.start()
  await started(1)
  const first = worker.pid ?? 0
  process.kill(first, 'SIGKILL')
  await started(2)
  expect(worker.pid).not.toBe(first)
  await worker.stop()
  expect(written().at(-1)).toBe('stopped')
  expect(new Set(written().filter((word) => word.startsWith('started'))).size).toBe(2)
})

/** Runs a supervisor in its own process and kills it once its worker runs. @returns the worker's pid */
async function outlivedSupervisor(env: Record<string, string>): Promise<number> {
  const options = {
    name: 'smtp-1',
    script,
    file: join(directory, 'process.json'),
    env: { OUT: join(directory, 'out'), ...env },
    stopTimeoutMs: 1,
  }
  const code = `
    import { SupervisedWorker } from ${JSON.stringify(join(import.meta.dirname, 'supervisor.ts'))}
    const log = { info() {}, warn() {}, error() {} }
    await new SupervisedWorker({ ...${JSON.stringify(options)}, log, newToken: async () => 't0' }).start()`
  const supervisor = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: 'inherit' })
  await started(1)
  supervisor.kill('SIGKILL')
  await once(supervisor, 'exit')
  return (JSON.parse(readFileSync(options.file, 'utf8')) as { pid: number }).pid
}

it('takes over a process that outlived its supervisor', async () => {
  const pid = await outlivedSupervisor({ PORT: '1' })
  const worker = make({ PORT: '1' })
  await worker.start()
  expect(worker.pid).toBe(pid)
  process.kill(pid, 'SIGKILL')
  await started(2)
  await worker.stop()
  expect(isAlive({ pid, script })).toBe(false)
})

it('stops a process with a different configuration before it starts its own', async () => {
  const pid = await outlivedSupervisor({ PORT: '1' })
  const worker = make({ PORT: '2' })
  await worker.start()
  expect(isAlive({ pid, script })).toBe(false)
  await started(2)
  expect(written()).toEqual([expect.stringContaining('started'), 'stopped', expect.stringContaining('started')])
})

it('a worker gets the drain time and a margin before it is killed', async () => {
  writeFileSync(
    script,
    `import { appendFileSync } from 'node:fs'
     const write = (word: string) => appendFileSync(process.env.OUT as string, word + ' ')
     process.on('SIGTERM', () => setTimeout(() => { write('drained'); process.exit(0) }, 1500))
     write('started:' + process.env.POSTERN_ENROL_TOKEN)
     setInterval(() => {}, 1000)`,
  )
  const options = (drainMs: number) => ({
    name: 'smtp-1',
    script,
    file: join(directory, 'process.json'),
    env: { OUT: join(directory, 'out') },
    newToken: async () => `t${++tokens}`,
    log,
    stopTimeoutMs: 500,
    drainMs: async () => drainMs,
  })
  const long = new SupervisedWorker(options(60_000))
  await long.start()
  await started(1)
  await long.stop()
  expect(written().at(-1)).toBe('drained')
  const short = new SupervisedWorker(options(0))
  await short.start()
  await started(2)
  await short.stop()
  expect(written().at(-1)).toMatch(/^started/)
})
