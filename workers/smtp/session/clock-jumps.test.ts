import { afterEach, expect, it, vi } from 'vitest'
import { SessionLog } from '../record/session-log.ts'
import { startTestReceiver } from '../test/receiver-harness.ts'
import { pastBanner } from '../test/wire-client.ts'

/** The machine's clock is set while sessions are open. */

const hour = 3_600_000
const year = 365 * 24 * hour

afterEach(() => void vi.useRealTimers())

const jumps = [
  ['an hour forward', hour],
  ['an hour back', -hour],
  ['a year forward', year],
  ['a year back', -year],
] as const

it.each(jumps)('%s: a session goes on, and is timed by what passes', async (_, by) => {
  vi.useFakeTimers({ toFake: ['Date', 'performance'] })
  const receiver = await startTestReceiver({ settings: { advanced: { commandTimeoutSeconds: 10 } } })
  const silent = await pastBanner({ port: receiver.port() })
  vi.advanceTimersByTime(6_000)
  const client = await pastBanner({ port: receiver.port() })
  await client.answer('EHLO client.test')
  vi.setSystemTime(Date.now() + by)
  vi.advanceTimersByTime(6_000)
  // Its end shows that the receiver has looked who was silent for too long; the other one was silent for 6 s.
  expect(await silent.text()).toMatch(/^421 /)
  expect(await client.answer('MAIL FROM:<sam@remote.test>')).toMatch(/^250 /)
  expect(await client.answer('RCPT TO:<jane@example.test>')).toMatch(/^250 /)
  expect(await client.answer('QUIT')).toMatch(/^221 /)
  client.destroy()
  await receiver.close()
})

it.each(jumps)('%s: the event about the end of a session says how long it was', (_, by) => {
  const told: { seconds: number }[] = []
  const receiver = { wants: () => true, record: (_: string, fields: { seconds: number }) => told.push(fields) }
  const log = new SessionLog(receiver as never, { ip: '192.0.2.7' } as never, { session: 's1', isVerb: () => true })
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + by })
  log.closed()
  expect(told).toEqual([expect.objectContaining({ seconds: 0 })])
})
