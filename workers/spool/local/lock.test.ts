import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { SpoolInUse } from '../spool.ts'
import { lockDirectory } from './lock.ts'

let directory: string
beforeEach(async () => {
  directory = join(await mkdtemp(join(tmpdir(), 'postern-lock-')), 'queue')
})
afterEach(() => rm(join(directory, '..'), { recursive: true }))

it('names the directory and the process that has it; kill -9 frees it at once', async () => {
  const holder = spawn(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `import { lockDirectory } from ${JSON.stringify(new URL('./lock.ts', import.meta.url).href)}
       lockDirectory(${JSON.stringify(directory)})
       console.log('held')
       setInterval(() => {}, 1000)`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  const ended = once(holder, 'exit')
  try {
    await once(holder.stdout, 'data')
    expect(() => lockDirectory(directory)).toThrow(SpoolInUse)
    expect(() => lockDirectory(directory)).toThrow(`${directory} is in use by process ${holder.pid}`)
  } finally {
    holder.kill('SIGKILL')
    await ended
  }
  lockDirectory(directory).release()
})

it('is not taken in by files that are left over', async () => {
  lockDirectory(directory).release()
  await writeFile(join(directory, 'lock.pid'), `${process.pid}\n`)
  const lock = lockDirectory(directory)
  expect(() => lockDirectory(directory)).toThrow(SpoolInUse)
  lock.release()
  lockDirectory(directory).release()
})
