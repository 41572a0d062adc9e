import { createTransport } from 'nodemailer'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Console, confirm, openConsole, rolledOut } from './console.ts'

let it: Console
beforeAll(async () => {
  it = await openConsole()
})
afterAll(() => it?.stop())

const send = (to: string, subject: string) => {
  const { host, smtpPort: port } = it.postern
  const mail = createTransport({ host, port, tls: { rejectUnauthorized: false } })
  return mail.sendMail({ from: 'friend@remote.example', to, subject, text: 'Hello.' })
}

test('adds a domain and an account, and mail for it arrives', async () => {
  const { page } = it
  await it.go('/directory/domains')
  await page.getByRole('button', { name: 'New domain' }).click()
  await page.getByLabel('Domain', { exact: true }).fill('example.org')
  await page.getByRole('button', { name: 'Review and save' }).click()
  await confirm(page, 'Save', 'our domain')
  await page.getByRole('cell', { name: 'example.org', exact: true }).waitFor()
  await page.getByRole('link', { name: 'Accounts', exact: true }).first().click()
  await page.getByRole('button', { name: 'New account' }).click()
  await page.getByLabel('Address', { exact: true }).fill('jane@example.org')
  await page.getByLabel('Password', { exact: true }).fill('short')
  await page.getByRole('button', { name: 'Review and save' }).click()
  await page
    .getByText(/8 characters/)
    .last()
    .waitFor()
  await page.getByLabel('Password', { exact: true }).fill('long enough for all')
  await page.getByRole('button', { name: 'Review and save' }).click()
  await confirm(page, 'Save')
  await page.getByRole('cell', { name: 'jane@example.org' }).first().waitFor()
  await send('jane@example.org', 'First')
  await it.postern.quiet()
  expect(await it.postern.mail('jane@example.org')).toHaveLength(1)
})

test('the Kill File: add, search, import with a bad line, export, delete', async () => {
  const { page } = it
  await it.go('/lists/kill')
  await page.getByLabel('Value').fill('nonsense')
  await page.getByRole('button', { name: 'Add', exact: true }).click()
  await page.getByText(/is not a Kill File entry/).waitFor()
  await page.getByLabel('Value').fill('friend@remote.example')
  await page.getByLabel('Expires').selectOption({ label: 'on a date …' })
  await page.getByRole('button', { name: 'Add', exact: true }).click()
  await page.getByText('must be a date and time', { exact: true }).waitFor()
  expect(await page.getByLabel('Until (local time)').getAttribute('aria-invalid')).toBe('true')
  await page.getByLabel('Comment').fill('no friend at all')
  await page.getByLabel('Expires').selectOption('day')
  await page.getByRole('button', { name: 'Add', exact: true }).click()
  await confirm(page, 'Save')
  await expect(send('jane@example.org', 'Second')).rejects.toThrow(/501/)

  await page.getByRole('button', { name: 'Import' }).click()
  await page.getByLabel('Lines').fill('@*bad.example\nnonsense\nspam@worse.example')
  await page.getByText('1 bad line').waitFor()
  await page.getByRole('button', { name: 'Skip bad lines' }).click()
  await page.getByRole('button', { name: 'Review import' }).click()
  await confirm(page, 'Import')
  await page.getByRole('button', { name: '@*bad.example', exact: true }).waitFor()

  const downloading = page.waitForEvent('download')
  await page.getByRole('button', { name: 'Export' }).click()
  await page.getByRole('menuitem', { name: /As text/ }).click()
  expect((await downloading).suggestedFilename()).toBe('kill.txt')

  await page.getByRole('searchbox').fill('friend@')
  await page.getByRole('button', { name: '@*bad.example', exact: true }).waitFor({ state: 'detached' })
  await page.getByRole('button', { name: 'friend@remote.example' }).click()
  const entry = page.getByRole('dialog', { name: 'friend@remote.example' })
  await entry.getByText('no friend at all').waitFor()
  await entry.getByText('admin@postern.test').waitFor()
  await entry.getByRole('button', { name: 'Delete' }).click()
  const review = page.getByRole('dialog', { name: /^Delete friend/ })
  await review.getByRole('button', { name: 'Delete' }).click()
  await page.getByText(/Nothing matches/).waitFor()
  await rolledOut(page)
  await send('jane@example.org', 'Third')
})

test.each(['control-access', 'accept', 'white', 'relay'])('the list %s takes an entry', async (list) => {
  const { page } = it
  await it.go(`/lists/${list}`)
  await page.getByLabel('Value').fill('203.0.113.9')
  await page.getByRole('button', { name: 'Add', exact: true }).click()
  await confirm(page, 'Save')
  await page.getByRole('cell', { name: '203.0.113.9' }).waitFor()
})

