import { AxeBuilder } from '@axe-core/playwright'
import { createTransport } from 'nodemailer'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { until } from '../peers/peer.ts'
import { type Console, openConsole, signIn } from './console.ts'

let it: Console
let message: string

beforeAll(async () => {
  it = await openConsole()
  const { api, host, smtpPort } = it.postern
  await api.post('/v1/domains', { name: 'example.org', route: { type: 'lmtp', host: '127.0.0.1', port: 1 } })
  await api.post('/v1/accounts', { address: 'jane@example.org', secret: 'long enough for all' })
  await api.post('/v1/aliases', { address: 'postmaster@example.org', to: ['jane@example.org'] })
  await api.post('/v1/groups', { address: 'team@example.org', members: ['jane@example.org'] })
  await api.post('/v1/lists/control-access', { value: '198.51.100.7', action: 'deny', comment: 'noisy' })
  await it.postern.settle()
  const mail = createTransport({ host, port: smtpPort, tls: { rejectUnauthorized: false } })
  await mail.sendMail({ from: 'a@remote.example', to: 'jane@example.org', subject: 'Waiting <b>here</b>', text: 'x' })
  await until('the message waits', async () => {
    const { items } = await api.get<{ items: { id: string; state: string }[] }>('/v1/queue')
    message = items[0]?.id ?? ''
    return items[0]?.state === 'deferred'
  })
})
afterAll(() => it?.stop())

const settings = ['general', 'queue', 'logging', 'tls', 'harvesting', 'dictionary', 'security', 'advanced']
const lists = ['control-access', 'kill', 'accept', 'white', 'relay']
const directory = ['domains', 'accounts', 'aliases', 'groups', 'certificates', 'dkim-keys']
const paths = [
  ...[
    '/',
    '/services',
    '/services/smtp',
    '/services/queue',
    '/queue',
    '/events',
    '/messages',
    '/messages/:id',
    '/workers',
    '/revisions',
  ],
  ...['/revisions/2', '/audit', '/rfcs', '/simulate', '/replay', '/users', '/no/such/page'],
  ...settings.map((group) => `/settings/${group}`),
  ...lists.map((list) => `/lists/${list}`),
  ...directory.map((kind) => `/directory/${kind}`),
]

/** Waits until no placeholder is visible. */
const loaded = () => until('the page is loaded', async () => (await it.page.locator('.animate-pulse').count()) === 0)

/** Rules of axe about colours. All others give the same result in every colour scheme. */
const aboutColours = ['color-contrast', 'link-in-text-block']

async function violations(page = it.page, rules?: string[]) {
  // Legacy: in this page alone, which has no frames; otherwise each look opens another page for its report.
  const axe = new AxeBuilder({ page }).setLegacyMode(true).options({ resultTypes: ['violations'] })
  const { violations: found } = await (rules ? axe.withRules(rules) : axe).analyze()
  return found.map(
    ({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html.slice(0, 160)).join(' | ')}`,
  )
}

/** Checks the visible page in both colour schemes. */
async function expectAccessible(page = it.page): Promise<void> {
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' })
  expect(await violations(page), 'light').toEqual([])
  await page.emulateMedia({ colorScheme: 'dark', reducedMotion: 'reduce' })
  expect(await violations(page, aboutColours), 'dark').toEqual([])
}

test.each(paths)('%s fits a phone, and has no axe violation, light and dark', async (path) => {
  await it.page.setViewportSize({ width: 390, height: 844 })
  await it.go(path.replace(':id', message))
  await loaded()
  const over = await it.page.evaluate<number>(
    'document.documentElement.scrollWidth - document.documentElement.clientWidth',
  )
  await it.page.setViewportSize({ width: 1280, height: 800 })
  expect(over).toBeLessThanOrEqual(0)
  await expectAccessible()
})

test('the sign-in page and the dialogs have no axe violations', async () => {
  await it.go('/directory/domains')
  await it.page.getByRole('button', { name: 'New domain' }).click()
  await it.page.getByRole('dialog').waitFor()
  await expectAccessible()
  await it.go('/lists/kill')
  await it.page.getByRole('button', { name: 'Import' }).click()
  await it.page.getByLabel('Lines').fill('nonsense')
  await it.page.getByRole('list', { name: 'Bad lines' }).waitFor()
  await expectAccessible()
  const context = await it.browser.newContext()
  const page = await context.newPage()
  await page.goto(it.postern.url)
  await page.getByLabel('Email address').waitFor()
  await expectAccessible(page)
  await context.close()
})

test('text from remote hosts is shown as text', async () => {
  await it.go(`/messages/${message}`)
  await it.page.getByRole('heading', { level: 1, name: 'Waiting <b>here</b>' }).waitFor()
  expect(await it.page.locator('#main b').count()).toBe(0)
})

test('the CSP is strict, and the browser blocked nothing', async () => {
  const { headers } = await it.postern.api.call('GET', '/', { token: null })
  const policy = headers.get('content-security-policy') ?? ''
  expect(policy).toContain("default-src 'self'")
  expect(policy).not.toMatch(/unsafe|data:|\*/)
  // The browser also reports the 404 of a page that does not exist.
  expect(it.complaints.filter((text) => !/\/no\/such\/page .*\b404\b/.test(text))).toEqual([])
})

test('a session that ends keeps the half-filled form', async () => {
  await it.go('/settings/queue')
  await it.page.getByLabel('Retry timer', { exact: true }).fill('77')
  await it.context.clearCookies()
  await it.page.route(
    '**/v1/settings/**',
    (route) => route.fulfill({ status: 401, json: { status: 401, title: 'Unauthorized' } }),
    { times: 1 },
  )
  await it.page.getByRole('button', { name: 'Review and save' }).click()
  const dialog = it.page.getByRole('dialog', { name: 'Sign in again' })
  await dialog.waitFor()
  await dialog.getByLabel('Password').fill('correct horse battery staple')
  await dialog.getByRole('button', { name: 'Sign in', exact: true }).click()
  await it.page
    .getByRole('dialog', { name: /Change Queue Manager/ })
    .locator('ins')
    .first()
    .waitFor()
  await it.page.getByRole('button', { name: 'Cancel' }).click()
  expect(await it.page.getByLabel('Retry timer', { exact: true }).inputValue()).toBe('77')
})

test('signing out ends the session; a wrong password gives no further details', async () => {
  await it.go('/workers')
  await it.page.getByRole('button', { name: /admin@postern.test/ }).click()
  await it.page.getByRole('menuitem', { name: 'Sign out' }).click()
  await it.page.getByLabel('Email address').fill('admin@postern.test')
  await it.page.getByLabel('Password').fill('wrong')
  await it.page.getByRole('button', { name: 'Sign in' }).click()
  await it.page.getByText('Wrong email address or password.').waitFor()
  await it.page.goto(it.postern.url)
  await signIn(it.page)
})
