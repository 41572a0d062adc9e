import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { deploymentStep } from './deployment-step.ts'

/** Where CloudFormation waits for the answer. */
const answers: { type: string | undefined; body: unknown }[] = []
let status = 200
const server = createServer(async (request, response) => {
  answers.push({ type: request.headers['content-type'], body: await json(request) })
  response.writeHead(status).end()
})
let url = ''
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/answer`
})
afterAll(() => void server.close())
beforeEach(() => {
  answers.length = 0
  status = 200
})

const request = (RequestType: string, more: object = {}) => ({
  RequestType,
  ResponseURL: url,
  ServiceToken: 'arn',
  StackId: 'stack',
  RequestId: 'request',
  LogicalResourceId: 'Migrations',
  ResourceProperties: { Release: '1' },
  ...more,
})
const same = { StackId: 'stack', RequestId: 'request', LogicalResourceId: 'Migrations' }

test.each(['Create', 'Update'])('%s migrates and says so', async (type) => {
  let migrated = 0
  await deploymentStep(request(type, { PhysicalResourceId: 'as before' }), async () => {
    migrated += 1
  })
  expect(migrated).toBe(1)
  expect(answers).toEqual([{ type: '', body: { Status: 'SUCCESS', PhysicalResourceId: 'as before', ...same } }])
})

test('a failure ends the deployment with its reason', async () => {
  await deploymentStep(request('Create'), () => Promise.reject(new Error('x'.repeat(10_000))))
  const [{ body } = { body: undefined }] = answers
  expect(body).toMatchObject({ Status: 'FAILED', PhysicalResourceId: 'migrations', ...same })
  expect(JSON.stringify(body).length).toBeLessThan(4096)
  expect((body as { Reason: string }).Reason).toMatch(/^The databases could not be brought up to date: Error: xxx/)
})

test('removing the stack touches no database', async () => {
  await deploymentStep(request('Delete'), () => Promise.reject(new Error('called')))
  expect(answers).toMatchObject([{ body: { Status: 'SUCCESS' } }])
})

test('an answer that is not taken is an error, and so is another event', async () => {
  status = 403
  await expect(deploymentStep(request('Create'), async () => {})).rejects.toThrow('403')
  await expect(deploymentStep({ schedule: 'sweep' }, async () => {})).rejects.toThrow()
})
