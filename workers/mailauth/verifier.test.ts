import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { afterEach, describe, expect, it } from 'vitest'
import { Verifier, VerifierBusy } from './verifier.ts'
import type { Question } from './verify.ts'

const question: Question = { sender: 'x@a.test', ip: '192.0.2.1', helo: 'a.test', hostname: 'mx.test', checks: [] }

const open: { close(): unknown }[] = []
afterEach(async () => {
  for (const each of open.splice(0)) await each.close()
})

/** A DNS server that never answers. */
async function silentDns(): Promise<string> {
  const socket = createSocket('udp4').bind(0, '127.0.0.1')
  await once(socket, 'listening')
  open.push({ close: () => new Promise<void>((done) => socket.close(() => done())) })
  return `127.0.0.1:${socket.address().port}`
}

function verifier(options: Partial<ConstructorParameters<typeof Verifier>[0]> = {}): Verifier {
  const made = new Verifier({ servers: ['127.0.0.1:9'], threads: 1, ...options })
  open.push(made)
  return made
}

async function* message(...pieces: string[]): AsyncGenerator<Buffer> {
  for (const piece of pieces) yield Buffer.from(piece)
}

describe('the verifier', () => {
  it('reads a message in pieces and says where it is forged', async () => {
    const pieces = [
      'From: x@a.test\r\nAuthen',
      'tication-Results: mx.test; spf=pass\r',
      '\n\r\n',
      'body\r\n'.repeat(50_000),
    ]
    const result = await verifier().streamed(question, message(...pieces))
    expect(result).toMatchObject({ findings: {}, cuts: [[16, 59]], forged: 1 })
  })

  it('many at once are answered each for itself', async () => {
    const one = verifier({ threads: 2 })
    const answers = await Promise.all(
      Array.from({ length: 300 }, (_, i) =>
        one.streamed(question, message(i % 3 === 0 ? 'Authentication-Results: mx.test; x=y\r\n\r\n' : 'A: b\r\n\r\n')),
      ),
    )
    expect(answers.map(({ forged }) => forged)).toEqual(Array.from({ length: 300 }, (_, i) => (i % 3 === 0 ? 1 : 0)))
  })

  it('a silent DNS holds a message no longer than the timeout, and a full queue refuses at once', async () => {
    const one = verifier({
      servers: [await silentDns()],
      maxWaiting: 1,
      timeouts: { message: 300, thread: 60_000 },
    })
    const asked = { ...question, checks: ['spf'] as const }
    const waiting = Array.from({ length: 65 }, (_, i) =>
      one.streamed({ ...asked, sender: `x@${i}.test` }, message('A: b\r\n\r\n')).catch((error: Error) => error.message),
    )
    await expect(one.streamed(asked, message('A: b\r\n\r\n'))).rejects.toBeInstanceOf(VerifierBusy)
    // One may have given up on the DNS by itself just before.
    const ends = (await Promise.all(waiting)).map((end) => (typeof end === 'string' ? end : end.findings.spf?.result))
    expect(ends).toContain('took too long')
    expect(ends.filter((end) => end !== 'took too long' && end !== 'temperror')).toEqual([])
  })

  it('a message that breaks off is an error, and the next one is not touched', async () => {
    async function* broken(): AsyncGenerator<Buffer> {
      yield Buffer.from('A: b\r\n')
      throw new Error('damaged')
    }
    const one = verifier()
    await expect(one.streamed(question, broken())).rejects.toThrow()
    await expect(one.streamed(question, message('A: b\r\n\r\n'))).resolves.toMatchObject({ forged: 0 })
  })

  it('closed: what is under way is told', async () => {
    const one = verifier({ servers: [await silentDns()] })
    const under = one.streamed({ ...question, checks: ['spf'] }, message('A: b\r\n\r\n'))
    const told = expect(under).rejects.toThrow('its thread ended')
    await new Promise((resolve) => setTimeout(resolve, 100))
    await one.close()
    await told
    await expect(one.streamed(question, message(''))).rejects.toThrow('closed')
  })
})
