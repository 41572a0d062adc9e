import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createHistogram } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { startDns } from '../peers/dns.ts'
import { until } from '../peers/peer.ts'
import { startPostern } from '../system/postern.ts'
import { startWireSink } from '../wire/sink.ts'
import { conditions } from './conditions.ts'
import { figure, quantileMs, table } from './figures.ts'
import { idOf, type LoadOptions, startLoad } from './load.ts'
import { chartsAsSvg } from './soak/chart.ts'
import { type Sample, takeSample } from './soak/sample.ts'
import { csv, judge, panels, series } from './soak/series.ts'

/**
 * Hours of mail at half of the full speed, relayed to a sink: memory, descriptors and disk stay flat, and nothing is
 * lost. `npm run bench:load [-- --minutes 60 --rate half]`. It writes samples.csv and soak.svg into `bench-load-…/`.
 */

const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '60' },
    /** Messages a second; `half`: half of what is relayed at full speed, which is measured first. */
    rate: { type: 'string', default: 'half' },
    /** Seconds between two samples. */
    every: { type: 'string', default: '10' },
    /** Where the folder with the results is made. */
    output: { type: 'string', default: fileURLToPath(new URL('../../', import.meta.url)) },
  },
})

function positive(name: string, given: string): number {
  const value = Number(given)
  if (value > 0 && Number.isFinite(value)) return value
  throw new Error(`--${name}: ${given} is not a number above 0${name === 'rate' ? ' or "half"' : ''}`)
}
const minutes = positive('minutes', options.minutes)
const everyMs = positive('every', options.every) * 1000
const wantedRate = options.rate === 'half' ? undefined : positive('rate', options.rate)
const fullSpeedMs = 20_000
const sessions = 20
/** Of so many messages, one has 100 KiB, and the others 2 KiB. */
const largeEvery = 50

/** Accepted and not arrived yet. A message may arrive before its 250 is read. */
const underway = new Set<string>()
const early = new Set<string>()
const counts = { accepted: 0, damaged: 0 }

function onAccepted(id: string): void {
  counts.accepted += 1
  if (!early.delete(id)) underway.add(id)
}

function arrived(content: string): void {
  const id = idOf(content)
  if (id === undefined) counts.damaged += 1
  else if (!underway.delete(id)) early.add(id)
}

const zone = {
  names: {
    'load.test': { a: ['127.0.0.1'], txt: ['v=spf1 ip4:127.0.0.0/8 -all'] },
    '_dmarc.load.test': { txt: ['v=DMARC1; p=none'] },
  },
}

console.log(`${conditions()}\n`)
const sink = await startWireSink({ take: ({ content }) => arrived(content) })
const dns = await startDns(zone)
const postern = await startPostern({ dns: dns.server })
try {
  const gateway = { host: sink.host, port: sink.port, tls: 'none' }
  await postern.api.patch('/v1/settings/general', { gateway })
  await postern.settle()
  const rate = wantedRate ?? (await fullSpeed()) / 2
  console.log(`${figure(rate)} messages a second for ${figure(minutes)} minutes; a sample each ${everyMs / 1000} s`)
  const samples = await soak(rate)
  process.exitCode = (await report(samples, rate)) ? 0 : 1
} catch (error) {
  console.error(postern.logs().slice(-20_000))
  throw error
} finally {
  await postern.stop()
  await dns.stop()
  await sink.stop()
}

function aim(prefix: string): Omit<LoadOptions, 'bytes' | 'sessions'> {
  const { host, smtpPort: port } = postern
  return { host, port, prefix, to: { domain: 'far.test' }, afterLoss: 'reconnect', onAccepted }
}

