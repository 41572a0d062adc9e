import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startTestReceiver, type TestReceiver } from '../test/receiver-harness.ts'

let receiver: TestReceiver
beforeAll(async () => {
  receiver = await startTestReceiver()
})
afterAll(() => receiver.close())

const envelope = 'EHLO c.test\r\nMAIL FROM:<sam@remote.test>\r\nRCPT TO:<jane@example.test>\r\n'
const message = (subject: string) => `Subject: ${subject}\r\n\r\nhello\r\n..\r\n`
const byData = (subject: string) => `${envelope}DATA\r\n${message(subject)}.\r\n`
const byChunks = (subject: string) => {
  const text = message(subject)
  return `${envelope}BDAT 10\r\n${text.slice(0, 10)}BDAT ${text.length - 10} LAST\r\n${text.slice(10)}`
}

/** Sends the bytes and leaves: with FIN, so that the replies still come, or with RST. @returns what was read */
function cut(bytes: string, how: 'end' | 'reset'): Promise<string> {
  return new Promise((done) => {
    const socket = connect(receiver.port(), '127.0.0.1')
    let read = ''
    socket.on('data', (chunk) => {
      read += chunk.toString('latin1')
    })
    socket.on('error', () => {})
    socket.once('close', () => done(read))
    socket.once('data', () => {
      socket.write(bytes, 'latin1', () => (how === 'end' ? socket.end() : socket.resetAndDestroy()))
    })
  })
}

async function untilIdle(): Promise<void> {
  await expect.poll(() => receiver.service.status().sessions, { timeout: 30_000 }).toBe(0)
}

describe.each([
  ['DATA', byData],
  ['BDAT', byChunks],
] as const)('a client that goes at every byte of a session with %s', (name, session) => {
  it.each(['end', 'reset'] as const)(
    '%s: nothing half is kept, nothing that had 250 is lost, no session is left',
    async (how) => {
      const subjectOf = (at: number) => `${name}-${how}-${String(at).padStart(3, '0')}`
      const whole = session(subjectOf(0)).length
      const read = new Map<string, string>()
      for (let from = 0; from <= whole; from += 20)
        await Promise.all(
          Array.from({ length: Math.min(20, whole + 1 - from) }, async (_, i) => {
            const subject = subjectOf(from + i)
            read.set(subject, await cut(session(subject).slice(0, from + i), how))
          }),
        )
      await untilIdle()
      const stored = (await receiver.stored())
        .map(({ body }) => ({ body, subject: /^Subject: (.*)$/m.exec(body)?.[1]?.trim() ?? '' }))
        .filter(({ subject }) => subject.startsWith(`${name}-${how}-`))
      const kept = stored.map(({ subject }) => subject)
      expect(new Set(kept).size).toBe(kept.length)
      for (const { body, subject } of stored) {
        expect(subject).toBe(subjectOf(whole))
        expect(body.endsWith(name === 'DATA' ? '\r\n\r\nhello\r\n.\r\n' : '\r\n\r\nhello\r\n..\r\n')).toBe(true)
      }
      for (const [subject, said] of read) if (/Accepted as/.test(said)) expect(kept).toContain(subject)
      // A client that sends all and half-closes is answered; one that resets may be gone before it was read.
      if (how === 'end') expect(kept).toEqual([subjectOf(whole)])
      // A message whose client is gone may still be on its way to the disk, and its event follows it.
      await expect
        .poll(async () => (await receiver.stored()).length - receiver.of('message.accepted').length, {
          timeout: 30_000,
        })
        .toBe(0)
      expect(receiver.service.status().sessions).toBe(0)
      expect(receiver.troubles).toEqual([])
    },
  )
})
