import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { spoolSuite } from '../test/suite.ts'
import { openLocalReader } from './reader.ts'
import { openLocalWriter } from './writer.ts'

spoolSuite('local', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'postern-spool-'))
  return {
    openWriter: (name, options) =>
      openLocalWriter({ directory, name, ...(options?.full && { free: (_directory, answer) => answer(null, 0) }) }),
    openReader: async () => openLocalReader({ directory }),
    remove: () => rm(directory, { recursive: true }),
  }
})
