import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Greylist } from './greylist.ts'

const minute = 60_000
const day = 86_400_000
const noon = Date.parse('2026-11-22T12:00:00Z')
const settings = { delaySeconds: 300, rememberDays: 35 }

let directory: string
const troubles: unknown[] = []
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'postern-greylist-'))
  troubles.length = 0
})
afterEach(() => rm(directory, { recursive: true, force: true }))

const open = (more: { file?: string; max?: number } = {}) =>
  Greylist.open({ trouble: (error) => troubles.push(error), ...more })
const sight = (now: number, more: object = {}) => ({
  ip: '198.51.100.7',
  sender: 'eve@far.test',
  recipient: 'jane@example.org',
  now,
  ...more,
})

describe('greylist', () => {
  it('knows since when, and who came back in time', async () => {
    const greylist = await open()
    expect(greylist.see(sight(noon), settings)).toEqual({ firstSeen: noon, passed: false })
    expect(greylist.see(sight(noon + minute), settings)).toEqual({ firstSeen: noon, passed: false })
    expect(greylist.see(sight(noon + 5 * minute), settings)).toEqual({ firstSeen: noon, passed: false })
    expect(greylist.see(sight(noon + 6 * minute), settings)).toEqual({ firstSeen: noon, passed: true })
    expect(greylist.size).toBe(1)
  })

  it.each([
    ['an hour', 60 * minute],
    ['a year', 365 * day],
  ])('the clock is set back by %s: who was seen in the future waits no longer than anybody', async (_, by) => {
    const greylist = await open()
    greylist.see(sight(noon + by), settings)
    expect(greylist.see(sight(noon), settings)).toEqual({ firstSeen: noon, passed: false })
    expect(greylist.see(sight(noon + 5 * minute), settings)).toEqual({ firstSeen: noon, passed: false })
    expect(greylist.see(sight(noon + 6 * minute), settings)).toEqual({ firstSeen: noon, passed: true })
    // Who had passed has passed, and is remembered from now on.
    const other = { sender: 'other@far.test' }
    greylist.see(sight(noon + by, other), settings)
    greylist.see(sight(noon + by + 5 * minute, other), settings)
    expect(greylist.see(sight(noon, other), settings)).toEqual({ firstSeen: noon, passed: true })
    expect(greylist.see(sight(noon + 36 * day, other), settings)).toEqual({ firstSeen: noon + 36 * day, passed: false })
  })

  it('keeps networks, senders and recipients apart, not their case', async () => {
    const greylist = await open()
    greylist.see(sight(noon), settings)
    const again = { ip: '198.51.100.200', sender: 'EVE@far.test', recipient: 'Jane@example.org' }
    expect(greylist.see(sight(noon + 1, again), settings).firstSeen).toBe(noon)
    for (const other of [{ ip: '198.51.101.7' }, { sender: '' }, { recipient: 'bob@example.org' }])
      expect(greylist.see(sight(noon + 2, other), settings).firstSeen).toBe(noon + 2)
  })

  it('forgets who came back too late, and who was not seen for long', async () => {
    const greylist = await open()
    greylist.see(sight(noon), settings)
    expect(greylist.see(sight(noon + 2 * day + 1), settings).firstSeen).toBe(noon + 2 * day + 1)
    greylist.see(sight(noon + 2 * day + 10 * minute), settings)
    expect(greylist.see(sight(noon + 30 * day), settings).passed).toBe(true)
    // Thirty days after that: remembered from the last time it was seen.
    expect(greylist.see(sight(noon + 60 * day), settings).passed).toBe(true)
    expect(greylist.see(sight(noon + 96 * day), settings)).toEqual({ firstSeen: noon + 96 * day, passed: false })
  })

  it('counts what it remembers from the last mail, however short that is', async () => {
    const greylist = await open()
    const brief = { delaySeconds: 300, rememberDays: 1 }
    greylist.see(sight(noon), brief)
    for (let hours = 1; hours < 72; hours += 5) greylist.see(sight(noon + hours * 60 * minute), brief)
    expect(greylist.see(sight(noon + 3 * day), brief)).toEqual({ firstSeen: noon, passed: true })
    expect(greylist.see(sight(noon + 4 * day + 60 * minute), brief).passed).toBe(false)
  })

  it('a flood of new triplets displaces new triplets only', async () => {
    const greylist = await open({ max: 100 })
    greylist.see(sight(noon), settings)
    greylist.see(sight(noon + 5 * minute), settings)
    for (let i = 0; i < 1000; i++) greylist.see(sight(noon, { sender: `x${i}@far.test` }), settings)
    expect(greylist.size).toBe(101)
    expect(greylist.see(sight(noon + 6 * minute), settings).passed).toBe(true)
  })

  it('outlives its process', async () => {
    const file = join(directory, 'greylist')
    const first = await open({ file })
    first.see(sight(noon), settings)
    first.see(sight(noon + 5 * minute), settings)
    first.see(sight(noon, { sender: 'waits@far.test' }), settings)
    await first.close()
    const second = await open({ file })
    expect(second.see(sight(noon + day), settings).passed).toBe(true)
    expect(second.see(sight(noon + minute, { sender: 'waits@far.test' }), settings).firstSeen).toBe(noon)
    await second.close()
    expect(troubles).toEqual([])
    expect((await readFile(file, 'latin1')).includes('far.test')).toBe(false)
    expect((await stat(file)).mode & 0o077).toBe(0)
  })

  it('reads what a crash left of its file, and does without one it cannot have', async () => {
    const file = join(directory, 'greylist')
    const first = await open({ file })
    first.see(sight(noon), settings)
    await first.close()
    await writeFile(file, `${await readFile(file, 'latin1')}nonsense\nw x y\np k 1\nw half`)
    const second = await open({ file })
    expect(second.see(sight(noon + minute), settings).firstSeen).toBe(noon)
    expect(second.size).toBe(1)
    await second.close()
    const none = await open({ file: join(directory, 'not', 'there') })
    expect(none.see(sight(noon), settings).passed).toBe(false)
    expect(troubles).toHaveLength(1)
    await none.close()
  })

  it('its file stays in proportion to what is known', async () => {
    const file = join(directory, 'greylist')
    const greylist = await open({ file, max: 50 })
    for (let round = 0; round < 15; round++) {
      for (let i = 0; i < 1000; i++) greylist.see(sight(noon + round, { sender: `x${i}@far.test` }), settings)
      await new Promise((go) => setTimeout(go, 220))
    }
    await greylist.close()
    expect((await readFile(file, 'latin1')).split('\n').length).toBeLessThan(12_000)
    expect(troubles).toEqual([])
  })
})
