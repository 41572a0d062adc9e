import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { connect } from '@postern/smtp/test/wire-client.ts'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { showLogsOnFailure } from '../peers/failure.ts'
import { type Postern, startPostern } from './postern.ts'

let postern: Postern
let token: string
beforeAll(async () => {
  postern = await startPostern()
  await postern.settle()
  await postern.api.post('/v1/domains', { name: 'a.test', route: { type: 'smtp', host: '127.0.0.1', port: 1 } })
  const account = { address: 'ann@a.test', login: 'ann', secret: 'a long enough secret' }
  const { revision } = await postern.api.post('/v1/accounts', account)
  await postern.settle(revision)
  token = (await postern.api.post<{ token: string }>('/v1/tokens', { name: 'cli', role: 'admin' })).token
})
afterAll(() => postern?.stop())
showLogsOnFailure(() => [postern])

/** What Node compiled is kept: the command starts dozens of times. */
const nodeOfTests = { PATH: process.env.PATH, NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE }

/** Runs the command as a user does. `env` overrides a valid token and address. */
async function cli(args: string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [join(import.meta.dirname, '../../apps/cli/main.ts'), ...args], {
    env: { ...nodeOfTests, POSTERN_URL: postern.url, POSTERN_TOKEN: token, ...env },
  })
  let out = ''
  let errors = ''
  child.stdout.on('data', (chunk) => {
    out += chunk
  })
  child.stderr.on('data', (chunk) => {
    errors += chunk
  })
  const [code] = await once(child, 'close')
  return { code: code as number, out, errors }
}

const file = (name: string) => join(postern.dataDirectory, name)

async function exported(): Promise<string> {
  const { code, out } = await cli(['export'])
  expect(code).toBe(0)
  return out
}

/** The whole document, from the API itself. */
const settingsNow = async () => (await postern.api.call('GET', '/v1/document')).text

/** The states of the messages in the queue, from the API: waited for before the command is asked once. */
const queueStates = async () =>
  (await postern.api.get<{ items: { state: string }[] }>('/v1/queue')).items.map(({ state }) => state)

async function sizeOnTheWire(): Promise<string | undefined> {
  const client = await connect({ port: postern.smtpPort })
  const size = (await client.hello()).get('SIZE')
  await client.quit()
  return size
}

it('plans no changes for its own export; shows and applies an edit, which takes effect on the wire', async () => {
  const document = await exported()
  await writeFile(file('same.yaml'), document)
  expect(await cli(['plan', file('same.yaml')])).toMatchObject({
    code: 0,
    out: expect.stringContaining('0 to create, 0 to change, 0 to delete'),
  })

  const edited = document.replace(/maxMessageBytes: \d+/, 'maxMessageBytes: 44444')
  expect(edited).not.toBe(document)
  await writeFile(file('edited.yaml'), edited)
  const planned = await cli(['plan', file('edited.yaml')])
  expect(planned.code).toBe(2)
  expect(planned.out).toMatch(/^~ settings general$/m)
  expect(planned.out).toMatch(/maxMessageBytes: 26214400 -> 44444/)
  expect(await sizeOnTheWire()).toBe('26214400')

  const applied = await cli(['apply', file('edited.yaml')])
  expect(applied.code).toBe(0)
  await postern.settle(Number(/applied as revision (\d+)/.exec(applied.out)?.[1]))
  expect(await sizeOnTheWire()).toBe('44444')
  expect((await cli(['plan', file('edited.yaml')])).code).toBe(0)
})

it('a manual change is drift, and applying the file undoes it', async () => {
  await writeFile(file('now.yaml'), await exported())
  await postern.api.patch('/v1/settings/general', { maxMessageBytes: 33_333 })
  await postern.api.post('/v1/lists/kill', { value: 'spam@b.test' })
  const drift = await cli(['plan', file('now.yaml')])
  expect(drift.code).toBe(2)
  expect(drift.out).toContain('maxMessageBytes: 33333 ->')
  expect(drift.out).toMatch(/^- kill spam@b\.test$/m)
  expect((await cli(['apply', file('now.yaml')])).code).toBe(0)
  expect((await cli(['plan', file('now.yaml')])).code).toBe(0)
})

