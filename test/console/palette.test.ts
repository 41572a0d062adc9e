import { AxeBuilder } from '@axe-core/playwright'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { type Console, openConsole } from './console.ts'

/** The command palette, with the keyboard alone. */

let it: Console
beforeAll(async () => {
  it = await openConsole()
})
afterEach(() => expect(it.complaints).toEqual([]))
afterAll(() => it?.stop())

const palette = () => it.page.getByRole('dialog', { name: 'Go to' })

async function open(): Promise<void> {
  await it.page.keyboard.press('Control+k')
  await palette().getByRole('combobox').waitFor()
}

test('goes to a page, and gives the focus back when it is closed', async () => {
  const { page } = it
  await open()
  expect((await new AxeBuilder({ page }).analyze()).violations).toEqual([])
  await page.keyboard.press('Escape')
  await palette().waitFor({ state: 'detached' })
  await open()
  await page.keyboard.type('greyl')
  await palette().getByRole('option').first().waitFor()
  await page.keyboard.press('Escape')
  await open()
  await page.keyboard.type('audit')
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { level: 1, name: 'Audit log' }).waitFor()
})

test.each([
  ['retryTimerMinutes', 'Retry timer'],
  ['queue.maxQueueHours', 'Maximum time in the queue'],
  ['maximum message size', 'Maximum message size'],
])('%s: goes to the setting, which has the focus', async (text, label) => {
  const { page } = it
  await open()
  await page.keyboard.type(text)
  await palette().getByRole('option').first().waitFor()
  await page.keyboard.press('Enter')
  await page.waitForURL(/\/settings\/\w+#field-/)
  const focused = page.locator('[data-setting]:has(:focus)')
  await focused.getByText(label, { exact: true }).waitFor()
})

test('an address leads to its mail, an id to its message, a number to its revision', async () => {
  const { page } = it
  for (const [text, url] of [
    ['jane@example.org', /\/messages\?sender=jane%40example\.org/],
    ['192.0.2.1', /\/events\?client=192\.0\.2\.1/],
    ['1', /\/revisions\/1$/],
    ['019a0000-0000-7000-8000-000000000001', /\/messages\/019a0000-/],
  ] as const) {
    await open()
    await page.keyboard.type(text)
    await page.keyboard.press('Enter')
    await page.waitForURL(url)
  }
  // The API knows no such message, and the browser reports its 404.
  it.complaints.length = 0
})