test('live events appear, pause, can be searched, and link to the message', async () => {
  const { page } = it
  await it.go('/events')
  await page.getByText('Live', { exact: true }).waitFor()
  await send('jane@example.org', 'Seen live')
  await page
    .getByText(/Seen live/)
    .first()
    .waitFor()
  await page.getByRole('button', { name: 'Pause' }).click()
  await send('jane@example.org', 'While paused')
  await page.getByText(/Paused, [1-9]/).waitFor()
  expect(await page.getByText(/While paused/).count()).toBe(0)
  await page.getByRole('button', { name: 'Resume' }).click()
  await page
    .getByText(/While paused/)
    .first()
    .waitFor()
  await page.getByRole('searchbox').fill('Seen live')
  await page.keyboard.press('Enter')
  await page
    .getByText(/While paused/)
    .first()
    .waitFor({ state: 'detached' })
  await page.getByRole('button', { name: 'Message accepted' }).first().click()
  await page.getByRole('link', { name: /Open the message/ }).click()
  await page.getByRole('heading', { level: 1, name: 'Seen live' }).waitFor()
})

test('stopping the Queue Manager shows the consequences; mail waits, and is delivered after a start', async () => {
  const { page } = it
  await it.go('/services')
  await page.getByRole('button', { name: 'Stop Queue Manager' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByText(/waits in the spool/).waitFor()
  await dialog.getByRole('button', { name: 'Stop', exact: true }).click()
  await page.getByRole('button', { name: 'Start Queue Manager' }).waitFor()
  await page.getByText('stopped', { exact: true }).first().waitFor()
  await it.go('/')
  await page.getByText('Queue Manager is stopped').waitFor()
  await it.go('/services/queue')
  await page.getByRole('button', { name: 'Start Queue Manager' }).click()
  await page.getByText('running', { exact: true }).first().waitFor()
})

test('a message that waits: cause, trace, hold, bulk release by filter, delete', async () => {
  const { page, postern } = it
  await postern.api.post('/v1/domains', { name: 'dead.example', route: { type: 'smtp', host: '127.0.0.1', port: 1 } })
  await postern.api.post('/v1/accounts', { address: 'a@dead.example', secret: 'long enough for all' })
  await postern.settle()
  await send('a@dead.example', 'Nobody home')
  await it.go('/queue')
  await page.getByRole('cell', { name: 'deferred' }).first().waitFor()
  await page.getByRole('link', { name: 'friend@remote.example' }).click()
  await page.getByRole('heading', { level: 1, name: 'Nobody home' }).waitFor()
  await page
    .getByText(/ECONNREFUSED/)
    .first()
    .waitFor()
  await page.getByRole('heading', { level: 3, name: 'Deferred' }).first().waitFor()
  await page.getByRole('button', { name: 'Hold' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Hold' }).click()
  await page.getByText('held', { exact: true }).first().waitFor()

  await it.go('/queue?state=held')
  await page.getByRole('button', { name: 'Release' }).click()
  await page.getByRole('dialog', { name: /1 message/ }).waitFor()
  await page.getByRole('dialog').getByRole('button', { name: 'Release' }).click()
  await it.go('/queue')
  await page.getByRole('cell', { name: 'deferred' }).first().waitFor()
  await page.getByLabel('Select row 1').check()
  await page.getByRole('button', { name: 'Delete' }).click()
  await page.getByRole('dialog').getByText('1 selected message').waitFor()
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click()
  await page.getByText('The queue is empty').waitFor()
})

test('a revision can be undone', async () => {
  const { page, postern } = it
  const { revision } = await postern.api.get<{ revision: number }>('/v1/settings/queue')
  await postern.api.patch('/v1/settings/queue', { retryTimerMinutes: 3 })
  await it.go('/revisions')
  await page.getByRole('link', { name: String(revision + 1), exact: true }).click()
  await page.getByText('Retry timer').waitFor()
  await page.getByRole('link', { name: `Previous: ${revision}` }).click()
  await page.getByRole('heading', { level: 1, name: `Revision ${revision}` }).waitFor()
  await page.getByRole('button', { name: 'Roll back to this revision' }).click()
  await page.getByRole('dialog').locator('ins').first().waitFor()
  await confirm(page, 'Roll back', 'it was better before')
  const { settings } = await postern.api.get<{ settings: object }>('/v1/settings/queue')
  expect(settings).toMatchObject({ retryTimerMinutes: 30 })
  await it.go('/audit')
  await page.getByText('it was better before').waitFor()
})

test('users and tokens; a token is shown once', async () => {
  const { page } = it
  await it.go('/users')
  await page.getByRole('button', { name: 'New user' }).click()
  await page.getByLabel('Email address').fill('night@example.org')
  await page.getByLabel('Password').fill('long enough for all')
  await page.getByRole('button', { name: 'Review and save' }).click()
  await confirm(page, 'Save')
  await page.getByRole('cell', { name: 'night@example.org' }).first().waitFor()
  await page.getByRole('button', { name: 'New API token' }).click()
  await page.getByLabel('Name').fill('pipeline')
  await page.getByRole('button', { name: 'Create' }).click()
  const token = await page.getByLabel('Token', { exact: true }).inputValue()
  expect((await it.postern.api.call('GET', '/v1/me', { token })).status).toBe(200)
  await page.getByRole('button', { name: 'I have copied it' }).click()
  expect(await page.content()).not.toContain(token)
})

test('the browser reported no problems', () => {
  expect(it.complaints).toEqual([])
})