it.each([
  ['a value out of range', 'queue:\n    retryTimerMinutes: 0', ['retryTimerMinutes', '1', '1440']],
  ['a wrong type', 'queue:\n    retryTimerMinutes: often', ['retryTimerMinutes', 'number']],
  ['an unknown key', 'queue:\n    retryTimer: 5', ['retryTimer']],
  ['an unknown group', 'qeue:\n    retryTimerMinutes: 5', ['qeue']],
])('says what is wrong with %s, and changes nothing', async (_, text, words) => {
  await writeFile(file('bad.yaml'), `postern: 1\nsettings:\n  ${text}\n`)
  const before = await settingsNow()
  for (const command of ['plan', 'apply']) {
    const { code, errors } = await cli([command, file('bad.yaml')])
    expect(code).toBe(1)
    for (const word of words) expect(errors).toContain(word)
  }
  expect(await settingsNow()).toBe(before)
})

it('says what is wrong with a document of another version, an invalid file and a missing file', async () => {
  await writeFile(file('other.yaml'), 'postern: 2\n')
  expect((await cli(['plan', file('other.yaml')])).errors).toMatch(/version must be 1/)
  await writeFile(file('none.yaml'), 'a: [1\n  b: }')
  expect(await cli(['plan', file('none.yaml')])).toMatchObject({
    code: 1,
    errors: expect.stringContaining('not valid YAML or JSON'),
  })
  expect(await cli(['plan', file('missing.yaml')])).toMatchObject({
    code: 1,
    errors: expect.stringContaining('cannot read'),
  })
})

it('says how to get a token, and which URL it called', async () => {
  expect(await cli(['status'], { POSTERN_TOKEN: '' })).toMatchObject({
    code: 1,
    errors: expect.stringContaining('POSTERN_TOKEN is not set'),
  })
  expect(await cli(['status'], { POSTERN_TOKEN: 'wrong' })).toMatchObject({
    code: 1,
    errors: expect.stringContaining('401'),
  })
  const away = await cli(['status'], { POSTERN_URL: 'http://127.0.0.1:1' })
  expect(away).toMatchObject({ code: 1, errors: expect.stringContaining('http://127.0.0.1:1') })
  expect((await cli(['nonsense'])).code).toBe(64)
  expect(await cli(['status'])).toMatchObject({ code: 0, out: expect.stringContaining('smtp: running') })
})

it('refuses to apply what was planned against an older revision', async () => {
  const document = { postern: 1, settings: { queue: { retryTimerMinutes: 7 } } }
  const { revision } = await postern.api.post<{ revision: number }>('/v1/plan', { document })
  await postern.api.patch('/v1/settings/general', { maxMessageBytes: 22_222 })
  const stale = await postern.api.call('POST', '/v1/apply', { body: { document, revision } })
  expect(stale.status).toBe(412)
  const { settings } = await postern.api.get<{ settings: { retryTimerMinutes: number } }>('/v1/settings/queue')
  expect(settings.retryTimerMinutes).toBe(30)
})

it('lists, shows, holds, releases and deletes waiting mail', async () => {
  const client = await connect({ port: postern.smtpPort })
  await client.hello()
  await client.mail({ from: 's@b.test', to: 'ann@a.test', content: 'Subject: x\r\n\r\nwaits' })
  await client.quit()
  await expect.poll(queueStates).toEqual(['deferred'])
  expect((await cli(['queue'])).out).toMatch(/deferred {2}<s@b.test> {2}ann@a.test/)
  const id = (await cli(['queue', 'state=deferred'])).out.split(' ')[0] as string
  const shown = await cli(['show', id])
  expect(shown.out).toMatch(/ann@a\.test {2}waiting {2}1 attempt/)
  expect((await cli(['list', 'state=deferred'])).out).toBe((await cli(['queue', 'state=deferred'])).out)
  // A second message is not silently ignored.
  expect(await cli(['delete', id, id])).toMatchObject({ code: 64, errors: expect.stringContaining('delete ID') })
  expect(await cli(['run', id])).toMatchObject({ code: 64 })
  expect((await cli(['list'])).out).toContain(id)
  for (const [action, state, shows] of [
    ['hold', /^held$/, /held/],
    ['release', /^(active|deferred)$/, /active|deferred/],
    ['delete', /^$/, /^$/],
  ] as const) {
    expect(await cli([action, id])).toMatchObject({ code: 0 })
    await expect.poll(async () => (await queueStates()).join()).toMatch(state)
    expect((await cli(['queue'])).out).toMatch(shows)
  }
  const unknown = await cli(['show', id.replace(/.$/, (last) => (last === '0' ? '1' : '0'))])
  expect(unknown).toMatchObject({ code: 1, errors: expect.stringContaining('404') })
})
