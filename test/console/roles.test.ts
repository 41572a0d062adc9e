import { createTransport } from 'nodemailer'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { until } from '../peers/peer.ts'
import { type Console, openConsole, signIn } from './console.ts'

/** What roles below owner see: no control that the API would refuse, a reason in its place, and no broken page. */

let it: Console
let message: string
const password = 'long enough for all'

beforeAll(async () => {
  it = await openConsole()
  const { api, host, smtpPort } = it.postern
  await api.post('/v1/domains', { name: 'example.org', route: { type: 'lmtp', host: '127.0.0.1', port: 1 } })
  await api.post('/v1/accounts', { address: 'jane@example.org', secret: password })
  await api.post('/v1/aliases', { address: 'postmaster@example.org', to: ['jane@example.org'] })
  await api.post('/v1/groups', { address: 'team@example.org', members: ['jane@example.org'] })
  await api.post('/v1/certificates', { name: 'main', source: { type: 'self-signed', names: ['mx.example.org'] } })
  await api.post('/v1/dkim-keys', { domain: 'example.org', selector: 'one', algorithm: 'ed25519' })
  for (const [list, value] of Object.entries(entries)) await api.post(`/v1/lists/${list}`, { value })
  for (const role of ['viewer', 'operator', 'admin'])
    await api.post('/v1/users', { email: `${role}@example.org`, role, password })
  await it.postern.settle()
  const mail = createTransport({ host, port: smtpPort, tls: { rejectUnauthorized: false } })
  await mail.sendMail({ from: 'a@remote.example', to: 'jane@example.org', subject: 'Waiting', text: 'secret words' })
  await until('the message waits', async () => {
    const { items } = await api.get<{ items: { id: string; state: string }[] }>('/v1/queue')
    message = items[0]?.id ?? ''
    return items[0]?.state === 'deferred'
  })
})
afterAll(() => it?.stop())

const entries = {
  'control-access': '198.51.100.7',
  kill: 'spam@worse.example',
  accept: 'partner.example',
  white: '192.0.2.1',
  relay: '203.0.113.9',
}

/** Every page, its heading, and the role that its controls need. `null`: everyone who sees the page may use it. */
const pages: [string, string, 'operator' | 'admin' | 'owner' | null][] = [
  ['/', 'Overview', null],
  ['/services', 'Services', 'operator'],
  ['/services/smtp', 'SMTP service', 'operator'],
  ['/services/queue', 'Queue Manager', 'operator'],
  ['/queue', 'Queue', 'operator'],
  ['/queue?state=deferred', 'Queue', 'operator'],
  ['/messages/:id', 'Waiting', 'operator'],
  ['/events', 'Events', null],
  ['/workers', 'Workers', null],
  ['/revisions', 'Revisions', null],
  ['/revisions/2', 'Revision 2', 'admin'],
  ['/audit', 'Audit log', null],
  ['/rfcs', 'Supported SMTP RFCs', null],
  ['/simulate', 'Simulate', null],
  ['/replay', 'Replay', null],
  ['/users', 'Users and tokens', 'owner'],
  ['/settings/general', 'General', 'admin'],
  ['/settings/queue', 'Queue Manager', 'admin'],
  ['/settings/logging', 'Logging', 'admin'],
  ['/settings/tls', 'TLS', 'admin'],
  ['/settings/harvesting', 'Account harvesting', 'admin'],
  ['/settings/dictionary', 'Dictionary attacks', 'admin'],
  ['/settings/security', 'Security', 'admin'],
  ['/settings/advanced', 'Advanced', 'admin'],
  ['/lists/control-access', 'Control Access', 'admin'],
  ['/lists/kill', 'Kill File', 'admin'],
  ['/lists/accept', 'Accept List', 'admin'],
  ['/lists/white', 'White List', 'admin'],
  ['/lists/relay', 'Relay list', 'admin'],
  ['/directory/domains', 'Domains', 'admin'],
  ['/directory/accounts', 'Accounts', 'admin'],
  ['/directory/aliases', 'Aliases', 'admin'],
  ['/directory/groups', 'Groups', 'admin'],
  ['/directory/certificates', 'Certificates', 'admin'],
  ['/directory/dkim-keys', 'DKIM keys', 'admin'],
]
const adminWalks = new Set(['/users', '/lists/kill', '/directory/domains', '/revisions/2'])
const order = ['viewer', 'operator', 'admin', 'owner']

