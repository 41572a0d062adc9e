import { AxeBuilder } from '@axe-core/playwright'
import { createTransport } from 'nodemailer'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { until } from '../peers/peer.ts'
import { type Console, openConsole } from './console.ts'

/** The overview says what goes wrong with mail, and each line leads to the mail or the events behind it. */

const many = 110

let it: Console
beforeAll(async () => {
  it = await openConsole()
})
afterAll(() => it?.stop())

const incident = (name: RegExp) => it.page.getByRole('link', { name })

test('without a domain it does not claim that everything works', async () => {
  const { page } = it
  await it.go('/')
  await incident(/No domain yet/).waitFor()
  expect(await page.getByText('Everything is working.').count()).toBe(0)
  await incident(/No domain yet/).click()
  await page.getByRole('heading', { level: 1, name: 'Domains' }).waitFor()
})

test('a destination that fails and a burst of refusals are on the overview, and lead to their mail and events', async () => {
  const { page, postern } = it
  const { api, host, smtpPort } = postern
  await api.post('/v1/domains', { name: 'dead.example', route: { type: 'smtp', host: '127.0.0.1', port: 1 } })
  await api.post('/v1/accounts', { address: 'joe@dead.example', secret: 'long enough for all' })
  await api.post('/v1/lists/kill', { value: 'spam@worse.example' })
  await postern.settle()
  const mail = createTransport({ host, port: smtpPort, pool: true, tls: { rejectUnauthorized: false } })
  for (let i = 0; i < many; i++) {
    await mail.sendMail({ from: 'a@remote.example', to: 'joe@dead.example', subject: `number ${i}`, text: 'x' })
    await mail.sendMail({ from: 'spam@worse.example', to: 'joe@dead.example', text: 'x' }).catch(() => undefined)
  }
  mail.close()
  await until('all of it is counted', async () => {
    const { points } = await api.get<{ points: { refused: number }[] }>('/v1/stats')
    const { byState } = await api.get<{ byState: { deferred: number } }>('/v1/queue/summary')
    return points.reduce((sum, { refused }) => sum + refused, 0) >= many && byState.deferred >= many
  })
  await it.go('/')
  await incident(/\d+ refusals in the last hour.*almost none in the day before/).waitFor()
  const failing = incident(/110 messages for dead\.example: Host does not answer.*Last reply: .*ECONNREFUSED/)
  await failing.waitFor()
  expect((await new AxeBuilder({ page }).analyze()).violations).toEqual([])
  await failing.click()
  await page.waitForURL(/\/queue\?.*dead\.example/)
  await page
    .getByText(/110 messages/)
    .first()
    .waitFor()
  await it.go('/')
  await incident(/\d+ refusals in the last hour/).click()
  await page.waitForURL(/\/events\?.*by=rule/)
  await page.getByText(/kill/i).first().waitFor()
  expect(it.complaints).toEqual([])
})
