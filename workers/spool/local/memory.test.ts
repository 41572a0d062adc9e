import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

/** Stores 200 MB that come in pieces, and reads them back; tells its digest in, its digest out and its largest size. */
const program = `
import { createHash, randomBytes } from 'node:crypto'
const [writers, readers, words] = await Promise.all(
  ['writer.ts', 'reader.ts', '../test/messages.ts'].map((file) => import('${new URL('.', import.meta.url).href}' + file)),
)
const directory = process.argv[1]
const writer = await writers.openLocalWriter({ directory, name: 'smtp-1' })
const reader = readers.openLocalReader({ directory })
const messageWriter = writer.begin()
const sent = createHash('sha256')
for (let count = 0; count < 3200; count++) {
  const chunk = randomBytes(62_500)
  sent.update(chunk)
  await messageWriter.append(chunk)
}
await messageWriter.commit(words.envelope())
const got = createHash('sha256')
for await (const { arrivals } of reader.follow({ after: new Map(), signal: AbortSignal.timeout(20_000) })) {
  if (arrivals.length === 0) continue
  for await (const chunk of reader.openBody(arrivals[0].location)) got.update(chunk)
  break
}
await writer.close()
const { maxRSS } = process.resourceUsage()
console.log(JSON.stringify({ sent: sent.digest('hex'), got: got.digest('hex'), maxRSS }))
`

it('takes and gives 200 MB in 64 MB of heap, and a resident size that does not grow with the message', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'postern-memory-'))
  const flags = ['--max-old-space-size=64', '--input-type=module', '--eval', program, directory]
  const { stdout } = await promisify(execFile)(process.execPath, flags)
  await rm(directory, { recursive: true })
  const { sent, got, maxRSS } = JSON.parse(stdout)
  expect(got).toBe(sent)
  // KiB. Node itself needs about 60 MiB; garbage that is not collected yet comes on top.
  expect(maxRSS).toBeLessThan(160 * 1024)
})
