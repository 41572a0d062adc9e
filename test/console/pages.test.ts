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

/** Every page, and its heading. */
const pages: [string, string][] = [
  ['/', 'Overview'],
  ['/services', 'Services'],
  ['/services/smtp', 'SMTP service'],
  ['/services/queue', 'Queue Manager'],
  ['/queue', 'Queue'],
  ['/events', 'Events'],
  ['/messages', 'Messages'],
  ['/messages/:id', 'Waiting <b>here</b>'],
  ['/workers', 'Workers'],
  ['/revisions', 'Revisions'],
  ['/revisions/2', 'Revision 2'],
  ['/audit', 'Audit log'],
  ['/rfcs', 'Supported SMTP RFCs'],
  ['/simulate', 'Simulate'],
  ['/replay', 'Replay'],
  ['/users', 'Users and tokens'],
  ['/settings/general', 'General'],
  ['/settings/queue', 'Queue Manager'],
  ['/settings/logging', 'Logging'],
  ['/settings/tls', 'TLS'],
  ['/settings/harvesting', 'Account harvesting'],
  ['/settings/dictionary', 'Dictionary attacks'],
  ['/settings/security', 'Security'],
  ['/settings/advanced', 'Advanced'],
  ['/lists/control-access', 'Control Access'],
  ['/lists/kill', 'Kill File'],
  ['/lists/accept', 'Accept List'],
  ['/lists/white', 'White List'],
  ['/lists/relay', 'Relay list'],
  ['/directory/domains', 'Domains'],
  ['/directory/accounts', 'Accounts'],
  ['/directory/aliases', 'Aliases'],
  ['/directory/groups', 'Groups'],
  ['/directory/certificates', 'Certificates'],
  ['/directory/dkim-keys', 'DKIM keys'],
]

/** Rules of axe about colours. All others give the same result in every colour scheme. */
const aboutColours = ['color-contrast', 'link-in-text-block']

type Violations = Awaited<ReturnType<AxeBuilder['analyze']>>['violations']

/** Returns what axe finds. A page that stays loaded keeps axe, which is read once. */
async function violations(page = it.page, rules?: string[]) {
  const options = { resultTypes: ['violations' as const], ...(rules && { runOnly: rules }) }
  const found = (await page.evaluate<boolean>("'axe' in window"))
    ? await page.evaluate<Violations>(`axe.run(${JSON.stringify(options)}).then(({ violations }) => violations)`)
    : // Legacy: in this page alone, which has no frames; otherwise each look opens another page for its report.
      (await new AxeBuilder({ page }).setLegacyMode(true).options(options).analyze()).violations
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

/** Checks that a page, opened on a phone, fits the width of a phone, and is accessible. */
async function expectFitting(open: () => Promise<void>): Promise<void> {
  await it.page.setViewportSize({ width: 390, height: 844 })
  await open()
  const over = await it.page.evaluate<number>(
    'document.documentElement.scrollWidth - document.documentElement.clientWidth',
  )
  await it.page.setViewportSize({ width: 1280, height: 800 })
  expect(over).toBeLessThanOrEqual(0)
  await expectAccessible()
}

test.each(pages)('%s fits a phone, and has no axe violation, light and dark', async (path, heading) => {
  await expectFitting(() => it.visit(path.replace(':id', message), heading))
})

test('a page that does not exist says so in the same way', async () => {
  await expectFitting(() => it.go('/no/such/page'))
  expect(await it.page.locator('#main h1').textContent()).toBe('Page not found')
})

test('axe finds what is wrong on a page that stays loaded', async () => {
  await it.visit('/rfcs', 'Supported SMTP RFCs')
  expect(await violations()).toEqual([])
  await it.page.evaluate(() => {
    const text = document.createElement('p')
    text.textContent = 'Too little contrast'
    text.style.cssText = 'color: #777; background: #888'
    document.querySelector('#main')?.append(text, document.createElement('img'))
  })
  expect(await violations()).toHaveLength(2)
  expect(await violations(it.page, aboutColours)).toEqual([expect.stringMatching(/^color-contrast: .*Too little/)])
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
