import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { credentials } from '../system/postern.ts'
import { bundleForTests, type Cloud, enrolTokens, startCloud } from './cloud.ts'

/** Rotating secrets while instances run: nobody is locked out. */
const bundle = bundleForTests()
let cloud: Cloud
beforeAll(async () => {
  cloud = await startCloud(bundle.directory, { maxInstances: 2 })
})
afterAll(() => cloud.stop())
afterEach(({ task }) => {
  if (task.result?.state === 'fail') console.error(cloud.gateway.broken, cloud.gateway.logs().slice(-5_000))
})

/** A refused token makes an instance read the secrets again, at most every ten seconds (infra/function/secrets.ts). */
const pause = () => sleep(10_000)

const peopleAreLetIn = async () => {
  const { status, text } = await cloud.api.call('GET', '/v1/me')
  expect([status, text]).toEqual([200, expect.stringContaining(credentials.email)])
}

async function enrol(token: string, service: 'smtp' | 'queue' = 'smtp') {
  const answer = await fetch(`${cloud.gateway.url}/v1/worker/enrol`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ token, service, name: `${service}-1`, version: '1' }),
  })
  return { status: answer.status, body: (await answer.json()) as { accessToken: string } }
}
const requestsOf = async (worker: string) =>
  (await fetch(`${cloud.gateway.url}/v1/worker/requests`, { headers: { authorization: `Bearer ${worker}` } })).status

test('the token of the CDN', async () => {
  await peopleAreLetIn()
  cloud.rotate('POSTERN_EDGE_TOKEN', 'a newer token of the CDN')
  await peopleAreLetIn()
  // A new instance knows both.
  await cloud.gateway.replaceInstances()
  await peopleAreLetIn()
  cloud.rotate('POSTERN_EDGE_TOKEN', 'the newest token of the CDN')
  await pause()
  cloud.deployCdn('the newest token of the CDN')
  // A warm instance has not heard of it yet.
  await peopleAreLetIn()
  expect(cloud.gateway.coldStarts).toBe(2)
})

test('the enrolment token of a service', async () => {
  const old = await enrol(enrolTokens.smtp)
  expect(old.status).toBe(200)
  cloud.rotate('POSTERN_SMTP_ENROL_TOKEN', 'the second long token of smtp')
  await pause()
  // The tasks are deployed one after the other: those with the new token enrol, and those with the old one go on.
  const next = await enrol('the second long token of smtp')
  expect(next.status).toBe(200)
  for (const worker of [old, next]) expect(await requestsOf(worker.body.accessToken)).toBe(200)
  expect((await enrol(enrolTokens.smtp)).status).toBe(200)
  expect((await enrol('a guess that is long enough')).status).toBe(401)
  await cloud.gateway.replaceInstances()
  for (const token of [enrolTokens.smtp, 'the second long token of smtp']) expect((await enrol(token)).status).toBe(200)
  // The token before the previous one has ended, and with it what was enrolled with it.
  cloud.rotate('POSTERN_SMTP_ENROL_TOKEN', 'the third long token of smtp')
  await pause()
  expect((await enrol('the third long token of smtp')).status).toBe(200)
  expect((await enrol(enrolTokens.smtp)).status).toBe(401)
  expect(await requestsOf(old.body.accessToken)).toBe(401)
  expect(await requestsOf(next.body.accessToken)).toBe(200)
})

test('the token of the database', async () => {
  await peopleAreLetIn()
  cloud.rotate('POSTERN_DATABASE_AUTH_TOKEN', 'the second token of the database')
  await peopleAreLetIn()
  await pause()
  cloud.database.authToken = 'the second token of the database'
  await peopleAreLetIn()
  // Stored before the server knows it: the previous one is used until then, by new instances too.
  cloud.rotate('POSTERN_DATABASE_AUTH_TOKEN', 'the third token of the database')
  await cloud.gateway.replaceInstances()
  await peopleAreLetIn()
  cloud.database.authToken = 'the third token of the database'
  await peopleAreLetIn()
})

test('the keys that sign tokens', async () => {
  const keysNow = async () => {
    const { keys } = (await (await fetch(`${cloud.cdn.url}/.well-known/jwks.json`)).json()) as { keys: object[] }
    return keys.length
  }
  const { body } = await enrol(enrolTokens.queue, 'queue')
  await peopleAreLetIn()
  expect(await keysNow()).toBe(1)
  cloud.ageSigningKeys()
  await cloud.gateway.invoke({ schedule: 'retention' })
  expect(await keysNow()).toBe(2)
  for (const warm of [true, false]) {
    if (!warm) await cloud.gateway.replaceInstances()
    await peopleAreLetIn()
    expect(await requestsOf(body.accessToken)).toBe(200)
    const signedIn = await cloud.api.call('POST', '/v1/auth/token', { token: null, body: credentials })
    expect(signedIn.status).toBe(200)
  }
})
