import type { Order } from '@postern/contract/orders.ts'
import type { WorkerReport } from '@postern/contract/worker-protocol.ts'
import { rowsById } from '@postern/store/control/rows.ts'
import { enrolWorker, putReport } from '@postern/store/records/workers.ts'
import { expect, it } from 'vitest'
import { sweep } from './housekeeping.ts'
import { startFixture } from './test/fixture.ts'

const day = 86_400_000
const midnightBefore = (at: number) => at - (at % day)

// [queue.dailyReport]
it('one report per day about the previous day, from one Queue Manager, however many processes order it', async () => {
  const api = await startFixture()
  const { parts, clock } = api
  const began = Date.now()
  const reports = async () => {
    const rows = await rowsById(parts.control, 'order', { after: '', limit: 100 })
    return rows.map(({ id, value }) => ({ id, value: JSON.parse(value ?? '{}') as Order }))
  }
  const goTo = (at: number) => {
    clock.ahead = at - Date.now()
  }
  const tomorrow = midnightBefore(began) + day
  const name = new Date(began).toISOString().slice(0, 10)
  const verdict = {
    stage: 'rcpt',
    rule: 'relay',
    reason: 'relay-denied',
    revision: 1,
    reply: '550 5.7.1 no relaying',
    explanation: [],
    trail: [],
  }
  const happened = { at: new Date(began).toISOString(), client: { ip: '192.0.2.7' }, verdict }
  const refused = { type: 'command.refused', ...happened }
  expect((await api.sendEvents(await api.tokens.smtp(), [refused, refused])).status).toBe(200)
  const counted = { service: 'smtp', metrics: { commands_refused_total: 2 }, pid: 1, startedAt: happened.at }
  await putReport(parts.records, { id: 'smtp-1', report: counted as unknown as WorkerReport, now: began })

  goTo(tomorrow + 6 * 60_000)
  await sweep(parts)
  expect(await reports(), 'nobody wants one').toEqual([])
  clock.ahead = 0
  const body = { dailyReport: 'boss@example.org' }
  expect((await api.send('PATCH', '/v1/settings/queue', { body })).status).toBe(200)
  for (const id of ['queue-2', 'queue-1']) await enrolWorker(parts.records, { id, service: 'queue', now: began })
  goTo(tomorrow + 4 * 60_000)
  await sweep(parts)
  expect(await reports(), 'too early').toEqual([])
  goTo(tomorrow + 5 * 60_000)
  await Promise.all([sweep(parts), sweep(parts), sweep(parts)])
  await sweep(parts)
  const [only, ...more] = await reports()
  expect(more).toEqual([])
  expect(only).toMatchObject({
    id: `report-${name}`,
    value: {
      action: 'report',
      worker: expect.stringMatching(/^queue-[12]$/),
      report: { to: 'boss@example.org', subject: `Daily report for ${name}` },
    },
  })
  expect(only?.value.report?.text).toMatch(/Refused \(replies\) +2\n +relay-denied +2/)
  goTo(tomorrow + day + 4 * 60_000)
  await sweep(parts)
  expect((await reports()).map(({ id }) => id)).not.toContain(`report-${new Date(tomorrow).toISOString().slice(0, 10)}`)
  goTo(tomorrow + day + 6 * 60_000)
  await sweep(parts)
  await sweep(parts)
  expect((await reports()).map(({ id }) => id)).toEqual([`report-${new Date(tomorrow).toISOString().slice(0, 10)}`])
})