/** Names of buttons that change something. */
const changes =
  /^(start|stop|restart|retry all|release|retry|hold|reroute|bounce|delete|edit|new |import|add|remove|save|review|discard|roll back|revoke|show content|choose|select|all services)/i

async function controls(): Promise<string[]> {
  const found = it.page.locator('#main').locator('button:enabled, input:enabled, select:enabled, textarea:enabled')
  return found.evaluateAll((elements) =>
    elements.map((element) => {
      const { labels } = element as HTMLInputElement
      return (element.getAttribute('aria-label') ?? labels?.[0]?.textContent ?? element.textContent ?? '').trim()
    }),
  )
}

describe.each(['viewer', 'operator', 'admin'] as const)('as %s', (role) => {
  const refused: string[] = []
  beforeAll(async () => {
    await it.context.clearCookies()
    await it.page.goto(it.postern.url)
    await signIn(it.page, { email: `${role}@example.org`, password })
    it.page.on('response', (response) => response.status() === 403 && refused.push(response.url()))
  })

  test('no page breaks; actions that the role does not allow are absent, and the page says why', async () => {
    // An admin only lacks the owner's controls. A few pages show that the names above do find controls.
    const walked = role === 'admin' ? pages.filter(([path]) => adminWalks.has(path)) : pages
    for (const [path, heading, needs] of walked) {
      await it.visit(path.replace(':id', message), heading)
      const may = needs === null || order.indexOf(role) >= order.indexOf(needs)
      const note = it.page.getByTestId('role-note')
      expect(await note.count(), path).toBe(may ? 0 : 1)
      expect(await it.page.locator('#main [role=alert]').count(), path).toBe(0)
      if (may && needs === 'admin')
        expect(
          (await controls()).filter((name) => changes.test(name)),
          path,
        ).not.toEqual([])
      if (may) continue
      expect(await note.textContent()).toMatch(new RegExp(`Your role is ${role}.*you need the role ${needs}`))
      expect(
        (await controls()).filter((name) => changes.test(name)),
        path,
      ).toEqual([])
    }
    expect(refused).toEqual([])
  })

  test('settings are read-only unless the role may change them', async () => {
    await it.go('/settings/queue')
    expect(await it.page.getByLabel('Retry timer', { exact: true }).isEnabled()).toBe(role === 'admin')
    expect(await it.page.getByRole('button', { name: 'Review and save' }).count()).toBe(role === 'admin' ? 1 : 0)
  })
})

test('an operator holds a message and reads it; the audit log records who read it', async () => {
  const { page } = it
  await it.context.clearCookies()
  await page.goto(it.postern.url)
  await signIn(page, { email: 'operator@example.org', password })
  await it.go(`/messages/${message}`)
  await page.getByRole('button', { name: 'Show content' }).click()
  await page.getByRole('region', { name: 'Message as text' }).getByText('secret words').waitFor()
  await page.getByRole('button', { name: 'Hide content' }).click()
  await page.getByText('secret words').waitFor({ state: 'detached' })
  await page.getByRole('button', { name: 'Hold' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByText('Waiting').waitFor()
  await dialog.getByRole('button', { name: 'Hold' }).click()
  await page.getByText('held', { exact: true }).first().waitFor()
  await it.go('/audit')
  await page.getByRole('searchbox').fill('message.read')
  await page.getByRole('cell', { name: 'operator@example.org' }).first().waitFor()
})

test('a role that is lowered during a session takes effect as soon as the API refuses a request', async () => {
  const { page, postern } = it
  const { items } = await postern.api.get<{ items: { id: string; email: string }[] }>('/v1/users')
  const { id } = items.find(({ email }) => email === 'operator@example.org') ?? { id: '' }
  await it.go(`/messages/${message}`)
  await page.getByRole('button', { name: 'Release' }).waitFor()
  await postern.api.patch(`/v1/users/${id}`, { role: 'viewer' })
  await page.getByRole('button', { name: 'Show content' }).click()
  await page.getByText('This needs the role operator. Your role is viewer.').first().waitFor()
  await page.getByTestId('role-note').waitFor()
  await page.getByRole('button', { name: 'Release' }).waitFor({ state: 'detached' })
})

test('the browser reported no problems', () => {
  expect(it.complaints).toEqual([])
})
