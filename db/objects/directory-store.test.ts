import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { openDirectoryStore } from './directory-store.ts'
import { objectStoreSuite } from './test/suite.ts'

const directories: string[] = []
afterAll(async () => {
  for (const directory of directories) await rm(directory, { recursive: true })
})

async function emptyDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'postern-objects-'))
  directories.push(directory)
  return directory
}

objectStoreSuite('a directory', async () => openDirectoryStore(await emptyDirectory()))

it('removes the drafts that a killed process left, once they are a day old', async () => {
  const directory = await emptyDirectory()
  const drafts = join(directory, '.drafts')
  await mkdir(drafts)
  for (const name of ['old', 'new']) await writeFile(join(drafts, name), 'half an obj')
  const twoDaysAgo = new Date(Date.now() - 2 * 86_400_000)
  await utimes(join(drafts, 'old'), twoDaysAgo, twoDaysAgo)
  const store = await openDirectoryStore(directory)
  expect(await readdir(drafts)).toEqual(['new'])
  expect(await store.list({ prefix: '' })).toEqual([])
  expect(await store.folders('')).toEqual([])
})

it('leaves no draft when an object cannot be placed', async () => {
  const directory = await emptyDirectory()
  const store = await openDirectoryStore(directory)
  await store.put('a', new Uint8Array([1]))
  await expect(store.put('a/b', new Uint8Array([2]))).rejects.toThrow()
  await expect(store.create('a/b', new Uint8Array([2]))).rejects.toThrow()
  expect(await readdir(join(directory, '.drafts'))).toEqual([])
})
