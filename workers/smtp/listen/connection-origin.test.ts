import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { entry, startTestReceiver, type TestReceiver } from '../test/receiver-harness.ts'
import { connect, pastBanner } from '../test/wire-client.ts'

const v1 = 'PROXY TCP4 192.0.2.7 198.51.100.1 4096 25\r\n'
const v2 = Buffer.concat([
  Buffer.from('\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0f', 'latin1'),
  Buffer.from([192, 0, 2, 7, 198, 51, 100, 1, 16, 0, 0, 25]),
  Buffer.from([4, 0, 0]),
])
const v2Six = Buffer.concat([
  Buffer.from('\r\n\r\n\0\r\nQUIT\n\x21\x21\x00\x24', 'latin1'),
  Buffer.from('20010db8000000000000000000000007', 'hex'),
  Buffer.from('20010db8000000000000000000000001', 'hex'),
  Buffer.from([16, 0, 0, 25]),
])
const v2Local = Buffer.from('\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00', 'latin1')

let receiver: TestReceiver
beforeAll(async () => {
  receiver = await startTestReceiver({
    settings: {
      advanced: { proxyProtocol: ['127.0.0.8/31'], maxConnectionsPerAddress: 0 },
      general: { relayMode: 'addresses' },
    },
    rows: [entry('control-access', '203.0.113.9')],
  })
})
afterAll(() => receiver.close())

async function clientSeen(header: string | Buffer, packets: 'one' | 'bytes' = 'one'): Promise<string | undefined> {
  const client = await connect({ port: receiver.port(), from: '127.0.0.8' })
  const bytes = typeof header === 'string' ? Buffer.from(header, 'latin1') : header
  if (packets === 'one') client.write(bytes)
  else
    for (const byte of bytes) {
      client.write(Buffer.from([byte]))
      await new Promise((done) => setImmediate(done))
    }
  expect(await client.text()).toMatch(/^220 /)
  expect(await client.send('x\r\n')).toMatch(/^250 /)
  client.destroy()
  return receiver.of('message.accepted').at(-1)?.client?.ip
}

describe('a trusted balancer', () => {
  it.each([
    ['v1', v1, '192.0.2.7'],
    ['v1 for IPv6', 'PROXY TCP6 2001:db8::7 2001:db8::1 4096 25\r\n', '2001:db8::7'],
    ['v2', v2, '192.0.2.7'],
    ['v2 for IPv6', v2Six, '2001:db8::7'],
    ['v1 that speaks for itself', 'PROXY UNKNOWN\r\n', '127.0.0.8'],
    ['v2 that speaks for itself', v2Local, '127.0.0.8'],
  ] as const)('%s', async (_name, header, ip) => {
    expect(await clientSeen(header)).toBe(ip)
    expect(await clientSeen(header, 'bytes')).toBe(ip)
  })

  it('its client is judged, not itself', async () => {
    const client = await connect({ port: receiver.port(), from: '127.0.0.8' })
    client.write('PROXY TCP4 203.0.113.9 198.51.100.1 1 25\r\n')
    expect(await client.untilClosed()).toBe('554 5.7.1 Access denied for 203.0.113.9\r\n')
  })

  it('the client may not relay because the balancer may', async () => {
    const client = await connect({ port: receiver.port(), from: '127.0.0.8' })
    client.write(v1)
    await client.text()
    await client.answer('EHLO c.test')
    await client.answer('MAIL FROM:<sam@remote.test>')
    expect(await client.answer('RCPT TO:<x@away.test>')).toMatch(/^550 5\.7\.1 /)
    client.destroy()
  })

  it('must say so: without a header there is no session', async () => {
    const client = await connect({ port: receiver.port(), from: '127.0.0.9' })
    client.write('EHLO c.test\r\n')
    expect(await client.untilClosed()).toBe('421 4.7.0 PROXY header expected\r\n')
    expect(receiver.of('session.error').at(-1)?.detail).toContain('PROXY')
  })

  it('that ends before its header is forgotten', async () => {
    const client = await connect({ port: receiver.port(), from: '127.0.0.8' })
    client.write('PROXY TC')
    client.destroy()
    await expect.poll(() => receiver.service.status().sessions).toBe(0)
  })

  it('that is silent is sent away', async () => {
    const client = await connect({ port: receiver.port(), from: '127.0.0.8' })
    expect(await client.untilClosed()).toBe('421 4.7.0 PROXY header expected\r\n')
  })
})

describe('anybody else', () => {
  it.each([
    ['v1', v1],
    ['v2', v2],
  ] as const)('a PROXY header %s is a protocol error, and the end', async (_name, header) => {
    const client = await pastBanner({ port: receiver.port(), from: '127.0.0.4' })
    client.write(header)
    expect(await client.untilClosed()).toMatch(/421 4\.7\.0 PROXY header not accepted from 127\.0\.0\.4\r\n$/)
    expect(receiver.of('session.error').at(-1)).toMatchObject({ client: { ip: '127.0.0.4' }, reason: 'protocol-error' })
  })
})
