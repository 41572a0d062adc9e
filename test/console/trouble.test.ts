import { createServer, type Server } from 'node:net'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { freePort, until } from '../peers/peer.ts'
import { type ApiProxy, startMiddle } from '../system/api-proxy.ts'
import { startBothByHand, type WorkerProcess } from '../system/worker-process.ts'
import { type Console, openConsole, rolledOut } from './console.ts'

/** Problems are visible: a worker that refuses a revision, a port in use, an unavailable API, an open relay. */

let it: Console
let middle: ApiProxy
let workers: Record<'smtp' | 'queue', WorkerProcess>
let taken: Server
let takenPort: number

beforeAll(async () => {
  takenPort = await freePort('127.0.0.1')
  taken = createServer()
  await new Promise<void>((resolve) => taken.listen(takenPort, '127.0.0.1', resolve))
  it = await openConsole({ env: { POSTERN_WORKERS: 'none', POSTERN_SUBMISSION_PORT: String(takenPort) } })
  middle = await startMiddle(it.postern.url)
  workers = await startBothByHand(it.postern, middle.url)
  // A system without a domain or a host name has other findings.
  await it.postern.api.post('/v1/domains', { name: 'postern.test', route: { type: 'maildir' } })
  const { revision } = await it.postern.api.patch('/v1/settings/general', { hostname: 'mx.postern.test' })
  await it.postern.settle(revision)
})
afterEach(() => middle?.clear())
afterAll(async () => {
  await Promise.all(Object.values(workers ?? {}).map((worker) => worker.kill()))
  await middle?.stop()
  taken?.close()
  await it?.stop()
})

test('a port in use: overview, service and workers show which and why, until it is free and the service restarted', async () => {
  const { page } = it
  await it.go('/')
  const finding = page.getByRole('link', { name: /smtp-1 is degraded/ })
  await finding.waitFor()
  expect(await finding.textContent()).toMatch(
    new RegExp(`${takenPort}.*in use|in use.*${takenPort}|EADDRINUSE.*${takenPort}`),
  )
  await finding.click()
  await page.getByRole('heading', { level: 1, name: 'SMTP service' }).waitFor()
  await page.getByText('degraded', { exact: true }).first().waitFor()
  await page
    .getByText(new RegExp(String(takenPort)))
    .first()
    .waitFor()
  await it.go('/workers')
  await page
    .getByText(new RegExp(`smtp-1.*${takenPort}`))
    .first()
    .waitFor()
  await new Promise((resolve) => taken.close(resolve))
  await it.go('/services/smtp')
  await page.getByRole('button', { name: 'Restart SMTP service' }).click()
  await page.getByText('degraded', { exact: true }).first().waitFor({ state: 'detached' })
  await rolledOut(page)
  await it.go('/')
  await page.getByText('Everything is working.').waitFor()
})

test('a worker refuses a revision: shows which worker, why, and the last good revision in force; the next revision repairs it', async () => {
  const { page, postern } = it
  const { revision: before } = await postern.api.get<{ revision: number }>('/v1/settings/queue')
  // The Queue Manager reads a value that its build does not know.
  middle.rewrite('/v1/worker/', (text, worker) =>
    worker === 'queue-1' ? text.replaceAll('"retryTimerMinutes":7', '"retryTimerMinutes":"seven"') : text,
  )
  await it.go('/settings/queue')
  await page.getByLabel('Retry timer', { exact: true }).fill('7')
  await page.getByRole('button', { name: 'Review and save' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Save', exact: true }).click()
  const strip = page.getByTestId('rollout')
  await strip.getByText(/queue-1 refused it:/).waitFor()
  await strip.getByText(`1 of 2 workers on ${before + 1}`).waitFor()
  expect(await strip.textContent()).toMatch(
    new RegExp(`1 of 2 workers on ${before + 1}.*retryTimerMinutes.*It still uses revision ${before}\\.`),
  )
  expect(await strip.getAttribute('data-done')).toBe('false')
  await it.go('/')
  await page.getByText(`queue-1 refused revision ${before + 1}`).waitFor()
  await it.go('/services/queue')
  await page.getByText(new RegExp(`Refused revision ${before + 1}:.*Revision ${before}, the last good one`)).waitFor()
  await it.go('/workers')
  await page.getByText(new RegExp(`queue-1 refused revision ${before + 1}`)).waitFor()
  await it.go('/settings/queue')
  await page.getByLabel('Retry timer', { exact: true }).fill('8')
  middle.clear()
  await page.getByRole('button', { name: 'Review and save' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Save', exact: true }).click()
  await rolledOut(page)
  await it.go('/workers')
  await page
    .getByRole('cell', { name: String(before + 2), exact: true })
    .nth(1)
    .waitFor()
  await until('the refusal goes', async () => (await page.getByText(/refused/).count()) === 0)
})

test('warns of an open relay: in the form, before saving, and on every page afterwards', async () => {
  const { page } = it
  await it.go('/settings/general')
  await page.getByLabel('Relay control', { exact: true }).selectOption('anyone')
  await page.locator('[data-setting=relayMode]').getByRole('status').waitFor()
  await page.getByRole('button', { name: 'Review and save' }).click()
  const dialog = page.getByRole('dialog')
  await dialog
    .getByText(/open relay/i)
    .first()
    .waitFor()
  await dialog.getByRole('button', { name: 'Save anyway' }).click()
  await rolledOut(page)
  for (const path of ['/', '/queue', '/workers']) {
    await it.go(path)
    await page.getByTestId('open-relay').waitFor()
  }
  await it.go('/')
  await page.getByText('Relay control: anyone').waitFor()
  await page.getByRole('link', { name: 'Change Relay control' }).click()
  await page.getByLabel('Relay control', { exact: true }).selectOption('addresses')
  await page.getByRole('button', { name: 'Review and save' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Save', exact: true }).click()
  await page.getByTestId('open-relay').waitFor({ state: 'detached' })
})

test('the API is unavailable for some seconds: the page says so, keeps the input, and continues by itself', async () => {
  const { page, postern } = it
  await it.go('/settings/queue')
  await page.getByLabel('Retry timer', { exact: true }).fill('55')
  await postern.kill('api')
  await page.getByRole('button', { name: 'Review and save' }).click()
  await page
    .getByRole('dialog')
    .getByText(/does not answer/)
    .waitFor()
  await page.getByRole('button', { name: 'Cancel' }).click()
  await page.getByTestId('away').getByText('keeps what you typed').waitFor()
  await postern.restart()
  await page.getByTestId('away').waitFor({ state: 'detached' })
  expect(await page.getByLabel('Retry timer', { exact: true }).inputValue()).toBe('55')
  await page.getByRole('button', { name: 'Review and save' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Save', exact: true }).click()
  await rolledOut(page)
})

test('a page reloaded while the API is unavailable waits for it, and is still signed in', async () => {
  const { page, postern } = it
  await it.go('/services')
  await page.route('**/v1/**', (route) => route.abort())
  await page.reload()
  await page.getByTestId('away').waitFor()
  expect(await page.getByLabel('Email address').count()).toBe(0)
  await page.unroute('**/v1/**')
  await page.getByRole('heading', { level: 1, name: 'Services' }).waitFor()
  await until('the banner goes', async () => (await page.getByTestId('away').count()) === 0)
  expect(postern.pids('api')).toHaveLength(1)
})

test('the browser reported no problems except the unavailable API', () => {
  expect(
    it.complaints.filter((text) => !/ERR_(CONNECTION_REFUSED|FAILED|EMPTY_RESPONSE|CONNECTION_RESET)/.test(text)),
  ).toEqual([])
})
