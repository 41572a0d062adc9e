import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { credentials } from '../system/postern.ts'
import { type Console, openConsole, signIn } from './console.ts'

/** One sign-in for all tabs of a browser, and users' own accounts. */
let it: Console
beforeAll(async () => {
  it = await openConsole({ env: { POSTERN_WORKERS: 'none' }, readyWithinMs: 110_000 })
  it.context.setDefaultTimeout(90_000)
})
afterAll(() => it?.stop())

const title = (page: Page, name: string) => page.getByRole('heading', { level: 1, name }).waitFor()
const focused = (page: Page) =>
  page.evaluate(
    "document.activeElement?.labels?.[0]?.textContent ?? document.activeElement?.getAttribute('aria-label')",
  )

test('a new tab and a pasted link are signed in, and no script can read the cookie', async () => {
  const tab = await it.context.newPage()
  await tab.goto(`${it.postern.url}/settings/queue`)
  await title(tab, 'Queue Manager')
  const seen = await tab.evaluate('document.cookie + JSON.stringify({ ...sessionStorage, ...localStorage })')
  expect(seen).not.toMatch(/ps[rc]_/)
  const [cookie] = await it.context.cookies(`${it.postern.url}/v1/auth/refresh`)
  expect(cookie).toMatchObject({ httpOnly: true, sameSite: 'Strict', path: '/v1/auth', secure: false })
  await tab.reload()
  await title(tab, 'Queue Manager')
  await tab.close()
})

test('four tabs at once are signed in, and none ends the session of the others', async () => {
  const tabs = await Promise.all(Array.from({ length: 4 }, () => it.context.newPage()))
  await Promise.all(tabs.map((tab) => tab.goto(`${it.postern.url}/audit`)))
  for (const tab of tabs) await title(tab, 'Audit log')
  for (const tab of tabs) await tab.close()
  await it.page.reload()
  await title(it.page, 'Overview')
})

test('a sign-out counts for all tabs, and a sign-in too', async () => {
  const tab = await it.context.newPage()
  await tab.goto(`${it.postern.url}/audit`)
  await title(tab, 'Audit log')
  await it.page.getByRole('button', { name: credentials.email }).click()
  await it.page.getByRole('menuitem', { name: 'Sign out' }).click()
  await tab.getByRole('button', { name: 'Sign in' }).waitFor()
  expect(await it.context.cookies(`${it.postern.url}/v1/auth/refresh`)).toEqual([])
  await tab.reload()
  await tab.getByRole('button', { name: 'Sign in' }).waitFor()
  await signIn(it.page)
  await title(tab, 'Audit log')
  await tab.close()
})

test('a form opens at its first field', async () => {
  await it.go('/directory/domains')
  await it.page.getByRole('button', { name: 'New domain' }).click()
  await it.page.getByRole('dialog').waitFor()
  expect(await focused(it.page)).toBe('Domain')
  await it.page.keyboard.press('Escape')
  await it.go('/users')
  await it.page.getByRole('button', { name: 'New API token' }).click()
  await it.page.getByRole('dialog').waitFor()
  expect(await focused(it.page)).toBe('Name')
  await it.page.keyboard.press('Escape')
})

test('an action on many items that cannot be undone asks for their number', async () => {
  const values = Array.from({ length: 25 }, (_, n) => `spam${n}@worse.example`)
  for (const value of values) await it.postern.api.post('/v1/lists/kill', { value })
  await it.go('/lists/kill')
  await it.page.getByRole('checkbox', { name: /all/i }).first().check()
  await it.page.getByRole('button', { name: /^Delete/ }).click()
  const dialog = it.page.getByRole('dialog')
  const remove = dialog.getByRole('button', { name: 'Delete', exact: true })
  expect(await remove.isDisabled()).toBe(true)
  await dialog.getByLabel('Type 25 to confirm').fill('24')
  expect(await remove.isDisabled()).toBe(true)
  await dialog.getByLabel('Type 25 to confirm').fill('25')
  await remove.click()
  await it.page.getByText('25 entries deleted').waitFor()
})

test('every user sees and ends their own sessions, and changes their own password', async () => {
  const user = { email: 'vera@example.org', password: 'long enough for all' }
  await it.postern.api.post('/v1/users', { ...user, role: 'viewer' })
  const [here, there] = [await it.browser.newContext(), await it.browser.newContext({ userAgent: 'Elsewhere/1.0' })]
  const [page, other] = [await here.newPage(), await there.newPage()]
  for (const one of [page, other]) {
    await one.goto(it.postern.url)
    await signIn(one, user)
  }
  await page.goto(`${it.postern.url}/account`)
  await page.getByRole('button', { name: 'End the session of Elsewhere/1.0' }).click()
  await page.getByText('The session has ended').waitFor()
  await other.reload()
  await other.getByRole('button', { name: 'Sign in' }).waitFor()
  const password = 'another good one'
  await page.getByLabel('Current password').fill('wrong')
  await page.getByLabel('New password', { exact: true }).fill(password)
  await page.getByLabel('Confirm new password').fill(password)
  await page.getByRole('button', { name: 'Change password' }).click()
  await page.getByText('the current password is wrong').waitFor()
  await page.getByLabel('Current password').fill(user.password)
  await page.getByRole('button', { name: 'Change password' }).click()
  await page.getByText('Password changed').waitFor()
  await signIn(other, { ...user, password })
  await Promise.all([here.close(), there.close()])
})

test('a lock says how long it lasts', async () => {
  const context = await it.browser.newContext()
  const page = await context.newPage()
  await page.goto(it.postern.url)
  for (let n = 0; n < 11; n++)
    await fetch(`${it.postern.url}/v1/auth/token`, {
      method: 'POST',
      body: JSON.stringify({ email: 'locked@example.org', password: `guess ${n}` }),
    })
  await page.getByLabel('Email address').fill('locked@example.org')
  await page.getByLabel('Password').fill('guess')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByText('Too many failed attempts. Try again in 15 minutes.').waitFor()
  await context.close()
})
