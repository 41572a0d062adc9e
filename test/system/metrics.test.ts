import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { workerMetrics } from '@postern/contract/metrics.ts'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { showLogsOnFailure } from '../peers/failure.ts'
import { runSwaks } from '../peers/swaks.ts'
import { type Postern, startPostern } from './postern.ts'

/** Checks the metrics and alerts with Prometheus's own tool. */
let postern: Postern
showLogsOnFailure(() => [postern])
beforeAll(async () => {
  postern = await startPostern({ readyWithinMs: 110_000 })
  await postern.api.post('/v1/domains', { name: 'a.test', route: { type: 'discard' } })
  const made = await postern.api.post('/v1/aliases', { address: 'ann@a.test', to: ['bob@a.test'] })
  const last = await postern.api.post('/v1/accounts', { address: 'bob@a.test', secret: 'a long enough secret' })
  await postern.settle(last.revision ?? made.revision)
  await runSwaks({ host: postern.host, port: postern.smtpPort }, ['--to', 'bob@a.test'])
})
afterAll(() => postern.stop())

const read = async () => (await fetch(`${postern.url}/metrics`)).text()
const promtool = (args: string[], input = '') => {
  const { status, stdout, stderr } = spawnSync('promtool', args, { input, encoding: 'utf8' })
  return { status, said: `${stdout}${stderr}` }
}
const rules = join(import.meta.dirname, '../../infra/monitoring/postern.rules.yml')

it('passes promtool, with a type and help for each metric, by worker', async () => {
  await expect.poll(async () => /^postern_messages_accepted_total\{.*\} 1$/m.test(await read())).toBe(true)
  const text = await read()
  expect(promtool(['check', 'metrics'], text)).toEqual({ status: 0, said: '' })
  for (const [name, { type, help }] of Object.entries(workerMetrics)) {
    expect(text).toContain(`# HELP postern_${name} ${help}\n# TYPE postern_${name} ${type}\n`)
    expect(text).toMatch(
      new RegExp(`^postern_${name}\\{(?=.*worker="[^"]+")(?=.*service="(smtp|queue)").*\\} \\d`, 'm'),
    )
  }
  expect(new Set(Object.values(workerMetrics).map(({ help }) => help)).size).toBe(Object.keys(workerMetrics).length)
})

it('has every number that a worker reports', async () => {
  const text = await read()
  const workers = await postern.workers()
  expect(workers.length).toBe(2)
  for (const { id } of workers) expect(text).toContain(`worker="${id}"`)
})

it('has alerts that pass promtool and use existing metrics', async () => {
  expect(promtool(['check', 'rules', rules])).toMatchObject({ status: 0 })
  const text = await read()
  const asked = new Set(readFileSync(rules, 'utf8').match(/\bpostern_\w+/g))
  for (const name of asked) expect(text).toContain(`# TYPE ${name} `)
})
