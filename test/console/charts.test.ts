import { AxeBuilder } from '@axe-core/playwright'
import { createTransport } from 'nodemailer'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { until } from '../peers/peer.ts'
import { type Console, openConsole } from './console.ts'

/** Figures as a chart, and as a table for people who cannot see it. */

let it: Console
beforeAll(async () => {
  it = await openConsole()
  const { api, host, smtpPort } = it.postern
  await api.post('/v1/domains', { name: 'example.org', route: { type: 'maildir' } })
  await api.post('/v1/domains', { name: 'dead.example', route: { type: 'smtp', host: '127.0.0.1', port: 1 } })
  for (const address of ['jane@example.org', 'joe@dead.example'])
    await api.post('/v1/accounts', { address, secret: 'long enough for all' })
  await api.post('/v1/lists/kill', { value: 'spam@worse.example' })
  await it.postern.settle()
  const mail = createTransport({ host, port: smtpPort, tls: { rejectUnauthorized: false } })
  for (const to of ['jane@example.org', 'jane@example.org', 'joe@dead.example'])
    await mail.sendMail({ from: 'a@remote.example', to, subject: 'x', text: 'x' })
  await mail.sendMail({ from: 'spam@worse.example', to: 'jane@example.org', text: 'x' }).catch(() => undefined)
  await until('it is counted', async () => {
    const { points } = await api.get<{ points: { refused: number; deferred: number; delivered: number }[] }>(
      '/v1/stats',
    )
    const sum = (key: 'refused' | 'deferred' | 'delivered') => points.reduce((all, point) => all + point[key], 0)
    return sum('refused') > 0 && sum('deferred') > 0 && sum('delivered') === 2
  })
})
afterAll(() => it?.stop())

const column = (heads: string[], cells: string[][], name: string) =>
  cells.reduce((sum, row) => sum + Number(row[heads.indexOf(name)]), 0)

test.each(['last hour', 'last 24 hours', 'last 7 days'])('%s: chart, unit and table say the same', async (span) => {
  const { page } = it
  await it.go('/')
  await page.getByLabel('Show the').selectOption(span)
  const panel = page.locator('section', { has: page.getByRole('heading', { name: `Mail, ${span}` }) }).last()
  const chart = panel.getByRole('img', { name: /3 received, 2 delivered, \d+ deferred, 0 bounced, 0 discarded/ })
  await chart.waitFor()
  await panel.getByText(/Recipients per (minute|15 minutes|2 hours)/).waitFor()
  await panel.getByText('The numbers as a table').click()
  const table = panel.getByRole('table', { name: new RegExp(`Mail, ${span}, per`) })
  const heads = await table.getByRole('columnheader').allTextContents()
  const rows = await table.locator('tbody tr').all()
  const cells = await Promise.all(rows.map((row) => row.locator('th,td').allTextContents()))
  expect(column(heads, cells, 'received')).toBe(3)
  expect(column(heads, cells, 'delivered')).toBe(2)
  expect(column(heads, cells, 'deferred')).toBeGreaterThan(0)
  await page.getByRole('heading', { name: `Refused, ${span}` }).waitFor()
  await page.getByRole('img', { name: /1 refused, 0 failed logins/ }).waitFor()
  expect((await new AxeBuilder({ page }).analyze()).violations).toEqual([])
})

test('the table opens with the keyboard; the chart fits a phone, light and dark', async () => {
  const { page } = it
  await it.go('/')
  const summary = page.getByText('The numbers as a table').first()
  await summary.focus()
  await page.keyboard.press('Enter')
  await page.getByRole('table', { name: /^Mail/ }).waitFor()
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
    await page.setViewportSize({ width: 390, height: 844 })
    expect(await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')).toBe(0)
    expect((await new AxeBuilder({ page }).analyze()).violations).toEqual([])
  }
  await page.setViewportSize({ width: 1280, height: 800 })
})

test('waiting mail is compared by domain and cause; each is a filter', async () => {
  const { page } = it
  await it.go('/queue')
  const line = page.getByRole('list', { name: 'Why mail waits' }).getByRole('listitem')
  await line.filter({ hasText: 'Host does not answer' }).locator('summary').click()
  await page.getByRole('link', { name: 'Show these messages' }).click()
  await page.getByText('All matching messages').waitFor()
  await page.getByRole('cell', { name: 'joe@dead.example' }).waitFor()
})

test('the browser reported no problems', () => {
  expect(it.complaints).toEqual([])
})
