import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { AxeBuilder } from '@axe-core/playwright'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Console, confirm, openConsole } from './console.ts'

/** Undo in the console: revert with a conflict, and a revision that is no longer kept. Also ports, and the focus of dialogs. */

let it: Console
beforeAll(async () => {
  it = await openConsole()
})
afterAll(() => it?.stop())

const patch = async (body: object) => {
  const { revision } = await it.postern.api.patch('/v1/settings/general', body)
  await it.postern.settle(revision)
  return revision as number
}
const general = async () =>
  (await it.postern.api.get<{ settings: Record<string, unknown> }>('/v1/settings/general')).settings
const focused = () => it.page.evaluate<string>("document.activeElement?.textContent?.trim() ?? ''")

test('reverts one change: shows its diff first, keeps later changes, and records the comment in the audit log', async () => {
  const { page } = it
  const { maxMessageBytes } = await general()
  const revision = await patch({ maxMessageBytes: 1_000_000 })
  await patch({ hostname: 'later.example.org' })
  await it.go('/revisions')
  await page.getByRole('link', { name: String(revision), exact: true }).click()
  await page.getByRole('button', { name: 'Revert this change' }).click()
  const dialog = page.getByRole('dialog', { name: `Revert revision ${revision}` })
  await dialog.locator('del', { hasText: /1.?000.?000/ }).waitFor()
  await confirm(page, 'Revert this change', 'a slip')
  expect(await general()).toMatchObject({ maxMessageBytes, hostname: 'later.example.org' })
  await it.go('/audit')
  await page.getByText('a slip').first().waitFor()
})

test('names rows changed since, saves nothing on Cancel, and undoes them with "Revert anyway"', async () => {
  const { page } = it
  const revision = await patch({ maxMessageBytes: 2_000_000 })
  await patch({ maxMessageBytes: 3_000_000 })
  await it.go(`/revisions/${revision}`)
  const ask = () => page.getByRole('button', { name: 'Revert this change' }).first().click()
  await ask()
  const dialog = page.getByRole('dialog')
  await dialog.getByText('settings general: maxMessageBytes changed since').waitFor()
  await dialog.getByRole('button', { name: 'Revert anyway' }).waitFor()
  expect((await new AxeBuilder({ page }).analyze()).violations).toEqual([])
  await dialog.getByRole('button', { name: 'Cancel' }).click()
  await dialog.waitFor({ state: 'detached' })
  expect((await general()).maxMessageBytes).toBe(3_000_000)
  await ask()
  await confirm(page, 'Revert anyway')
  expect((await general()).maxMessageBytes).not.toBe(3_000_000)
})

test('says why a revision cannot be reverted', async () => {
  const { page } = it
  await it.go('/revisions/1')
  await page.getByRole('button', { name: 'Revert this change' }).click()
  await page.getByText('revision 1 is the first one, so it cannot be undone').first().waitFor()
})

test('a revision that is no longer kept says so, and offers no action that would fail', async () => {
  const { page, postern } = it
  const revision = await patch({ hostname: 'gone.example.org' })
  await patch({ hostname: 'mx.example.org' })
  // As housekeeping leaves it after 30 days.
  const database = new DatabaseSync(join(postern.dataDirectory, 'db', 'settings.db'), { timeout: 10_000 })
  database.exec(`delete from revisions where revision = ${revision}; delete from changes where revision = ${revision}`)
  database.close()
  await it.go(`/revisions/${revision + 1}`)
  await page.getByRole('link', { name: `Previous: ${revision}` }).click()
  await page.getByText(`Revision ${revision} is no longer kept.`).waitFor()
  await page.getByText(`the same as in revision ${revision - 1}.`).waitFor()
  expect(await page.getByRole('button', { name: /Revert|Roll back/ }).count()).toBe(0)
  expect((await new AxeBuilder({ page }).analyze()).violations).toEqual([])
})

test('a port that the environment fixes shows the one in force, and where', async () => {
  const { page, postern } = it
  await it.go('/settings/advanced')
  const row = page.locator('[data-setting=port]')
  await row.getByText(`In force: ${postern.smtpPort} on smtp-1 (fixed by POSTERN_SMTP_PORT)`).waitFor()
  await page
    .locator('[data-setting=submissionPort]')
    .getByText(/In force: \d+ on smtp-1 \(fixed by POSTERN_SUBMISSION_PORT\)/)
    .waitFor()
  expect(await page.locator('[data-setting=extraPorts]').getByText('In force').count()).toBe(0)
})

test('dialogs without a field focus the safe button', async () => {
  const { page } = it
  await it.go('/services/smtp')
  await page.getByRole('button', { name: 'Stop SMTP service' }).click()
  await page.getByRole('dialog').waitFor()
  expect(await focused()).toBe('Cancel')
  expect((await new AxeBuilder({ page }).analyze()).violations).toEqual([])
  await page.keyboard.press('Enter')
  await page.getByRole('dialog').waitFor({ state: 'detached' })
  await it.go('/settings/general')
  await page.getByLabel('Host name', { exact: true }).fill('typed.example.org')
  await page.getByRole('link', { name: 'Queue', exact: true }).first().click()
  await page.getByRole('dialog', { name: 'Leave without saving?' }).waitFor()
  expect(await focused()).toBe('Stay')
  await page.keyboard.press('Enter')
  await page.getByRole('dialog').waitFor({ state: 'detached' })
  await page.getByRole('button', { name: 'Discard' }).click()
})

test('the bulk preview names line, value and what is allowed', async () => {
  const { page } = it
  await it.go('/lists/control-access')
  await page.getByRole('button', { name: /Import/ }).click()
  await page.getByLabel('Lines').fill('192.0.2.1\n192.0.2.999')
  const bad = page.getByRole('list', { name: 'Bad lines' })
  await bad.getByText('line 2').waitFor()
  expect(await bad.textContent()).toMatch(/"192\.0\.2\.999".*(must be|allowed)/)
  expect(await bad.textContent()).not.toMatch(/Invalid/)
  expect(it.complaints).toEqual([])
})
