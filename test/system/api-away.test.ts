import { connect } from '@postern/smtp/test/wire-client.ts'
import { afterEach, expect, it } from 'vitest'
import { idOf, startLoad } from '../bench/load.ts'
import { showLogsOnFailure } from '../peers/failure.ts'
import { answers, until } from '../peers/peer.ts'
import { startWireSink, type WireSink } from '../wire/sink.ts'
import { type Postern, startPostern } from './postern.ts'
import { environmentOf, startByHand, type WorkerProcess } from './worker-process.ts'

let postern: Postern | undefined
let sink: WireSink | undefined
let byHand: WorkerProcess | undefined
afterEach(async () => {
  await byHand?.kill()
  await postern?.stop()
  await sink?.stop()
  byHand = postern = sink = undefined
})

showLogsOnFailure(() => [postern, byHand && { name: 'smtp by hand', logs: byHand.logs }])

it('mail flows while the API is down, a worker starts without it, and afterwards the books balance', async () => {
  const arrived = new Set<string>()
  sink = await startWireSink({ take: ({ content }) => arrived.add(idOf(content) ?? 'damaged') })
  postern = await startPostern()
  await postern.settle()
  const gateway = { host: sink.host, port: sink.port, tls: 'none' }
  const { revision } = await postern.api.patch('/v1/settings/general', { gateway, maxMessageBytes: 54_321 })
  await postern.settle(revision)
  const to = { domain: 'far.test' }
  const aim = { host: postern.host, port: postern.smtpPort, sessions: 5, bytes: 1_000, perSecond: 300, to }
  const load = startLoad({ ...aim, prefix: 'a-', afterLoss: 'give up' })
  await until('mail flows', () => load.accepted.size > 50 && arrived.size > 50)
  await postern.kill('api')
  const atDeath = { accepted: load.accepted.size, arrived: arrived.size }
  await until('300 more are accepted', () => load.accepted.size - atDeath.accepted > 300)
  await until('300 more are delivered', () => arrived.size - atDeath.arrived > 300)
  await load.stop()
  expect(load.dropped).toBe(0)
  expect([...load.refused]).toEqual([])

  const [pid] = postern.pids('smtp')
  const env = environmentOf(pid as number)
  await postern.kill('smtp')
  byHand = startByHand('smtp', env)
  const { smtpPort } = postern
  await until('the worker answers', () => answers(postern?.host ?? '', smtpPort))
  const client = await connect({ port: smtpPort })
  expect((await client.hello()).get('SIZE')).toBe('54321')
  await client.quit()
  const alone = startLoad({ ...aim, prefix: 'b-', afterLoss: 'give up' })
  await until('it takes mail', () => alone.accepted.size > 100)
  await alone.stop()
  expect(await byHand.stop()).toBe(0)

  await postern.restart()
  await postern.settle()
  const accepted = [...load.accepted, ...alone.accepted]
  const { total } = await postern.quiet()
  expect(total).toMatchObject({ received: accepted.length, delivered: accepted.length, balance: 0 })
  expect(accepted.filter((id) => !arrived.has(id))).toEqual([])
  const changed = await postern.api.patch('/v1/settings/general', { maxMessageBytes: 65_432 })
  await postern.settle(changed.revision)
})
