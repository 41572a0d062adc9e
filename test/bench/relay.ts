import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { until } from '../peers/peer.ts'
import { type SmtpSink, startSmtpSink } from '../peers/smtp-sink.ts'
import { runSmtpSource } from '../peers/smtp-source.ts'
import { conditions } from './conditions.ts'
import { figure, median, table, times } from './figures.ts'
import { cpuDetail, posternTarget, postfixTarget, type Target } from './target.ts'

/**
 * Measures end to end: from the first message sent to the last one received by the next server, with each message on
 * disk before its 250. Each server relays everything to its own smtp-sink, with its default limits per destination.
 */

const { values: options } = parseArgs({
  options: {
    /** Takes at most a minute: 1 KiB only, short runs. */
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '3' },
    /** Comma-separated: postern, postfix. */
    servers: { type: 'string', default: 'postern,postfix' },
  },
})

const sessions = 50
const sizes = options.quick ? [1024] : [1024, 10_240, 102_400]
const runMs = options.quick ? 4_000 : 10_000

type Relay = {
  target: Target
  sink: SmtpSink
}
type Sample = {
  perSecond: number
  cpuMicros: number
  cpuDetail: string
}

/** Runs once: sends all messages and waits for all. Rejects if some are missing after five minutes. */
async function run({ target, sink }: Relay, { bytes, messages }: { bytes: number; messages: number }): Promise<Sample> {
  const before = { cpu: target.cpuMicros(), received: sink.received().messages }
  const partsBefore = target.cpuByProcess?.()
  const { host, port, to } = target
  const start = performance.now()
  await runSmtpSource({ host, port, to, bytes, messages, sessions, reuse: true })
  const all = () => sink.received().messages - before.received >= messages
  await until(`${target.name} has relayed ${messages} messages`, all, { withinMs: 300_000, everyMs: 5 })
  const elapsedMs = sink.received().lastAt - start
  await target.drained()
  return {
    perSecond: (messages * 1000) / elapsedMs,
    cpuMicros: (target.cpuMicros() - before.cpu) / messages,
    cpuDetail: cpuDetail(target, partsBefore, messages),
  }
}

/** Returns how many messages make a run of the wanted length. Finds out by sending more and more, which also warms up. */
async function messagesFor(relay: Relay, bytes: number): Promise<number> {
  for (let messages = 200; ; messages *= 3) {
    const { perSecond } = await run(relay, { bytes, messages })
    if (messages / perSecond > runMs / 8000) return Math.round((perSecond * runMs) / 1000)
  }
}

const starts: Record<string, (sink: SmtpSink) => Promise<Target>> = {
  postern: ({ host, port }) => posternTarget({ to: 'relay', host, port }),
  postfix: ({ host, port }) => postfixTarget({ to: 'relay', host, port }),
}

console.log(`${conditions()}\n`)
const relays: Relay[] = []
try {
  for (const name of options.servers.split(',')) {
    const start = starts[name]
    if (!start) throw new Error(`--servers: ${name} is not one of ${Object.keys(starts).join(', ')}`)
    const sink = await startSmtpSink({ sessions: 1000 })
    relays.push({ sink, target: await start(sink) })
  }
  const rows: string[][] = []
  for (const bytes of sizes) {
    const samples = new Map<string, Sample[]>(relays.map(({ target }) => [target.name, []]))
    const counts = new Map<string, number>()
    for (const relay of relays) counts.set(relay.target.name, await messagesFor(relay, bytes))
    for (let round = 0; round < Number(options.rounds); round += 1) {
      for (const relay of relays) {
        const messages = counts.get(relay.target.name) as number
        samples.get(relay.target.name)?.push(await run(relay, { bytes, messages }))
        await sleep(200)
      }
    }
    const rate = (name: string) => median((samples.get(name) ?? []).map((sample) => sample.perSecond))
    for (const [name, of] of samples) {
      const cpu = `${figure(median(of.map((sample) => sample.cpuMicros)))}${of.at(-1)?.cpuDetail ?? ''}`
      rows.push([`${bytes / 1024} KiB`, name, figure(rate(name)), times(rate(name) / rate('Postfix')), cpu])
      console.error(rows.at(-1)?.join('  '))
    }
  }
  console.log(table(['size', 'server', 'messages/s', 'to Postfix', 'CPU µs'], rows))
  console.log(
    `\nMedians of ${options.rounds} interleaved rounds of about ${runMs / 1000} s, ${sessions} sessions reused, all default limits.`,
  )
  console.log(
    'From the first message sent to the last received by smtp-sink; CPU of the server, until its queue is empty.',
  )
} finally {
  for (const { target, sink } of relays) {
    await target.stop()
    await sink.stop()
  }
}
