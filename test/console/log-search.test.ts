import { readFile } from 'node:fs/promises'
import { AxeBuilder } from '@axe-core/playwright'
import { createTransport } from 'nodemailer'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { until } from '../peers/peer.ts'
import { type Console, openConsole } from './console.ts'

/** The search of the log: events, and what became of messages. */

const bait = 'Invoice <b>100%</b>'
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
  await mail.sendMail({ from: 'ann@remote.example', to: 'jane@example.org', subject: bait, text: 'x' })
  await mail.sendMail({ from: 'bob@remote.example', to: 'jane@example.org', subject: 'Minutes', text: 'x' })
  await mail.sendMail({ from: 'bob@remote.example', to: 'joe@dead.example', subject: 'Waits', text: 'x' })
  await mail.sendMail({ from: 'spam@worse.example', to: 'jane@example.org', text: 'x' }).catch(() => undefined)
  await until('the log has it', async () => {
    const { items } = await api.get<{ items: { outcome: string }[] }>('/v1/messages')
    const { items: events } = await api.get<{ items: unknown[] }>('/v1/events?type=delivery.deferred')
    return (
      items
        .map(({ outcome }) => outcome)
        .sort()
        .join() === 'delivered,delivered,refused,waiting' && events.length > 0
    )
  })
})
afterAll(() => it?.stop())

const rows = (table: string) => it.page.getByRole('table', { name: table, exact: true }).locator('tbody tr')
const shows = (table: string, count: number) =>
  until(`${count} rows`, async () => (await rows(table).count()) === count)
const chip = (name: string) => it.page.getByRole('list', { name: 'Active filters' }).getByRole('button', { name })

test('messages are found by sender, recipient, subject and outcome, and lead to their trace', async () => {
  const { page } = it
  await it.go('/messages')
  await shows('Messages', 4)
  await page.getByLabel('From', { exact: true }).fill('ANN@remote.example')
  await page.keyboard.press('Enter')
  await shows('Messages', 1)
  expect(new URL(page.url()).searchParams.get('sender')).toBe('ANN@remote.example')
  await page.getByText(bait).waitFor()
  expect(await page.locator('#main td b').count()).toBe(0)
  await chip('From ANN@remote.example').click()
  await page.getByLabel('Subject').fill('100%')
  await page.getByLabel('To', { exact: true }).fill('jane@example.org')
  await page.getByRole('button', { name: 'Search', exact: true }).click()
  await shows('Messages', 1)
  await page.getByRole('button', { name: 'Remove all' }).click()
  await page.getByLabel('Outcome').selectOption('waiting')
  await shows('Messages', 1)
  await page.getByRole('link', { name: 'bob@remote.example' }).click()
  await page.getByRole('heading', { level: 1, name: 'Waits' }).waitFor()
  await page.goBack()
  await shows('Messages', 1)
})

test('text with wildcards and direction marks is text', async () => {
  const { page } = it
  await it.go('/messages')
  await page.getByRole('searchbox').fill('%_\u202e"')
  await page.keyboard.press('Enter')
  await chip('Text %_⟨U+202E⟩"').waitFor()
  await page.getByText('No message matches').waitFor()
})

test('refused mail shows its event, whose values narrow the log', async () => {
  const { page } = it
  await it.go('/messages?outcome=refused')
  await page.getByRole('button', { name: 'spam@worse.example' }).click()
  const dialog = page.getByRole('dialog', { name: 'Command refused' })
  await dialog.getByRole('link', { name: '501', exact: true }).click()
  await chip('Reply code 501').waitFor()
  expect(new URL(page.url()).pathname).toBe('/events')
  await shows('Events', 1)
})

test('drill-down with the keyboard alone: row, value, chip', async () => {
  const { page } = it
  await it.go('/events?type=message.accepted')
  await shows('Events', 3)
  await page.getByRole('button', { name: 'Message accepted' }).last().focus()
  await page.keyboard.press('Enter')
  const dialog = page.getByRole('dialog', { name: 'Message accepted' })
  await dialog.getByRole('link', { name: 'ann@remote.example' }).focus()
  await page.keyboard.press('Enter')
  await dialog.waitFor({ state: 'detached' })
  await shows('Events', 1)
  await chip('From ann@remote.example').focus()
  await page.keyboard.press('Enter')
  await shows('Events', 3)
  await page.getByRole('list', { name: 'Active filters' }).getByText('Message accepted').waitFor()
})

test('the most frequent values, and an interval of the chart, are filters', async () => {
  const { page } = it
  await it.go('/events?type=message.accepted')
  await page.getByLabel('Count by').selectOption('sender')
  const values = page.getByRole('list', { name: 'Most frequent values' })
  expect(await values.getByRole('listitem').first().innerText()).toMatch(/bob@remote\.example\s+2/)
  const lines = page.getByRole('list', { name: 'Lines of the chart' })
  await lines.getByRole('link', { name: 'ann@remote.example' }).waitFor()
  await values.getByRole('link', { name: 'bob@remote.example' }).click()
  await shows('Events', 2)
  await page.getByRole('link', { name: 'All in one' }).click()
  await lines.waitFor({ state: 'detached' })
  await page.getByRole('img', { name: /^2 events over time/ }).waitFor()
  await page.getByText('The numbers as a table').click()
  await page.getByRole('table', { name: 'Events over time' }).getByRole('link').last().click()
  await chip('Time from').waitFor()
  const { searchParams } = new URL(page.url())
  const [since, end] = ['since', 'until'].map((name) => Date.parse(searchParams.get(name) ?? ''))
  expect((end ?? 0) - (since ?? 0)).toBe(30 * 60_000)
  expect(await page.getByLabel('From (local time)').inputValue()).toMatch(/^\d{4}-\d\d-\d\dT\d\d:[03]0/)
})

