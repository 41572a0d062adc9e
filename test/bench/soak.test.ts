import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { expect, it } from 'vitest'
import { temporaryDirectory } from '../peers/peer.ts'
import type { Sample } from './soak/sample.ts'
import { judge, panels, series } from './soak/series.ts'

/** The soak itself takes an hour: `npm run bench:load`. */

async function soak(...options: string[]): Promise<{ code: number; said: string }> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'soak.ts'), ...options])
  const said = Promise.all([text(child.stdout), text(child.stderr)])
  const [code] = (await once(child, 'close')) as [number]
  return { code, said: (await said).join('\n') }
}

it('a few seconds: samples, summary and picture are made, nothing is lost, and the books balance', async () => {
  const output = await temporaryDirectory('soak')
  const { code, said } = await soak('--minutes', '0.1', '--rate', '60', '--every', '1', '--output', output)
  expect(said).toMatch(/^messages lost: 0 of \d+ \(damaged: 0, twice or unconfirmed: 0\)$/m)
  expect(said).toMatch(/^books: .*"balance":0/m)
  expect(code).toBe(0)
  for (const { panel, name } of series) expect(said).toContain(`${panel}, ${name}`)
  const [folder = ''] = await readdir(output)
  const [head = '', ...lines] = (await readFile(join(output, folder, 'samples.csv'), 'utf8')).trimEnd().split('\n')
  expect(lines.length).toBeGreaterThan(1)
  const columns = head.match(/"[^"]*"|[^,]+/g) ?? []
  for (const line of lines) expect(line.split(',')).toHaveLength(columns.length)
  // At the end everything is known of every process.
  expect(lines.at(-1)).not.toMatch(/NaN/)
  const picture = await readFile(join(output, folder, 'soak.svg'), 'utf8')
  for (const { title } of panels) expect(picture).toContain(`>${title}`)
  expect(picture.match(/<polyline points="\d/g)).toHaveLength(series.length)
  await rm(output, { recursive: true })
})

it.each([
  ['--rate', 'fast', '--rate: fast is not a number above 0 or "half"'],
  ['--minutes', '0', '--minutes: 0 is not a number above 0'],
  ['--every', 'x', '--every: x is not a number above 0'],
])('refuses %s %s', async (name, value, why) => {
  const { code, said } = await soak(name, value)
  expect(code).toBe(1)
  expect(said).toContain(why)
})

/** A sample a second for ten minutes; the value grows from 100 by this much to the end. */
function samplesOf(growth: number, seconds = 600): Sample[] {
  return Array.from({ length: seconds + 1 }, (_, at) => {
    const value = 100 + (growth * at) / seconds
    const each = { api: value, smtp: value, queue: value }
    const megabytes = (100 + at / seconds) * 1e6
    const disk = { spool: 0, queue: 0, db: 0, worker: 0, log: megabytes, cache: 0 }
    const load = { at, accepted: at * 100, perSecond: 100, p99Ms: at === 0 ? Number.NaN : 5 }
    const resident = { api: value * 1e6, smtp: value * 1e6, queue: value * 1e6 }
    return { ...load, resident, heap: resident, descriptors: each, disk, waiting: 0, eventsUnsent: 0, balance: 0 }
  })
}

const verdictOf = (panel: string, samples: Sample[]) => judge(series.find((one) => one.panel === panel)!, samples)

it.each([
  ['resident memory', 5, 'yes'],
  ['resident memory', 20, 'no'],
  ['resident memory', -50, 'yes'],
  ['open descriptors', 5, 'yes'],
  ['open descriptors', 8, 'no'],
  ['disk: log', 0, '16.7 bytes a message'],
  ['messages a second', 0, ''],
])('%s that grows from 100 by %d in ten minutes is flat: %s', (panel, growth, flat) => {
  expect(verdictOf(panel, samplesOf(growth)).flat).toBe(flat)
})

it('the slope is for an hour, and a short run is not judged', () => {
  expect(verdictOf('resident memory', samplesOf(10)).slopeAnHour).toBeCloseTo(60)
  expect(verdictOf('resident memory', samplesOf(50, 60)).flat).toBe('too short')
  expect(verdictOf('dot → 250, p99', samplesOf(0))).toMatchObject({ first: 5, last: 5 })
})
