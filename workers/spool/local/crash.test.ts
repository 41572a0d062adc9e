import { spawn } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Arrival, type Damage, SpoolInUse, type Trouble } from '../spool.ts'
import { repeated } from '../test/messages.ts'
import { envelopeOf, overhear, takeOver } from '../test/suite.ts'
import { openLocalReader } from './reader.ts'
import { openLocalWriter } from './writer.ts'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'postern-crash-'))
})
afterEach(() => rm(directory, { recursive: true }))

/** Starts a writing process and kills it after about `ms`. Answers what it acknowledged: size by id. */
async function writeUntilKilled(ms: number, during?: () => Promise<void>): Promise<Map<string, number>> {
  const child = spawn(
    process.execPath,
    [fileURLToPath(new URL('../test/load.ts', import.meta.url)), directory, 'smtp-1'],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  let said = ''
  const opened = new Promise<void>((resolve) => {
    child.stdout.on('data', (chunk) => {
      said += chunk
      resolve()
    })
  })
  const ended = new Promise((resolve) => child.on('close', resolve))
  await opened
  await during?.()
  await new Promise((resolve) => setTimeout(resolve, ms))
  child.kill('SIGKILL')
  await ended
  const lines = said.split('\n').slice(1, -1)
  return new Map(lines.map((line) => [line.slice(0, 36), Number(line.slice(37))]))
}

type Taken = {
  arrivals: Arrival[]
  damages: Damage[]
}

describe('kill -9 under load', () => {
  it('loses nothing that was acknowledged, gives nothing twice, reports no damage', async () => {
    const taken: Taken = { arrivals: [], damages: [] }
    const controller = new AbortController()
    const reader = openLocalReader({ directory })
    const following = (async () => {
      for await (const batch of reader.follow({ after: new Map(), signal: controller.signal })) {
        taken.arrivals.push(...batch.arrivals)
        taken.damages.push(...batch.damages)
      }
    })()
    const acknowledged = new Map<string, number>()
    // A busy machine may need more rounds until enough was acknowledged to lose something of.
    for (let round = 0; round < 6 || acknowledged.size <= 500; round++) {
      for (const [id, size] of await writeUntilKilled(30 + Math.random() * 250)) acknowledged.set(id, size)
    }
    const last = await openLocalWriter({ directory, name: 'smtp-1' })
    const end = await last.write({ envelope: envelopeOf(), body: Buffer.alloc(0) })
    while (taken.arrivals.at(-1)?.envelope.id !== end.id) await new Promise((resolve) => setTimeout(resolve, 20))
    controller.abort()
    await following

    const byId = new Map(taken.arrivals.map((arrival) => [arrival.envelope.id, arrival]))
    expect(taken.damages).toEqual([])
    expect(byId.size).toBe(taken.arrivals.length)
    for (const [id, size] of acknowledged) expect(byId.get(id)?.size, id).toBe(size)
    for (const { envelope, location, size } of taken.arrivals) {
      if (envelope.id === end.id) continue
      const body = await reader.readBody(location)
      if (!body.equals(repeated(envelope.id, size))) throw new Error(`body of ${envelope.id} differs`)
    }
    await last.close()
    await reader.close()
    expect((await readdir(join(directory, 'smtp-1'))).filter((name) => name.endsWith('.draft'))).toEqual([])
  }, 60_000)

  it('gives the name back at once, and not before', async () => {
    const troubles: Trouble[] = []
    await writeUntilKilled(100, async () => {
      await expect(openLocalWriter({ directory, name: 'smtp-1' })).rejects.toThrow(SpoolInUse)
    })
    const writer = await openLocalWriter({ directory, name: 'smtp-1', trouble: (trouble) => troubles.push(trouble) })
    for (const trouble of troubles) expect(trouble.kind).toBe('torn-tail')
    await writer.close()
  })

  it('does not wait for the writer to come back for what it had acknowledged', async () => {
    const acknowledged = await writeUntilKilled(200)
    const reader = openLocalReader({ directory, silentMs: 300 })
    const { arrivals, batches } = await overhear(reader, 2500)
    const ids = new Set(arrivals.map(({ envelope }) => envelope.id))
    for (const id of acknowledged.keys()) expect(ids.has(id), id).toBe(true)
    expect(batches.flatMap(({ damages }) => damages)).toEqual([])
    const { cursors } = await takeOver(reader, arrivals.length)
    const writer = await openLocalWriter({ directory, name: 'smtp-1' })
    const { id } = await writer.write({ envelope: envelopeOf(), body: Buffer.alloc(0) })
    const rest = await overhear(reader, 600, { after: cursors })
    expect(rest.arrivals.map(({ envelope }) => envelope.id)).toEqual([id])
    await writer.close()
    await reader.close()
  })
})
