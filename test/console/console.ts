import type { Browser, BrowserContext, Page } from 'playwright-core'
import { expect } from 'vitest'
import { launchChromium } from '../peers/chromium.ts'
import { until } from '../peers/peer.ts'
import { credentials, type Postern, type PosternOptions, startPostern } from '../system/postern.ts'

/** The console of a real Postern in a real Chromium, signed in. Collects every problem that the browser reports. */
export type Console = {
  postern: Postern
  browser: Browser
  context: BrowserContext
  page: Page
  /** Refusals of the CSP, uncaught errors, and errors on the browser's console; must stay empty. */
  complaints: string[]
  go(path: string): Promise<void>
  /** Goes to a page inside the application, which stays loaded. Resolves when the page with this heading is loaded. */
  visit(path: string, heading: string | RegExp): Promise<void>
  stop(): Promise<void>
}

export async function openConsole(options: PosternOptions = {}): Promise<Console> {
  const postern = await startPostern(options)
  const browser = await launchChromium()
  const complaints: string[] = []
  const context = await browser.newContext({ reducedMotion: 'reduce', viewport: { width: 1280, height: 800 } })
  const page = await context.newPage()
  page.setDefaultTimeout(30_000)
  listen(page, complaints)
  await page.goto(postern.url)
  await signIn(page)
  return {
    postern,
    browser,
    context,
    page,
    complaints,
    go: (path) => go(page, postern.url + path),
    visit: (path, heading) => visit(page, path, heading),
    stop: async () => {
      await browser.close()
      await postern.stop()
    },
  }
}

export async function signIn(page: Page, as = credentials): Promise<void> {
  await page.getByLabel('Email address').fill(as.email)
  await page.getByLabel('Password').fill(as.password)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor()
}

async function go(page: Page, url: string): Promise<void> {
  await page.goto(url)
  await page.locator('#main h1').waitFor()
}

async function visit(page: Page, path: string, heading: string | RegExp): Promise<void> {
  // The router follows `history.pushState`, like a link.
  await page.evaluate((to) => history.pushState({}, '', to), path)
  await page.locator('#main').getByRole('heading', { level: 1, name: heading, exact: true }).waitFor()
  expect(new URL(page.url()).pathname).toBe(path.replace(/\?.*/, ''))
  await until(`${path} is loaded`, async () => (await page.locator('#main .animate-pulse').count()) === 0)
}

function listen(page: Page, complaints: string[]): void {
  page.on('pageerror', (error) => complaints.push(`${page.url()} ${error.message}`))
  page.on('console', (message) => {
    const text = message.text()
    // The browser reports a response to refused input as a failed resource.
    if (message.type() === 'error' && !/Failed to load resource.*(401|403|409|410|412|422)/.test(text))
      complaints.push(`${page.url()} ${text}`)
    else if (/Content.Security.Policy/i.test(text)) complaints.push(`${page.url()} ${text}`)
  })
}

/** Confirms the open review with its diff visible, and waits until every worker has the new revision. */
export async function confirm(page: Page, verb: string | RegExp, comment?: string): Promise<void> {
  const dialog = page.getByRole('dialog')
  const button = dialog.getByRole('button', { name: verb, exact: typeof verb === 'string' })
  await button.waitFor()
  if (comment) await dialog.getByLabel('Comment').fill(comment)
  await button.click()
  // The strip of the change before may still say that it is done; the one of this change stands there when the review goes.
  await button.waitFor({ state: 'detached' })
  await rolledOut(page)
}

export async function rolledOut(page: Page): Promise<void> {
  await page.locator('[data-testid=rollout][data-done=true]').waitFor()
}
