import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Console, confirm, openConsole } from './console.ts'

let it: Console
beforeAll(async () => {
  it = await openConsole()
})
afterAll(() => it?.stop())

type Change = {
  group: string
  label: string
  /** How the control is used. `becomes` is the value in the API afterwards. */
  set: { fill: string } | { select: string } | { toggle: true }
  key: string
  becomes: unknown
  /** A value that the form must refuse before sending it, and the message. */
  refuses?: { label: string; value: string; says: RegExp }
  danger?: RegExp
}

const changes: Change[] = [
  {
    group: 'general',
    label: 'Relay control',
    set: { select: 'anyone' },
    key: 'relayMode',
    becomes: 'anyone',
    danger: /open relay/,
    refuses: { label: 'Host name', value: 'not a host!', says: /must be a host name/ },
  },
  {
    group: 'queue',
    label: 'Retry timer',
    set: { fill: '45' },
    key: 'retryTimerMinutes',
    becomes: 45,
    refuses: { label: 'Retry threads', value: '30', says: /must be less than deliveryThreads/ },
  },
  {
    group: 'logging',
    label: 'Keep events for',
    set: { fill: '90' },
    key: 'retentionDays',
    becomes: 90,
    refuses: { label: 'Keep events for', value: '0', says: /from 1 to 3,650 days/ },
  },
  {
    group: 'tls',
    label: 'Minimum TLS version',
    set: { select: '1.3' },
    key: 'minVersion',
    becomes: '1.3',
  },
  {
    group: 'harvesting',
    label: 'Failed logins',
    set: { fill: '7' },
    key: 'maxFailedLogins',
    becomes: 7,
    refuses: { label: 'Window', value: 'soon', says: /from 1 to 1,440 minutes/ },
  },
  {
    group: 'dictionary',
    label: 'Hard error limit',
    set: { fill: '20' },
    key: 'hardErrorLimit',
    becomes: 20,
    refuses: { label: 'Soft error limit', value: '1001', says: /from 0 to 1,000/ },
  },
  {
    group: 'security',
    label: 'Disable VRFY',
    set: { toggle: true },
    key: 'disableVrfy',
    becomes: false,
    refuses: { label: 'Greeting delay', value: '31', says: /from 0 to 30 seconds/ },
  },
  {
    group: 'advanced',
    label: 'Banner text',
    set: { fill: 'at your service' },
    key: 'helloMessage',
    becomes: 'at your service',
    refuses: { label: 'PROXY protocol from', value: '10.0.0.0/8\nnonsense', says: /line 2, "nonsense"/ },
  },
]

const review = { name: 'Review and save' }

describe.each(changes)('$group', ({ group, label, set, key, becomes, refuses, danger }) => {
  test('refuses a bad value beside its field, and saves nothing', async () => {
    if (!refuses) return
    await it.go(`/settings/${group}`)
    const { revision } = await it.postern.api.get<{ revision: number }>(`/v1/settings/${group}`)
    await it.page.getByLabel(refuses.label, { exact: true }).fill(refuses.value)
    await it.page.getByRole('button', review).click()
    await it.page.getByText(refuses.says).waitFor()
    expect(await it.page.getByLabel(refuses.label, { exact: true }).getAttribute('aria-invalid')).toBe('true')
    expect(await it.page.getByRole('dialog').count()).toBe(0)
    expect((await it.postern.api.get<{ revision: number }>(`/v1/settings/${group}`)).revision).toBe(revision)
    await it.page.getByRole('button', { name: 'Discard' }).click()
  })

  test('shows the diff, saves with a comment, follows the roll-out', async () => {
    await it.go(`/settings/${group}`)
    const control = it.page.getByLabel(label, { exact: true })
    if ('fill' in set) await control.fill(set.fill)
    else if ('select' in set) await control.selectOption(set.select)
    else await control.click()
    if (danger) await it.page.getByText(danger).waitFor()
    await it.page.getByRole('button', review).click()
    const dialog = it.page.getByRole('dialog')
    await dialog.locator('ins').first().waitFor()
    if (danger) await dialog.getByText(danger).waitFor()
    await confirm(it.page, danger ? 'Save anyway' : 'Save', `console test of ${group}`)
    await it.page.getByText(/2 of 2 workers on \d+/).waitFor()
    const { settings } = await it.postern.api.get<{ settings: Record<string, unknown> }>(`/v1/settings/${group}`)
    expect(settings[key]).toEqual(becomes)
    await it.page.getByText('Nothing changed.').waitFor()
  })
})

