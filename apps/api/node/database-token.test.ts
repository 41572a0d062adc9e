import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { fetchWithToken } from './database-token.ts'

/** A server that accepts one token and says what it was sent. */
const asked: string[] = []
let valid = 'a'
const server = createServer(async (request, response) => {
  asked.push((request.headers.authorization ?? '').replace('Bearer ', ''))
  const body = Buffer.concat(await request.toArray()).toString()
  response.writeHead(asked.at(-1) === valid ? 200 : 401).end(body)
})
let url = ''
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
})
afterAll(() => void server.close())
beforeEach(() => {
  asked.length = 0
  valid = 'a'
})

/** `stored`: what a secret holds; `read`: what was read of it. */
function start(read: string[], stored = read) {
  let known = read
  const send = fetchWithToken({
    current: () => known,
    reread: async () => {
      known = stored
    },
  })
  return async () => {
    const answer = await send(new Request(url, { method: 'POST', body: 'select 1' }))
    return [answer.status, await answer.text()]
  }
}

it('sends the current token', async () => {
  expect(await start(['a', 'former'])()).toEqual([200, 'select 1'])
  expect(asked).toEqual(['a'])
})

it('sends the previous one while the server does not know the current one, and remembers which', async () => {
  const send = start(['newer', 'a'])
  for (let n = 0; n < 2; n += 1) expect(await send()).toEqual([200, 'select 1'])
  expect(asked).toEqual(['newer', 'a', 'a'])
  valid = 'newer'
  expect(await send()).toEqual([200, 'select 1'])
  expect(asked.slice(3)).toEqual(['a', 'newer'])
})

it('reads the token again when the server refuses all', async () => {
  const send = start(['old'], ['a', 'old'])
  for (let n = 0; n < 2; n += 1) expect(await send()).toEqual([200, 'select 1'])
  expect(asked).toEqual(['old', 'a', 'a'])
})

it('returns the refusal when nothing newer is there', async () => {
  expect((await start(['old', 'older'])())[0]).toBe(401)
  expect(asked).toEqual(['old', 'older'])
})

it('sends none if there is none', async () => {
  valid = ''
  expect(await start([])()).toEqual([200, 'select 1'])
})
