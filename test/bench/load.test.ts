import { expect, it } from 'vitest'
import { peersOfEachTest } from '../peers/failure.ts'
import { until } from '../peers/peer.ts'
import { startPostfix } from '../peers/postfix.ts'
import { startWireSink } from '../wire/sink.ts'
import { quantile, table } from './figures.ts'
import { idOf, startLoad } from './load.ts'

const keep = peersOfEachTest()

it('a paced load through a real server: each message that got 250 arrives intact', async () => {
  const arrived = new Set<string | undefined>()
  const sink = await startWireSink({ take: ({ content }) => arrived.add(idOf(content)) })
  const relay = { to: 'relay', host: sink.host, port: sink.port } as const
  const postfix = await keep(startPostfix({ deliver: relay, settings: { smtpd_hard_error_limit: '1000' } }))
  const aim = { host: postfix.host, port: postfix.port, sessions: 4, bytes: 2000, prefix: 'm-' }
  const load = startLoad({ ...aim, perSecond: 100, to: { domain: 'far.test' }, afterLoss: 'give up' })
  const startedAt = performance.now()
  await until('21 are accepted', () => load.accepted.size > 20)
  await load.stop()
  const seconds = (performance.now() - startedAt) / 1000
  expect(load.accepted.size).toBeLessThan(100 * seconds + 20)
  expect(load).toMatchObject({ dropped: 0, refused: new Map(), unanswered: new Set() })
  expect(load.latencies.count).toBe(load.accepted.size)
  await until('all arrived', () => arrived.size >= load.accepted.size)
  expect(arrived).toEqual(load.accepted)
  await sink.stop()
})

it('a refusal is counted with its reply, and the session continues', async () => {
  const postfix = await keep(
    startPostfix({ deliver: { to: 'discard' }, reject: { 'm-1@far.test': '550 5.1.1 not here' } }),
  )
  const aim = { host: postfix.host, port: postfix.port, sessions: 1, bytes: 500, prefix: 'm-', perSecond: 20 }
  const load = startLoad({ ...aim, to: { domain: 'far.test' }, afterLoss: 'give up' })
  await until('three are taken', () => load.accepted.size >= 3)
  await load.stop()
  expect([...load.refused]).toMatchObject([[expect.stringMatching(/^550 5.1.1/), 1]])
  expect(load.dropped).toBe(0)
})

it('if the server dies, its sessions count as dropped, and unanswered messages as in doubt', async () => {
  const sink = await startWireSink({ take: () => {} })
  const aim = { host: sink.host, port: sink.port, sessions: 3, bytes: 500, prefix: 'm-', to: { address: 'a@b.test' } }
  const load = startLoad({ ...aim, afterLoss: 'give up' })
  await until('mail flows', () => sink.count > 50)
  await sink.stop()
  await load.stop()
  expect(load.dropped).toBe(3)
  expect(load.accepted.size + load.unanswered.size).toBeGreaterThanOrEqual(sink.count)
})

it('figures', () => {
  expect([quantile([], 0.5), quantile([3, 1, 2], 0.5), quantile([1, 2], 1)]).toEqual([Number.NaN, 2, 2])
  expect(table(['a', 'b'], [['x', '12']])).toBe('| a |  b |\n| - | -: |\n| x | 12 |')
})
