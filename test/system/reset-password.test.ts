import { spawnSync } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { showLogsOnFailure } from '../peers/failure.ts'
import { temporaryDirectory } from '../peers/peer.ts'
import { credentials, type Postern, startPostern } from './postern.ts'

let dataDirectory: string
let postern: Postern | undefined
beforeAll(async () => {
  dataDirectory = await temporaryDirectory('reset')
})
afterAll(async () => {
  await postern?.stop()
  await rm(dataDirectory, { recursive: true, force: true })
})
showLogsOnFailure(() => [postern])

function reset(args: string[] = [], env: Record<string, string> = {}) {
  const command = join(import.meta.dirname, '../../apps/cli/postern')
  const { status, stdout, stderr } = spawnSync(command, ['reset-password', ...args], {
    encoding: 'utf8',
    env: { PATH: process.env.PATH, POSTERN_DATA_DIR: dataDirectory, ...env },
  })
  return { status, stdout, stderr }
}

async function signIn(password: string) {
  const answer = await fetch(`${postern?.url}/v1/auth/token`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email: credentials.email, password }),
  })
  return { status: answer.status, body: (await answer.json()) as { accessToken: string } }
}

it('sets a new password for an owner who is locked out, on the machine, with Postern stopped', async () => {
  const options = { dataDirectory, env: { POSTERN_WORKERS: 'none' } }
  expect(reset()).toMatchObject({
    status: 1,
    stderr: expect.stringMatching(/There is no Postern in .*POSTERN_DATA_DIR/),
  })
  postern = await startPostern(options)
  const before = await signIn(credentials.password)
  expect(before.status).toBe(200)
  for (let i = 0; i < 11; i++) await signIn('wrong password')
  expect((await signIn(credentials.password)).status).toBe(429)
  expect(reset()).toMatchObject({ status: 1, stdout: '', stderr: expect.stringMatching(/is using .*Stop it first/) })
  await postern.stop()

  expect(reset(['gone@postern.test'])).toMatchObject({ status: 1, stderr: expect.stringMatching(/no user gone@/) })
  expect(reset(['a@b.test', 'c'])).toMatchObject({ status: 1, stderr: expect.stringMatching(/usage/) })
  const { status, stdout, stderr } = reset()
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  const password = /^The password of admin@postern\.test is now (\S{20}) /.exec(stdout)?.[1] ?? ''

  postern = await startPostern(options)
  expect((await signIn(credentials.password)).status).toBe(401)
  const { status: now, body } = await signIn(password)
  expect(now).toBe(200)
  const get = (path: string, token: string) =>
    fetch(`${postern?.url}${path}`, { headers: { authorization: `Bearer ${token}` } })
  expect((await get('/v1/services', before.body.accessToken)).status).toBe(401)
  const audit = await (await get('/v1/audit?limit=10', body.accessToken)).text()
  expect(audit).toContain('user.reset-password')
  expect(audit).not.toContain(password)
})
