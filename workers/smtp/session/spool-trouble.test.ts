import { SpoolFailure, SpoolFull, type SpoolWriter } from '@postern/spool/spool.ts'
import { describe, expect, it } from 'vitest'
import { startTestReceiver } from '../test/receiver-harness.ts'
import { pastBanner } from '../test/wire-client.ts'

/** The spool with some of its answers replaced. */
function spoolWith(answers: object): { spool: (made: SpoolWriter) => SpoolWriter } {
  return {
    spool: (made) =>
      new Proxy(made, {
        get: (target, name) => {
          const value = Reflect.get({ ...answers }, name) ?? Reflect.get(target, name)
          return typeof value === 'function' ? value.bind(target) : value
        },
      }),
  }
}

describe('a spool in trouble', () => {
  it('is full: 452 at MAIL, and an event', async () => {
    const other = await startTestReceiver({}, spoolWith({ hasRoom: () => false }))
    const client = await pastBanner({ port: other.port() })
    await client.answer('EHLO client.test')
    expect(await client.answer('MAIL FROM:<sam@remote.test>')).toMatch(/^452 4\.3\.1 /)
    expect(await client.answer('MAIL FROM:<sam@remote.test>')).toMatch(/^452 /)
    expect(other.of('spool.full')).toHaveLength(1)
    client.destroy()
    await other.close()
  })

  it.each([
    ['fills up within a message', new SpoolFull('no room'), /^452 4\.3\.1 /],
    ['fails', new SpoolFailure('EIO'), /^451 4\.3\.0 /],
  ])('%s: the client keeps the message, and the session lives', async (_name, error, expected) => {
    const other = await startTestReceiver(
      {},
      spoolWith({
        write: () => Promise.reject(error),
        begin: () => {
          throw error
        },
      }),
    )
    const client = await pastBanner({ port: other.port() })
    expect(await client.send('small\r\n')).toMatch(expected)
    expect(await client.send(`${'x'.repeat(998)}\r\n`.repeat(500))).toMatch(expected)
    expect(await client.answer('NOOP')).toMatch(/^250/)
    expect(other.of('message.refused')).toHaveLength(2)
    expect(other.of('message.accepted')).toHaveLength(0)
    client.destroy()
    await other.close()
  })
})
