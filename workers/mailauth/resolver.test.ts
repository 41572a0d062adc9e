import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { afterEach, describe, expect, it } from 'vitest'
import { CachingResolver } from './resolver.ts'

const open: { close(): unknown }[] = []
afterEach(async () => {
  for (const each of open.splice(0)) await each.close()
})

/** A name server that has one TXT record for each name of `texts`, NXDOMAIN for others, and counts questions. */
async function nameServer(texts: Record<string, string>) {
  const asked: string[] = []
  const socket = createSocket('udp4').bind(0, '127.0.0.1')
  await once(socket, 'listening')
  open.push({ close: () => new Promise<void>((done) => socket.close(() => done())) })
  socket.on('message', (question, { port, address }) => {
    const labels: string[] = []
    let at = 12
    for (; question[at] !== 0; at += (question[at] as number) + 1)
      labels.push(question.toString('latin1', at + 1, at + 1 + (question[at] as number)))
    const name = labels.join('.')
    asked.push(name)
    const text = texts[name]
    const header = Buffer.from(question.subarray(0, 12))
    header.writeUInt16BE(text === undefined ? 0x8183 : 0x8180, 2)
    header.writeUInt16BE(text === undefined ? 0 : 1, 6)
    header.writeUInt16BE(0, 10)
    const answer = text === undefined ? [] : [0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 60, 0, text.length + 1, text.length]
    socket.send(
      Buffer.concat([header, question.subarray(12, at + 5), Buffer.from(answer), Buffer.from(text ?? '')]),
      port,
      address,
    )
  })
  return { asked, resolver: new CachingResolver([`127.0.0.1:${socket.address().port}`]) }
}

describe('what was concluded from the DNS', () => {
  it('is recalled as long as its records are kept, and says for how long', async () => {
    const { asked, resolver } = await nameServer({ 'a.test': 'v=spf1 -all' })
    let found = 0
    const conclude = () => {
      const listener = resolver.listen()
      const said = listener.recall('spf a.test', async (resolve) => ({
        records: await resolve('a.test', 'TXT'),
        found: ++found,
      }))
      return said.then((answer) => ({ answer, holdsMs: listener.holdsMs }))
    }
    const first = await conclude()
    expect(first.answer).toEqual({ records: [['v=spf1 -all']], found: 1 })
    expect(first.holdsMs).toBeGreaterThan(50_000)
    const second = await conclude()
    expect(second.answer).toBe(first.answer)
    expect(second.holdsMs).toBeLessThanOrEqual(first.holdsMs)
    expect(asked).toEqual(['a.test'])
  })

  it('is not kept when a record has a macro: it depends on more than the key', async () => {
    const { resolver } = await nameServer({ 'm.test': 'v=spf1 exists:%{l}.m.test -all' })
    let found = 0
    const conclude = async () => {
      const listener = resolver.listen()
      await listener.recall('spf m.test', async (resolve) => ({ records: await resolve('m.test', 'TXT'), n: ++found }))
      return listener.holdsMs
    }
    expect([await conclude(), await conclude(), found]).toEqual([0, 0, 2])
  })

  it('that a name is not there is kept, too; what nobody could say is not', async () => {
    const { asked, resolver } = await nameServer({})
    const missing = async (name: string, from = resolver) => {
      const listener = from.listen()
      const code = await listener.resolve(name, 'TXT').catch((error: NodeJS.ErrnoException) => error.code)
      return { code, holdsMs: listener.holdsMs }
    }
    expect(await missing('none.test')).toMatchObject({ code: 'ENOTFOUND' })
    expect((await missing('none.test')).holdsMs).toBeGreaterThan(50_000)
    expect(asked).toEqual(['none.test'])
    const silent = new CachingResolver(['127.0.0.1:9'], { timeoutMs: 50, tries: 1 })
    expect((await missing('a.test', silent)).holdsMs).toBeLessThanOrEqual(5_000)
  })
})
