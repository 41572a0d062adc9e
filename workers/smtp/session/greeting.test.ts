import type { Row } from '@postern/contract/rows.ts'
import { afterEach, describe, expect, it } from 'vitest'
import { startTestReceiver, type TestReceiver } from '../test/receiver-harness.ts'
import { connect } from '../test/wire-client.ts'
import { isEarlyTalk } from './greeting.ts'

let receiver: TestReceiver | undefined
afterEach(async () => {
  await receiver?.close()
  receiver = undefined
})

const delayed = { settings: { security: { greetingDelaySeconds: 2 } } }
const stopped: Row = { kind: 'service', id: 'smtp', value: { desired: 'stopped', generation: 1 } }

describe('before the banner', () => {
  it('a stop does not wait for the greeting delay', async () => {
    receiver = await startTestReceiver(delayed)
    const client = await connect({ port: receiver.port() })
    await expect.poll(() => receiver?.service.status().sessions).toBe(1)
    await receiver.apply({ rows: [stopped] })
    // Not 220: nobody waited for the delay.
    expect(await client.text()).toMatch(/^421 4\.3\.2 /)
    await client.untilClosed()
    expect(receiver.troubles).toEqual([])
  })

  it('a client that goes away is forgotten at once', async () => {
    receiver = await startTestReceiver(delayed)
    const client = await connect({ port: receiver.port() })
    await expect.poll(() => receiver?.service.status().sessions).toBe(1)
    client.socket.destroy()
    await expect.poll(() => receiver?.service.status().sessions).toBe(0)
    // The greeting delay ends for nobody: it is over when the one of somebody who came later is.
    const later = await connect({ port: receiver.port() })
    expect(await later.text()).toMatch(/^220 /)
    expect(receiver.troubles).toEqual([])
    expect(receiver.of('session.refused')).toEqual([])
  })

  it('a client that waits and one that talks early wait equally long, and each is answered', async () => {
    receiver = await startTestReceiver({ settings: { security: { greetingDelaySeconds: 1 } } })
    const [waiting, early] = await Promise.all([connect({ port: receiver.port() }), connect({ port: receiver.port() })])
    early.write('x')
    expect(await waiting.text()).toMatch(/^220 mx\.test /)
    expect(await early.text()).toMatch(/^554 5\.5\.1 /)
  })
})

it.each([
  ['EHLO x\r\n', true],
  ['x', true],
  ['\r\n', true],
  ['GET / HTTP/1.1\r\n', true],
  ['PROXY TCP4 ', false],
  ['\r\n\r\n\0\r\nQUIT\n', false],
  ['\x16\x03\x01', false],
  ['', false],
])('%j is early talk: %s', (first, talk) => {
  expect(isEarlyTalk(Buffer.from(first, 'latin1'))).toBe(talk)
})
