import { beforeAll, expect, it } from 'vitest'
import { type Fixture, startFixture } from './test/fixture.ts'
import { workerReport } from './test/worker-report.ts'

let api: Fixture
beforeAll(async () => {
  api = await startFixture({ fixed: { 'advanced.port': 'POSTERN_SMTP_PORT=10025' } })
})

const get = async (group: string) => (await api.send('GET', `/v1/settings/${group}`)).json
const patch = (group: string, body: object) => api.send('PATCH', `/v1/settings/${group}`, { body })
const open = (ports: Record<string, number>) =>
  Object.entries(ports).map(([name, port]) => ({ name, address: '127.0.0.1', port }))

const report = async (changes: object) => {
  const body = workerReport('smtp', { revision: (await get('advanced')).revision, ...changes })
  expect((await api.send('POST', '/v1/worker/report', { token: await api.tokens.smtp(), body })).status).toBe(200)
}

it('shows the port in force beside the saved one, on which worker, and why', async () => {
  expect((await get('advanced')).inForce).toEqual({})
  await patch('advanced', { extraPorts: [2526] })
  const detail = 'extra-2526 on port 2526: listen EADDRINUSE: address already in use'
  await report({ observed: 'degraded', detail, listeners: open({ smtp: 10_025, submission: 2587 }) })
  const inForce = {
    'advanced.port': [{ worker: 'smtp-1', ports: [10_025], because: 'fixed by POSTERN_SMTP_PORT' }],
    'advanced.submissionPort': [
      { worker: 'smtp-1', ports: [2587], because: 'it cannot open ports below 1024 without root' },
    ],
    'advanced.extraPorts': [{ worker: 'smtp-1', ports: [], because: detail }],
  }
  expect((await get('advanced')).inForce).toEqual(inForce)
  expect((await get('tls')).inForce).toEqual({})
  expect((await api.send('GET', '/v1/settings')).json.inForce).toEqual(inForce)
})

it('omits ports that match the saved ones, stopped workers, and workers that are gone', async () => {
  await patch('advanced', { extraPorts: [], submissionPort: 5870 })
  await report({ listeners: open({ smtp: 25, submission: 5870 }) })
  expect((await get('advanced')).inForce).toEqual({})
  await report({ observed: 'stopped' })
  expect((await get('advanced')).inForce).toEqual({})
  await report({ listeners: open({ smtp: 2525, submission: 2587 }) })
  api.clock.ahead = 60_000
  expect((await get('advanced')).inForce).toEqual({})
  api.clock.ahead = 0
})

it('shows a change that has not arrived yet, and a port that waits for a certificate', async () => {
  const { revision } = await get('advanced')
  await patch('advanced', { submissionPort: 5871 })
  await patch('tls', { implicitTls: true })
  const before = { revision, listeners: open({ smtp: 25, submission: 5870 }) }
  await report(before)
  const because = `it is still on revision ${revision}, not ${revision + 2}`
  expect((await get('advanced')).inForce['advanced.submissionPort']).toEqual([
    { worker: 'smtp-1', ports: [5870], because },
  ])
  await report({ listeners: open({ smtp: 25, submission: 5871 }) })
  expect((await get('tls')).inForce['tls.implicitTlsPort']).toEqual([
    { worker: 'smtp-1', ports: [], because: 'it opens as soon as there is a certificate' },
  ])
})
