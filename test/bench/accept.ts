import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { runSmtpSource } from '../peers/smtp-source.ts'
import { conditions } from './conditions.ts'
import { figure, median, quantileMs, table, times } from './figures.ts'
import { startLoad } from './load.ts'
import { bareTarget, cpuDetail, posternTarget, postfixTarget, type Target } from './target.ts'

/**
 * Measures durable acceptance: how many messages per second each server answers with 250, the CPU time per message, and
 * how long a client waits for its 250. Rounds are interleaved, so that other work on the machine affects all servers
 * alike. The table shows medians. The rate counts until the last 250, the CPU time until the queue is empty.
 */

const { values: options } = parseArgs({
  options: {
    /** Takes at most a minute: 1 KiB only, short runs. */
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '3' },
    /** Comma-separated: postern, postfix, hold, bare. `hold`: Postfix that only accepts mail and leaves it in its queue. */
    servers: { type: 'string' },
  },
})

const servers = (options.servers ?? (options.quick ? 'postern,postfix,bare' : 'postern,postfix,hold,bare')).split(',')

const shapes = [
  { name: '10 sessions reused', sessions: 10, reuse: true },
  { name: '50 sessions reused', sessions: 50, reuse: true },
  { name: '50, one message each', sessions: 50, reuse: false },
]
const sizes = options.quick ? [1024] : [1024, 10_240, 102_400]
const runMs = options.quick ? 1_000 : 2_500
/** Address of the client that measures the wait for 250 beside the load. */
const probesPerSecond = 50

type Sample = {
  perSecond: number
  cpuMicros: number
  cpuDetail: string
  latencies: RecordableHistogram
}
type Cell = {
  shape: (typeof shapes)[number]
  bytes: number
  /** By server's name. */
  samples: Map<string, Sample[]>
}

async function measure(target: Target, { shape, bytes }: Cell, messages: number): Promise<Sample> {
  const cpuBefore = target.cpuMicros()
  const partsBefore = target.cpuByProcess?.()
  const { host, port, to } = target
  const prefix = `p${process.hrtime.bigint()}-`
  const pace = { sessions: 1, perSecond: probesPerSecond, afterLoss: 'reconnect' } as const
  const probe = startLoad({ host, port, bytes, to: { address: to }, prefix, ...pace })
  const run = await runSmtpSource({ host, port, to, bytes, messages, sessions: shape.sessions, reuse: shape.reuse })
  await probe.stop()
  await target.drained()
  const all = messages + probe.accepted.size
  return {
    perSecond: (all * 1000) / run.elapsedMs,
    cpuMicros: (target.cpuMicros() - cpuBefore) / all,
    cpuDetail: cpuDetail(target, partsBefore, all),
    latencies: probe.latencies,
  }
}

/** Runs until caches are filled and code is compiled, because a server runs for months. */
async function warmUp({ host, port, to, drained }: Target): Promise<void> {
  await runSmtpSource({
    host,
    port,
    to,
    bytes: 1024,
    messages: options.quick ? 2_000 : 10_000,
    sessions: 20,
    reuse: true,
  })
  await drained()
}

/** Returns how many messages make a run of the wanted length. Finds out by sending more and more. */
async function messagesFor(target: Target, { shape, bytes }: Cell): Promise<number> {
  const { host, port, to } = target
  for (let messages = 100; ; messages *= 4) {
    const run = await runSmtpSource({ host, port, to, bytes, messages, sessions: shape.sessions, reuse: shape.reuse })
    await target.drained()
    if (run.elapsedMs > runMs / 8) return Math.max(shape.sessions * 2, Math.round((run.perSecond * runMs) / 1000))
  }
}

async function measureCell(cell: Cell, targets: Target[]): Promise<void> {
  const counts = new Map<string, number>()
  for (const target of targets) counts.set(target.name, await messagesFor(target, cell))
  for (let round = 0; round < Number(options.rounds); round += 1) {
    for (const target of targets) {
      const sample = await measure(target, cell, counts.get(target.name) as number)
      cell.samples.set(target.name, [...(cell.samples.get(target.name) ?? []), sample])
      await sleep(200)
    }
  }
}

function rowsOf({ shape, bytes, samples }: Cell): string[][] {
  const rate = (name: string) => median((samples.get(name) ?? []).map((sample) => sample.perSecond))
  return [...samples].map(([name, of]) => {
    const latencies = createHistogram({ figures: 3 })
    for (const sample of of) latencies.add(sample.latencies)
    return [
      `${bytes / 1024} KiB, ${shape.name}`,
      name,
      figure(rate(name)),
      times(rate(name) / rate('Postfix')),
      `${figure(median(of.map((sample) => sample.cpuMicros)))}${of.at(-1)?.cpuDetail ?? ''}`,
      `${figure(quantileMs(latencies, 0.5))} / ${figure(quantileMs(latencies, 0.99))}`,
    ]
  })
}

const starts: Record<string, () => Promise<Target>> = {
  postern: () => posternTarget({ to: 'discard' }),
  postfix: () => postfixTarget({ to: 'discard' }),
  hold: () => postfixTarget({ to: 'hold' }, 'Postfix, hold'),
  bare: bareTarget,
}

console.log(`${conditions()}\n`)
const targets: Target[] = []
try {
  for (const name of servers) {
    const start = starts[name]
    if (!start) throw new Error(`--servers: ${name} is not one of ${Object.keys(starts).join(', ')}`)
    targets.push(await start())
  }
  for (const target of targets) await warmUp(target)
  const cells = sizes.flatMap((bytes) => shapes.map((shape): Cell => ({ shape, bytes, samples: new Map() })))
  for (const cell of cells) {
    await measureCell(cell, targets)
    console.error(
      rowsOf(cell)
        .map((row) => row.join('  '))
        .join('\n'),
    )
  }
  const head = ['load', 'server', 'messages/s', 'to Postfix', 'CPU µs', 'dot → 250 p50 / p99 ms']
  console.log(table(head, cells.flatMap(rowsOf)))
  console.log(
    `\nMedians of ${options.rounds} interleaved rounds. Postern and Postfix: on disk before 250, then through the queue`,
  )
  console.log(
    'to a route that discards; their CPU is counted until the queue is empty. "Postfix, hold" only accepts mail and',
  )
  console.log(
    'leaves it in its queue: its best case. smtp-server stores nothing, and does not wait 100 ms before its banner.',
  )
} finally {
  for (const target of targets) await target.stop()
}
