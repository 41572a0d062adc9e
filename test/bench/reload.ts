import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { connect } from '@postern/smtp/test/wire-client.ts'
import { until } from '../peers/peer.ts'
import { startPostern } from '../system/postern.ts'
import { startWireSink } from '../wire/sink.ts'
import { conditions } from './conditions.ts'
import { figure, quantile, quantileMs, table } from './figures.ts'
import { idOf, type Load, startLoad } from './load.ts'

/**
 * Measures the time from PATCH to enforcement, while mail flows at half of the machine's rate. One session keeps asking
 * whether it may send a message of a certain size, and so sees the change on the wire. The sessions of the load
 * continue: none may be dropped, and every message that got 250 must arrive.
 */

const { values: options } = parseArgs({
  options: {
    /** At most a minute: 40 changes. */
    quick: { type: 'boolean', default: false },
    changes: { type: 'string' },
  },
})
const changes = Number(options.changes ?? (options.quick ? 40 : 200))
const sessions = 20
const bytes = 1024
const fullSpeedMs = options.quick ? 3_000 : 8_000
/** A size is refused under one setting and allowed under the other. */
const [small, declared, large] = [10_000_000, 15_000_000, 20_000_000]

console.log(`${conditions()}\n`)
const received = new Set<string>()
let damaged = 0
const sink = await startWireSink({
  take: ({ content }) => {
    const id = idOf(content)
    if (id) received.add(id)
    else damaged += 1
  },
})
const postern = await startPostern()
try {
  const gateway = { host: sink.host, port: sink.port, tls: 'none' }
  const { revision } = await postern.api.patch('/v1/settings/general', { gateway, maxMessageBytes: small })
  await postern.settle(revision)

  const aim = { host: postern.host, port: postern.smtpPort, sessions, bytes, afterLoss: 'give up' } as const
  const full = startLoad({ ...aim, prefix: 'full-', to: { domain: 'far.test' } })
  await sleep(fullSpeedMs)
  await full.stop()
  const fullRate = (full.accepted.size * 1000) / fullSpeedMs
  await until('the sink has all', () => missing(full).length === 0, { withinMs: 120_000 })
  // Half of the relayed rate, not of the accepted rate. Otherwise the queue would grow throughout the run.
  const load = startLoad({ ...aim, prefix: 'half-', to: { domain: 'far.test' }, perSecond: fullRate / 2 })
  const loadStart = performance.now()

  const enforced: number[] = []
  const answered: number[] = []
  const probe = await connect({ port: postern.smtpPort, from: '127.0.0.9' })
  await probe.hello()
  for (let change = 0; change < changes; change += 1) {
    const allowed = change % 2 === 0
    const start = performance.now()
    const patched = postern.api.patch('/v1/settings/general', { maxMessageBytes: allowed ? large : small }).then(() => {
      answered.push(performance.now() - start)
    })
    for (let seen = false; !seen; ) {
      if (performance.now() - start > 30_000) throw new Error(`change ${change} is not enforced after 30 s`)
      const reply = await probe.ask(`MAIL FROM:<probe@load.test> SIZE=${declared}`)
      if (reply.code === 250) await probe.say('RSET').expect(250)
      else if (reply.code !== 552) throw new Error(`the probe was answered ${reply.raw}`)
      seen = (reply.code === 250) === allowed
      if (!seen) await sleep(1)
    }
    enforced.push(performance.now() - start)
    probe.transcript.length = 0
    await patched
    await sleep(Math.random() * 50)
  }
  await probe.quit()
  await load.stop()
  const seconds = (performance.now() - loadStart) / 1000
  await until('the sink has all', () => missing(load).length === 0, { withinMs: 60_000 }).catch(() => {})
  const books = await postern.quiet()
  const lost = missing(load).length + missing(full).length
  const dropped = load.dropped + full.dropped

  console.log(
    table(
      ['what', 'p50', 'p99', 'max'],
      [
        ['PATCH sent → enforced, ms', ...[0.5, 0.99, 1].map((part) => figure(quantile(enforced, part)))],
        ['PATCH sent → answered, ms', ...[0.5, 0.99, 1].map((part) => figure(quantile(answered, part)))],
        ['dot → 250 meanwhile, ms', ...[0.5, 0.99, 1].map((part) => figure(quantileMs(load.latencies, part)))],
      ],
    ),
  )
  console.log(`
${changes} changes of general.maxMessageBytes, seen by a probing session, under ${figure(load.accepted.size / seconds)} messages/s from ${sessions} sessions (full speed here: ${figure(fullRate)}), relayed to a sink.
sessions dropped: ${dropped}
messages lost: ${lost} of ${load.accepted.size + full.accepted.size} (damaged: ${damaged})
replies other than 250: ${[...load.refused, ...full.refused].map(([reply, count]) => `${count} × ${reply}`).join('; ') || 'none'}
books: ${JSON.stringify(books.total)}`)
  process.exitCode = dropped + lost + damaged === 0 ? 0 : 1
} catch (error) {
  console.error(postern.logs().slice(-20_000))
  throw error
} finally {
  await postern.stop()
  await sink.stop()
}

/** Messages that were accepted and are not at the sink yet. */
function missing({ accepted }: Load): string[] {
  return [...accepted].filter((id) => !received.has(id))
}
