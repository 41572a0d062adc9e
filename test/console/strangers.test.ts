import { connect } from '@postern/smtp/test/wire-client.ts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { until } from '../peers/peer.ts'
import { type Console, confirm, openConsole, rolledOut, signIn } from './console.ts'

/** Text from remote hosts triggers nothing, input of an administrator is not lost, and a deletion names its objects first. */

let it: Console
beforeAll(async () => {
  it = await openConsole()
  const { api } = it.postern
  await api.post('/v1/domains', { name: 'example.org', route: { type: 'lmtp', host: '127.0.0.1', port: 1 } })
  await api.post('/v1/accounts', { address: 'jane@example.org', secret: 'long enough for all' })
  for (const value of ['one.example', 'two.example', 'three.example'])
    await api.post('/v1/lists/kill', { value: `@${value}`, comment: `about ${value}` })
  await it.postern.settle()
})
afterAll(() => it?.stop())

/** The client writes bytes: UTF-8, one character each. */
const turned = Buffer.from('\u202egpj.exe\u202c').toString('latin1')
const html = [
  '<html><body onload="document.title=\'owned\'"><img src=http://127.0.0.1:9/pixel onerror="document.title=\'owned\'">',
  '<script>document.title="owned"</script><a href="javascript:document.title=1">click</a>',
  '</pre><h1>Sign in again</h1><form action=http://127.0.0.1:9/><input name=password></form>',
  `ansi \x1b[31mred\x1b[0m bell \x07 ${turned}`,
  `${'x'.repeat(900)}`,
]

test('a hostile message is shown as text: no markup, no control characters, no requests, no layout broken by long lines', async () => {
  const { page, postern } = it
  const client = await connect({ port: postern.smtpPort })
  await client.hello()
  const content = [
    'Subject: <img src=x onerror=alert(1)> =?utf-8?B?4oCuZ3BqLmV4ZQ==?=',
    'Content-Type: text/html',
    '',
    ...html,
  ]
  const long = Array.from({ length: 300 }, () => 'y'.repeat(950))
  await client.mail({
    from: 'evil@remote.example',
    to: 'jane@example.org',
    content: [...content, ...long].join('\r\n'),
  })
  await client.quit()
  let id = ''
  await until('it waits', async () => {
    const { items } = await postern.api.get<{ items: { id: string; state: string }[] }>('/v1/queue')
    id = items[0]?.id ?? ''
    return items[0]?.state === 'deferred'
  })
  const asked: string[] = []
  page.on('request', (request) => asked.push(request.url()))
  await it.go(`/messages/${id}`)
  await page.getByRole('button', { name: 'Show content' }).click()
  const region = page.getByRole('region', { name: 'Message as text' })
  await region.waitFor()
  const text = (await region.textContent()) ?? ''
  const lines = text.slice(0, 3000).split('\n')
  expect(lines.find((line) => line.startsWith('<script>'))).toContain('document.title="owned"</script>')
  expect(lines.find((line) => line.startsWith('ansi'))).toBe('ansi ␛[31mred␛[0m bell ␇ ⟨U+202E⟩gpj.exe⟨U+202C⟩')
  expect(text.match(/[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e]/)).toBeNull()
  expect(await region.locator('img,script,a,form,h1').count()).toBe(0)
  expect(await page.locator('#main h1').textContent()).toContain('<img src=x')
  expect((await page.locator('#main').innerText()).match(/[\u202a-\u202e]/)).toBeNull()
  expect(await page.title()).not.toContain('owned')
  await page.getByText(/the beginning of 2\d\d(\.\d)? KiB/).waitFor()
  expect(await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')).toBe(0)
  expect(asked.filter((url) => !url.startsWith(postern.url))).toEqual([])
})

test('a deletion names what is deleted: several entries at once, a domain, a message', async () => {
  const { page } = it
  await it.go('/lists/kill')
  for (const row of [1, 2]) await page.getByLabel(`Select row ${row}`).check()
  await page.getByRole('button', { name: 'Delete 2 entries' }).click()
  const dialog = page.getByRole('dialog', { name: 'Delete 2 entries of the Kill File?' })
  const named = await dialog.getByRole('list', { name: 'Entries to delete' }).getByRole('listitem').allTextContents()
  expect(named.join()).toMatch(/@(one|two|three)\.example about .*,@(one|two|three)\.example about/)
  await dialog.getByLabel('Comment').fill('they have mended')
  await dialog.getByRole('button', { name: 'Delete' }).click()
  await rolledOut(page)
  await until('one is left', async () => (await page.getByLabel(/Select row/).count()) === 1)

  await it.go('/directory/domains')
  await page.getByRole('button', { name: 'Delete example.org' }).click()
  const review = page.getByRole('dialog', { name: 'Delete example.org?' })
  await review.getByText(/jane@example.org/).waitFor()
  expect(await review.getByRole('button', { name: 'Delete' }).isDisabled()).toBe(true)
  await review.getByRole('button', { name: 'Cancel' }).click()

  await it.go('/queue')
  await page.getByLabel('Select row 1').check()
  await page.getByRole('button', { name: 'Delete' }).click()
  await page.getByRole('dialog').getByText('evil@remote.example → jane@example.org').waitFor()
  await page.getByRole('button', { name: 'Cancel' }).click()
})

test('a session that is ended elsewhere during an edit: after a new sign-in, no input is lost', async () => {
  const { page, postern } = it
  const admin = { email: 'day@example.org', password: 'long enough for all' }
  const { id } = await postern.api.post<{ id: string }>('/v1/users', { ...admin, role: 'admin' })
  await it.context.clearCookies()
  await page.goto(postern.url)
  await signIn(page, admin)
  await it.go('/directory/accounts')
  await page.getByRole('button', { name: 'New account' }).click()
  await page.getByLabel('Address', { exact: true }).fill('new@example.org')
  await page.getByLabel('Password', { exact: true }).fill('typed before the end')
  // An owner sets a new password for the user, which ends all sessions.
  const again = { ...admin, password: 'another one, long enough' }
  await postern.api.patch(`/v1/users/${id}`, { password: again.password })
  await page.getByRole('button', { name: 'Review and save' }).click()
  const dialog = page.getByRole('dialog', { name: 'Sign in again' })
  await dialog.waitFor()
  await dialog.getByLabel('Password').fill(again.password)
  await dialog.getByRole('button', { name: 'Sign in', exact: true }).click()
  await dialog.waitFor({ state: 'detached' })
  await confirm(page, 'Save')
  await page.getByRole('cell', { name: 'new@example.org' }).first().waitFor()
})

test('the browser reported no problems', () => {
  expect(it.complaints).toEqual([])
})