test('a bar of the chart is chosen with the mouse', async () => {
  const { page } = it
  await it.go('/events?range=hour')
  const over = page.getByRole('img', { name: /^[1-9][\d,]* events? over time/ }).locator('.u-over')
  const { width = 0 } = (await over.boundingBox()) ?? {}
  await over.click({ position: { x: width / 2, y: 40 } })
  await chip('Time from').waitFor()
  await it.go('/events?range=hour')
  await over.dragTo(over, { sourcePosition: { x: 20, y: 40 }, targetPosition: { x: width - 20, y: 50 } })
  await chip('Time from').waitFor()
})

test.each([
  ['NDJSON', (text: string) => text.trim().split('\n').length, 'ndjson'],
  ['CSV', (text: string) => text.trim().split('\n').length - 1, 'csv'],
  ['Parquet', (text: string) => (text.startsWith('PAR1') && text.endsWith('PAR1') ? 3 : 0), 'parquet'],
])('export as %s has the events of the search', async (name, countOf, extension) => {
  const { page } = it
  await it.go('/events?type=message.accepted')
  await shows('Events', 3)
  const downloading = page.waitForEvent('download')
  await page.getByRole('button', { name: 'Export' }).click()
  await page.getByRole('menuitem', { name }).click()
  const download = await downloading
  expect(download.suggestedFilename()).toMatch(new RegExp(`^postern-events-.*\\.${extension}$`))
  expect(countOf(await readFile(await download.path(), 'latin1'))).toBe(3)
})

const searches = /\/v1\/events\?/

test('a search whose time ran out says how far it came, and goes on', async () => {
  const { page } = it
  // The API's answer to a shorter page is that of a search that was cut short.
  const shorter = (url: string) => url.replace('limit=200', 'limit=2')
  await page.route(
    searches,
    async (route) => route.fulfill({ response: await route.fetch({ url: shorter(route.request().url()) }) }),
    { times: 1 },
  )
  await it.go('/events?type=message.accepted')
  await page.getByText(/Searched back to \d+ \w+ \d{4}/).waitFor()
  await shows('Events', 2)
  await page.getByRole('button', { name: 'Search further' }).click()
  await shows('Events', 3)
  await page.getByText(/Searched back to/).waitFor({ state: 'detached' })
})

test('a long search can be cancelled, and started again', async () => {
  const { page } = it
  await page.route(searches, () => undefined, { times: 1 })
  const aborted = page.waitForEvent('requestfailed', (request) => searches.test(request.url()))
  await it.go('/events?type=message.accepted')
  await page.getByRole('button', { name: 'Cancel' }).click()
  await aborted
  await page.getByText('The search was cancelled').waitFor()
  await page.locator('#main').getByRole('button', { name: 'Search again' }).last().click()
  await shows('Events', 3)
})

test('a view is saved, renamed, opened and deleted', async () => {
  const { page } = it
  await it.go('/events?type=message.accepted&columns=at,sender')
  await page.getByRole('columnheader', { name: 'From' }).waitFor()
  const views = page.getByRole('button', { name: 'Views' })
  await views.click()
  await page.getByRole('menuitem', { name: 'Save this view' }).click()
  await page.getByLabel('Name').fill('Accepted')
  await page.keyboard.press('Enter')
  await it.go('/events')
  await views.click()
  await page.getByRole('menuitem', { name: 'Rename or delete' }).click()
  await page.getByLabel('Name of the view Accepted').fill('Taken')
  await page.keyboard.press('Enter')
  await page.getByRole('button', { name: 'Done' }).click()
  await views.click()
  await page.getByRole('menuitem', { name: 'Taken' }).click()
  await shows('Events', 3)
  await page.getByRole('button', { name: 'Columns' }).click()
  await page.getByRole('checkbox', { name: 'Rule' }).check()
  await page.getByRole('button', { name: 'Done' }).click()
  expect(new URL(page.url()).searchParams.get('columns')).toBe('at,sender,rule')
  await views.click()
  await page.getByRole('menuitem', { name: 'Rename or delete' }).click()
  await page.getByRole('button', { name: 'Delete the view Taken' }).click()
  await page.getByText('No views are left').waitFor()
  await page.keyboard.press('Escape')
})

test('a wrong value is refused at its field; the search stays', async () => {
  const { page } = it
  await it.go('/events?type=message.accepted')
  await page.getByRole('button', { name: 'More filters' }).click()
  await page.getByLabel('Client', { exact: true }).fill('mail.example')
  await page.keyboard.press('Enter')
  await page.getByText('Must be an IP address or a CIDR block').waitFor()
  await page.getByLabel('Client', { exact: true }).fill('127.0.0.0/8')
  await page.keyboard.press('Enter')
  await chip('Client 127.0.0.0/8').waitFor()
  await shows('Events', 3)
  expect((await new AxeBuilder({ page }).analyze()).violations).toEqual([])
})

test('both pages are reached with two keys', async () => {
  const { page } = it
  await it.go('/')
  for (const [key, name] of [
    ['i', 'Messages'],
    ['e', 'Events'],
  ] as const) {
    await page.keyboard.press('g')
    await page.keyboard.press(key)
    await page.getByRole('heading', { level: 1, name }).waitFor()
  }
})

test('the browser reported no problems', () => {
  expect(it.complaints).toEqual([])
})
