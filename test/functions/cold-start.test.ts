import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { bundleForTests, type Cloud, startCloud } from './cloud.ts'

/** What a new instance costs before it answers, on a database that is in use. */
const bundle = bundleForTests()
let cloud: Cloud
beforeAll(async () => {
  cloud = await startCloud(bundle.directory, { databaseMs: 10 })
})
afterAll(() => cloud.stop())
afterEach(({ task }) => {
  if (task.result?.state === 'fail') console.error(cloud.gateway.broken, cloud.gateway.logs().slice(-5_000))
})

test('the first answer takes at most five calls of the database', async () => {
  const { api, database, gateway } = cloud
  const authorization = `Bearer ${await api.token()}`
  const timesMs: number[] = []
  for (let n = 0; n < 3; n += 1) {
    await gateway.replaceInstances()
    const before = database.requests
    const begin = performance.now()
    const { status } = await fetch(`${api.url}/v1/me`, { headers: { authorization } })
    timesMs.push(performance.now() - begin)
    expect(status).toBe(200)
    expect(database.requests - before).toBeLessThanOrEqual(5)
  }
  console.log(`the first answer took ${timesMs.map(Math.round).join(', ')} ms`)
})
