import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { afterEach, expect, it } from 'vitest'
import { Dns } from './dns.ts'

const open: Socket[] = []
afterEach(() => {
  for (const socket of open.splice(0)) socket.close()
})

/** A server that answers every question with this code (RFC 1035 §4.1.1) and no records, or not at all; it counts questions. */
async function server(code: number | 'silent') {
  const socket = createSocket('udp4')
  open.push(socket)
  const asked = { count: 0 }
  socket.on('message', (question, from) => {
    asked.count++
    if (code === 'silent') return
    const answer = Buffer.from(question)
    answer[2] = 0x81
    answer[3] = 0x80 | code
    socket.send(answer, from.port, from.address)
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  return { asked, servers: [`127.0.0.1:${socket.address().port}`] }
}

it('who asks while the answer is on its way, and soon after, shares it', async () => {
  const { servers, asked } = await server(3)
  const dns = new Dns({ servers })
  expect(await Promise.all([dns.a('x.test'), dns.a('x.test')])).toEqual([[], []])
  expect(await dns.a('x.test')).toEqual([])
  expect(asked.count).toBe(1)
  expect(await dns.mx('x.test')).toEqual([])
  expect(asked.count).toBe(2)
})

it.each([0, 3])('answer code %i without records is none', async (code) => {
  const dns = new Dns(await server(code))
  expect(await dns.ptr('1.2.0.192.in-addr.arpa')).toEqual([])
  expect(await dns.aaaa('x.test')).toEqual([])
  expect(await dns.txt('x.test')).toEqual([])
})

it.each([1, 2, 4, 5])('answer code %i is not known', async (code) => {
  const dns = new Dns({ ...(await server(code)), timeoutMs: 200, tries: 1 })
  expect(await dns.a('x.test')).toBe('not-known')
})

it('a name that cannot be one is none', async () => {
  const dns = new Dns({ ...(await server('silent')), timeoutMs: 200, tries: 1 })
  expect(await dns.a(`${'x'.repeat(64)}.test`)).toEqual([])
  expect(await dns.a('a..test')).toEqual([])
})

it('a silent server costs its time and no more; too many questions at once are not asked', async () => {
  const { servers } = await server('silent')
  const dns = new Dns({ servers, timeoutMs: 300, tries: 1 })
  const order: string[] = []
  const answers = Array.from({ length: 1000 }, (_, i) => dns.a(`x${i}.test`).finally(() => order.push('asked')))
  const oneMore = dns.a('one-more.test').finally(() => order.push('one more'))
  expect(await oneMore).toBe('not-known')
  expect(new Set(await Promise.all(answers))).toEqual(new Set(['not-known']))
  expect(order.indexOf('one more')).toBe(0)
})

it('servers that are none are refused', () => {
  expect(() => new Dns({ servers: ['dns.test'] })).toThrow()
})
