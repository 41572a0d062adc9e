import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { afterEach, expect, it, vi } from 'vitest'

/** The process from outside, without its workers. test/system tests those. */
const main = join(import.meta.dirname, 'main.ts')
// Each test starts several processes, and the machine may have other work.
vi.setConfig({ testTimeout: 300_000 })
const running: ChildProcess[] = []
afterEach(() => {
  for (const child of running.splice(0)) child.kill('SIGKILL')
})

async function run(directory: string, env: Record<string, string> = {}, script = [main]) {
  const child = spawn(process.execPath, script, {
    env: {
      PATH: process.env.PATH,
      POSTERN_DATA_DIR: directory,
      POSTERN_API_PORT: '0',
      POSTERN_WORKERS: 'none',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  running.push(child)
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (said += chunk))
  const exited = once(child, 'exit').then(([code]) => code as number)
  const ready = new Promise<void>((resolve) => {
    child.stdout.on('data', () => /^postern ready/m.test(said) && resolve())
  })
  await Promise.race([ready, exited])
  return { child, exited, said: () => said, url: /api=(\S+)/.exec(said)?.[1] ?? '' }
}

const fresh = () => mkdtempSync(join(tmpdir(), 'postern-main-'))

it('shows the generated password once, keeps keys private, exits with 0, and accepts its sessions after a restart', async () => {
  const directory = fresh()
  const first = await run(directory)
  const password = /with the password (\S+)/.exec(first.said())?.[1]
  const body = JSON.stringify({ email: 'admin@localhost', password })
  const tokens = (await (await fetch(`${first.url}/v1/auth/token`, { method: 'POST', body })).json()) as {
    accessToken: string
  }
  expect(statSync(join(directory, 'keys/data.key')).mode & 0o777).toBe(0o600)
  first.child.kill('SIGTERM')
  expect(await first.exited).toBe(0)
  const second = await run(directory)
  expect(second.said()).not.toContain('password')
  const me = await fetch(`${second.url}/v1/me`, { headers: { authorization: `Bearer ${tokens.accessToken}` } })
  expect(me.status).toBe(200)
  second.child.kill('SIGKILL')
  await second.exited
  const third = await run(directory)
  expect(third.url).toMatch(/^http/)
})

it('refuses a second process on the same data, whatever path it uses', async () => {
  const directory = fresh()
  const link = `${directory}-link`
  symlinkSync(directory, link)
  const one = await run(relative(process.cwd(), directory), { POSTERN_SMTP_PORT: '0' })
  const paths = [directory, link, relative(process.cwd(), directory)]
  // The last one as in `npm start`: a script with a relative path.
  const others = [...paths.map((path) => run(path)), run(directory, {}, ['apps/api/main.ts'])]
  for (const [i, two] of (await Promise.all(others)).entries()) {
    expect(await two.exited).toBe(1)
    const where = resolve(paths[i] ?? directory)
    expect(two.said()).toMatch(`Another Postern (process ${one.child.pid}) is using the data directory ${where}`)
  }
  one.child.kill('SIGKILL')
  await one.exited
  expect((await run(directory)).url).toMatch(/^http/)
})

it('makes the data directory private, also files that an earlier release left open', async () => {
  const directory = fresh()
  const old = ['db', 'keys', 'mail/example.org/jane/new', 'worker/smtp-1/events', 'spool/smtp-1']
  for (const part of old) mkdirSync(join(directory, part), { recursive: true })
  const files = ['db/settings.db', 'mail/example.org/jane/new/1', 'worker/smtp-1/events/1']
  for (const file of files) writeFileSync(join(directory, file), '')
  execFileSync('chmod', ['-R', 'a+rX', directory])
  const one = await run(directory)
  one.child.kill('SIGTERM')
  expect(await one.exited).toBe(0)
  await run(directory)
  const open = readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .concat('.')
    .filter((path) => (statSync(join(directory, path)).mode & 0o077) !== 0)
  expect(open).toEqual([])
  expect(existsSync(join(directory, 'db', 'events.db-wal'))).toBe(true)
  expect(statSync(directory).mode & 0o777).toBe(0o700)
})

it('names a damaged database and does not change it', async () => {
  const directory = fresh()
  mkdirSync(join(directory, 'db'))
  const file = join(directory, 'db', 'settings.db')
  writeFileSync(file, 'garbage '.repeat(1000))
  const { exited, said } = await run(directory)
  expect(await exited).toBe(1)
  expect(said()).toContain(`postern cannot start: ${file} is damaged`)
  expect(readFileSync(file, 'utf8')).toBe('garbage '.repeat(1000))
  expect(existsSync(join(directory, 'db', 'events.db'))).toBe(false)
})

it('reports a port that is in use or not a port', async () => {
  const one = await run(fresh())
  const taken = await run(fresh(), { POSTERN_API_PORT: new URL(one.url).port })
  expect(await taken.exited).toBe(1)
  expect(taken.said()).toMatch(/postern cannot start: The API cannot listen on 127\.0\.0\.1:\d+ \(EADDRINUSE\)/)
  const wrong = await run(fresh(), { POSTERN_API_PORT: 'http' })
  expect([await wrong.exited, wrong.said()]).toEqual([1, expect.stringContaining('POSTERN_API_PORT is "http"')])
})

it('keeps an idle connection longer than proxies do', async () => {
  const one = await run(fresh())
  const { headers } = await fetch(`${one.url}/healthz`)
  expect(headers.get('keep-alive')).toBe('timeout=75')
})