test('shows what someone else changed in the meantime, and can keep both changes', async () => {
  await it.go('/settings/queue')
  await it.page.getByLabel('Attempts before return').fill('9')
  await it.postern.api.patch('/v1/settings/queue', { maxQueueHours: 99 })
  await it.page.getByRole('button', review).click()
  const dialog = it.page.getByRole('dialog', { name: 'Another user changed these settings' })
  await dialog.getByText('99').waitFor()
  await dialog.getByRole('button', { name: 'Keep my changes' }).click()
  await it.page.getByRole('button', review).click()
  await confirm(it.page, 'Save')
  const { settings } = await it.postern.api.get<{ settings: object }>('/v1/settings/queue')
  expect(settings).toMatchObject({ triesBeforeReturn: 9, maxQueueHours: 99 })
})

test('shows what the environment fixes, as read-only', async () => {
  await it.go('/settings/advanced')
  const row = it.page.locator('[data-setting=port]')
  await row.getByText(/^set by the environment/).waitFor()
  await row.getByText(`POSTERN_SMTP_PORT=${it.postern.smtpPort}`).waitFor()
  expect(await it.page.getByLabel('SMTP port', { exact: true }).isDisabled()).toBe(true)
})

test('a change to another setting is not a conflict', async () => {
  await it.go('/settings/queue')
  await it.page.getByLabel('Attempts before return').fill('10')
  await it.postern.api.post('/v1/lists/kill', { value: 'somebody@else.example' })
  await it.page.getByRole('button', review).click()
  await confirm(it.page, 'Save')
  const { settings } = await it.postern.api.get<{ settings: object }>('/v1/settings/queue')
  expect(settings).toMatchObject({ triesBeforeReturn: 10 })
})

test('edits objects behind a switch, rows and lists', async () => {
  await it.go('/settings/general')
  await it.page.getByLabel('Gateway (smart host)', { exact: true }).click()
  await it.page.getByLabel('Host', { exact: true }).fill('smart.example.org')
  await it.page.getByLabel(/^Smart host password/).fill('a secret of ours')
  await it.page.getByRole('button', review).click()
  await confirm(it.page, /Save/)
  await it.go('/settings/queue')
  await it.page.locator('[data-setting=perDomain]').getByRole('button', { name: 'Add' }).click()
  await it.page.getByLabel(/^Domain of row 1/).fill('slow.example')
  await it.page.getByLabel(/^Connections of row 1/).fill('2')
  await it.page.getByRole('button', review).click()
  await confirm(it.page, 'Save')
  const { settings } = await it.postern.api.get<{ settings: { general: { gateway: object }; queue: object } }>(
    '/v1/settings',
  )
  expect(settings.general.gateway).toEqual({ host: 'smart.example.org', port: 25, tls: 'opportunistic' })
  expect(settings.queue).toMatchObject({ perDomain: [{ domain: 'slow.example', connections: 2 }] })
})

test('makes a change with only the keyboard', async () => {
  await it.go('/')
  const { page } = it
  await page.keyboard.press('?')
  await page.getByRole('dialog', { name: 'Keyboard shortcuts' }).waitFor()
  await page.keyboard.press('Escape')
  await page.keyboard.press('g')
  await page.keyboard.press('t')
  await page.getByRole('heading', { level: 1, name: 'General' }).waitFor()
  const focused = (selector: string) =>
    page.evaluate<boolean>(`document.activeElement?.matches(${JSON.stringify(selector)}) ?? false`)
  const tabTo = async (selector: string) => {
    for (let i = 0; i < 60 && !(await focused(selector)); i++) await page.keyboard.press('Tab')
    expect(await focused(selector), selector).toBe(true)
  }
  await tabTo('#field-maxMessageBytes')
  await page.keyboard.press('Control+a')
  await page.keyboard.type('1048576')
  await page.keyboard.press('Enter')
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel('Comment').waitFor()
  await page.keyboard.type('by keyboard')
  await page.keyboard.press('Enter')
  await page.getByText(/2 of 2 workers on/).waitFor()
  const { settings } = await it.postern.api.get<{ settings: object }>('/v1/settings/general')
  expect(settings).toMatchObject({ maxMessageBytes: 1_048_576 })
})

test('the browser reported no problems', () => {
  expect(it.complaints).toEqual([])
})
