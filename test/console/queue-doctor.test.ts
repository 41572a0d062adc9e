import { createTransport } from 'nodemailer'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Postfix, startPostfix } from '../peers/postfix.ts'
import { type Console, openConsole } from './console.ts'

/** A real Postfix that gives some recipients the replies of real remote servers. */
const replies = {
  'full1@far.test': '452 4.2.2 Mailbox full, 93 of 90 MB',
  'full2@far.test': '452 4.2.2 Mailbox full, 120 of 100 MB',
  'grey@far.test': '450 4.2.0 Greylisted, see http://postgrey.example/help/far.test.html',
}

/** A reply with a control character that reverses the direction of the following text. */
const hostile = { 'odd@far.test': '450 4.0.0 come \u202egpj.exe' }

let it: Console
let postfix: Postfix
beforeAll(async () => {
  postfix = await startPostfix({ deliver: { to: 'maildir' }, reject: { ...replies, ...hostile } })
  it = await openConsole()
  const { host, port } = postfix
  const route = { type: 'smtp', host, port, tls: 'none' }
  await it.postern.api.post('/v1/domains', { name: 'far.test', route, verifyRecipients: 'any' })
  await it.postern.settle()
})
afterAll(async () => {
  await it?.stop()
  await postfix?.stop()
})

test('why mail waits: a line for each cause, with its explanation, messages and actions', async () => {
  const { page, postern } = it
  const { host, smtpPort: port } = postern
  const mail = createTransport({ host, port, tls: { rejectUnauthorized: false } })
  for (const to of Object.keys(replies))
    await mail.sendMail({ from: 'friend@remote.example', to, subject: to, text: 'Hello.' })

  await it.go('/queue')
  const lines = page.getByRole('list', { name: 'Why mail waits' }).getByRole('listitem')
  await lines.nth(1).waitFor()
  await page.getByText('2 messages').first().waitFor()
  expect((await lines.allInnerTexts()).map((text) => text.split('\n')[0])).toEqual(['2 messages', '1 message'])
  const full = lines.filter({ hasText: 'Mailbox full' })
  // With only the keyboard.
  await full.locator('summary').focus()
  await page.keyboard.press('Enter')
  await full.getByText('The mailbox is over its quota.').waitFor()
  await full.getByText(/452 4\.2\.2 .*Mailbox full/).waitFor()
  await full.getByText(/returned to its sender after 20 attempts or 120 hours/).waitFor()

  await full.getByRole('button', { name: 'Retry' }).click()
  await page.getByRole('dialog', { name: /2 messages/ }).waitFor()
  await page.getByRole('dialog').getByRole('button', { name: 'Retry' }).click()
  await page.getByText('Retry requested').waitFor()

  // The number is shown before a host is typed.
  await full.getByRole('button', { name: 'Reroute' }).click()
  const reroute = page.getByRole('dialog', { name: 'Reroute 2 messages?' })
  await reroute.getByText('2 messages').last().waitFor()
  await reroute.getByLabel('To host').fill(`127.0.0.1:${postfix.port}`)
  expect(await reroute.getByRole('button', { name: 'Reroute' }).isEnabled()).toBe(true)
  await reroute.getByRole('button', { name: 'Cancel' }).click()

  await full.getByRole('button', { name: 'Hold' }).click()
  await page.getByRole('dialog', { name: /2 messages/ }).waitFor()
  await page.getByRole('dialog').getByRole('button', { name: 'Hold' }).click()
  const held = lines.filter({ hasText: 'Held' })
  await held.waitFor()
  await held.locator('summary').click()
  await held.getByText('None. Held messages are neither tried nor returned.').waitFor()
  expect(await held.getByRole('button').allInnerTexts()).toEqual(['Release', 'Reroute', 'Bounce', 'Delete'])

  await held.getByRole('link', { name: 'Show these messages' }).click()
  await page.waitForURL(/domain=far\.test/)
  await expect.poll(() => page.getByRole('cell', { name: 'held', exact: true }).count()).toBe(2)
  expect(it.complaints).toEqual([])
})

test('the reply of a remote host triggers nothing', async () => {
  const { page, postern } = it
  const { host, smtpPort: port } = postern
  const mail = createTransport({ host, port, tls: { rejectUnauthorized: false } })
  await mail.sendMail({ from: 'friend@remote.example', to: 'odd@far.test', subject: 'odd', text: 'Hello.' })
  await it.go('/queue')
  const line = page.getByRole('list', { name: 'Why mail waits' }).getByRole('listitem').filter({ hasText: 'Refused' })
  await line.locator('summary').click()
  await line.getByText(/come ⟨U\+202E⟩gpj\.exe/).waitFor()
})