/** What is relayed in a second: all that is accepted in a while, by the time until all of it has arrived. */
async function fullSpeed(): Promise<number> {
  const start = performance.now()
  const load = startLoad({ ...aim('full-'), sessions, bytes: 2048 })
  await sleep(fullSpeedMs)
  await load.stop()
  const accepted = counts.accepted
  await until('the sink has all', () => underway.size === 0, { withinMs: 300_000, everyMs: 20 })
  const perSecond = (accepted * 1000) / (performance.now() - start)
  await postern.quiet({ withinMs: 300_000 })
  console.log(`full speed: ${figure(perSecond)} messages a second`)
  return perSecond
}

async function soak(rate: number): Promise<Sample[]> {
  const small = startLoad({ ...aim('small-'), sessions, bytes: 2048, perSecond: rate * (1 - 1 / largeEvery) })
  const large = startLoad({ ...aim('large-'), sessions: 2, bytes: 102_400, perSecond: rate / largeEvery })
  const samples = [
    await takeSample(postern, { at: 0, accepted: counts.accepted, perSecond: Number.NaN, p99Ms: Number.NaN }),
  ]
  const all = createHistogram({ figures: 3 })
  const start = performance.now()
  let [before, lastAt] = [counts.accepted, start]
  const end = start + minutes * 60_000
  while (performance.now() < end) {
    await sleep(Math.min(everyMs, Math.max(0, end - performance.now())))
    const now = performance.now()
    const perSecond = ((counts.accepted - before) * 1000) / (now - lastAt)
    ;[before, lastAt] = [counts.accepted, now]
    const p99Ms = quantileMs(small.latencies, 0.99)
    all.add(small.latencies)
    small.latencies.reset()
    samples.push(await takeSample(postern, { at: (now - start) / 1000, accepted: counts.accepted, perSecond, p99Ms }))
  }
  await Promise.all([small.stop(), large.stop()])
  const refused = [...small.refused, ...large.refused].map(([reply, count]) => `${count} × ${reply}`)
  console.log(`dot → 250: p50 ${figure(quantileMs(all, 0.5))} ms, p99 ${figure(quantileMs(all, 0.99))} ms`)
  console.log(`sessions dropped: ${small.dropped + large.dropped}; refused: ${refused.join('; ') || 'none'}`)
  return samples
}

/** Writes the results, and returns whether all is well. */
async function report(samples: Sample[], rate: number): Promise<boolean> {
  await until('the sink has all', () => underway.size === 0, { withinMs: 120_000 }).catch(() => {})
  const books = await postern.quiet({ withinMs: 120_000 })
  const verdicts = series.map((one) => judge(one, samples))
  const rows = verdicts.map(({ series: { panel, name }, first, last, slopeAnHour, flat }) => [
    `${panel}, ${name}`,
    ...[first, last, slopeAnHour].map(figure),
    flat,
  ])
  const result = table(['series', 'first quarter', 'last quarter', 'slope an hour', 'flat'], rows)
  const directory = join(options.output, `bench-load-${new Date().toISOString().slice(0, 19).replaceAll(':', '-')}`)
  await mkdir(directory)
  await writeFile(join(directory, 'samples.csv'), csv(samples))
  await writeFile(join(directory, 'soak.svg'), picture(samples, `${figure(rate)} messages a second`))
  const lost = underway.size
  console.log(`\n${result}\n\nMedians; memory and disk in MB. The log grows with each message, by design.`)
  console.log(
    `messages lost: ${lost} of ${counts.accepted} (damaged: ${counts.damaged}, twice or unconfirmed: ${early.size})`,
  )
  console.log(`books: ${JSON.stringify(books.total)}`)
  console.log(`samples and picture: ${directory}`)
  return lost + counts.damaged === 0 && books.total.balance === 0 && verdicts.every(({ flat }) => flat !== 'no')
}

function picture(samples: readonly Sample[], title: string): string {
  const charts = panels.map((panel) => ({
    ...panel,
    lines: series
      .filter((one) => one.panel === panel.title)
      .map(({ name, of }) => ({ name, values: samples.map((sample) => [sample.at, of(sample)] as const) })),
  }))
  return chartsAsSvg(`Postern under a steady load: ${title}`, charts)
}
