import { AxeBuilder } from '@axe-core/playwright'
import { connect } from '@postern/smtp/test/wire-client.ts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { until } from '../peers/peer.ts'
import { type Console, confirm, openConsole } from './console.ts'

/** The effect of unsaved changes on one session, and on recorded traffic. */

let it: Console
beforeAll(async () => {
  it = await openConsole()
  const { api, smtpPort } = it.postern
  await api.post('/v1/domains', { name: 'example.org', route: { type: 'discard' } })
  await api.post('/v1/accounts', { address: 'jane@example.org', secret: 'long enough for all' })
  await it.postern.settle()
  for (let i = 0; i < 3; i++) {
    const client = await connect({ port: smtpPort })
    await client.hello(`client${i}.test`)
    await client.mail({ from: 'eve@remote.example', to: 'jane@example.org', content: 'Subject: x\r\n' })
    await client.quit()
  }
  await until('the facts of three sessions are stored', async () => {
    const { sessions } = await api.post<{ sessions: number }>('/v1/replay', { draft: {}, until: soon() })
    return sessions >= 3
  })
})
afterAll(() => it?.stop())

const soon = () => new Date(Date.now() + 60_000).toISOString()

async function violations() {
  const { violations: found } = await new AxeBuilder({ page: it.page }).analyze()
  return found.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 200)).join(' | ')}`)
}

async function bothSchemes(): Promise<void> {
  for (const colorScheme of ['light', 'dark'] as const) {
    await it.page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
    expect(await violations()).toEqual([])
  }
}

test('simulates a session and shows its trail, with only the keyboard', async () => {
  const { page } = it
  await it.go('/simulate')
  await page.getByLabel('RCPT TO').fill('jane@example.org\nnobody@example.org')
  await page.getByLabel('Size in bytes').press('Enter')
  const answer = page.getByRole('region', { name: 'Answer' })
  await answer.getByText('The message would be accepted.').waitFor()
  expect(await answer.textContent()).toContain('550 5.1.1 User unknown: nobody@example.org')
  expect(await answer.textContent()).toContain('unknown-recipient')
  await bothSchemes()
  await page.getByLabel('Client address').fill('nonsense')
  await page.getByRole('button', { name: 'Simulate' }).click()
  await page.getByText('must be an IP address').first().waitFor()
})

test('a draft is refused with the same errors as saving it', async () => {
  const { page } = it
  await it.go('/simulate')
  await page.getByLabel('RCPT TO').fill('jane@example.org')
  await page.getByLabel('Draft').fill('{"lists": {"kill": {"add": ["@example.com"]}}}')
  await page.getByRole('button', { name: 'Simulate' }).click()
  await page.getByText('501 5.7.1 unacceptable mail address').waitFor()
  await page.getByLabel('Draft').fill('{"settings": {"queue": {"retryThreads": 99}}}')
  await page.getByRole('button', { name: 'Simulate' }).click()
  await page
    .getByText(/must be less than deliveryThreads/)
    .first()
    .waitFor()
  await page.getByLabel('Draft').fill('{"settings":')
  await page.getByText(/is not valid JSON/).waitFor()
})

test('unsaved changes are carried to the replay, and back to be saved', async () => {
  const { page } = it
  await it.go('/settings/general')
  await page.getByLabel('Maximum message size').fill('10')
  await page.getByRole('link', { name: /yesterday/ }).click()
  await page.getByRole('heading', { level: 1, name: 'Replay' }).waitFor()
  expect(await page.getByLabel('Draft').inputValue()).toContain('"maxMessageBytes": 10')
  await page.getByRole('button', { name: 'Replay' }).click()
  const result = page.getByRole('region', { name: 'Result' })
  await result.getByText('3 verdicts would change').waitFor()
  expect(await result.textContent()).toContain('data: accept → message-size')
  expect(await result.textContent()).toContain('eve@remote.example')
  await bothSchemes()
  await page.goBack()
  await page.getByText('1 unsaved change.').waitFor()
  await page.getByRole('button', { name: 'Review and save' }).click()
  await confirm(page, /^Save/)
  expect(await it.postern.api.get('/v1/settings/general')).toMatchObject({ settings: { maxMessageBytes: 10 } })
  expect(it.complaints).toEqual([])
})
