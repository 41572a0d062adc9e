import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startTestReceiver, type TestReceiver } from '../test/receiver-harness.ts'
import { pastBanner, type WireClient } from '../test/wire-client.ts'

let receiver: TestReceiver
beforeAll(async () => {
  receiver = await startTestReceiver({ settings: { advanced: { maxConnectionsPerAddress: 0 } } })
})
afterAll(() => receiver.close())

/** The receiver is as well as before: it takes a message, and nothing unexpected happened. */
async function isWell(at = receiver): Promise<void> {
  const client = await pastBanner({ port: at.port() })
  expect(await client.send('Subject: well\r\n\r\nwell\r\n')).toMatch(/^250 2\.0\.0 /)
  client.destroy()
  expect(at.troubles).toEqual([])
}

/** Writes so many commands at once, and reads a reply to each. */
async function allAnswered(client: WireClient, commands: Buffer, count: number): Promise<void> {
  client.write(commands)
  for (let i = 0; i < count; i++) expect(await client.text()).toMatch(/^[25]/)
}

describe('command lines', () => {
  it.each([
    ['a bare LF', 'NOOP\n', /^500 5\.5\.2 Lines must end with CRLF/],
    ['a bare CR', 'NO\rOP\r\n', /^500 5\.5\.2 /],
    ['CR CR LF', 'NOOP\r\r\n', /^500 5\.5\.2 /],
    ['NUL', 'NO\0OP\r\n', /^500 5\.5\.2 /],
    ['no UTF-8', 'NOOP \xff\xfe\r\n', /^500 5\.5\.2 /],
    ['513 bytes', `NOOP ${'x'.repeat(506)}\r\n`, /^500 5\.5\.6 Line too long/],
    ['13 000 bytes', `${'x'.repeat(13_000)}\r\n`, /^500 5\.5\.6 /],
    ['a MAIL line beyond its extensions', `MAIL FROM:<a@b.test> ENVID=${'x'.repeat(1300)}\r\n`, /^500 5\.5\.6 /],
    ['nothing', '\r\n', /^500 5\.5\.2 /],
    ['blanks', '   \r\n', /^500 5\.5\.2 /],
  ])('%s is refused and the session lives', async (_name, bytes, expected) => {
    const client = await pastBanner({ port: receiver.port() })
    client.write(bytes)
    expect(await client.text()).toMatch(expected)
    expect(await client.answer('NOOP')).toBe('250 2.0.0 OK')
    client.destroy()
  })

  it('512 bytes are taken, in any packets', async () => {
    const client = await pastBanner({ port: receiver.port() })
    for (const byte of `NOOP ${'x'.repeat(505)}\r\n`) client.write(byte)
    expect(await client.text()).toBe('250 2.0.0 OK')
    client.destroy()
  })

  it('a megabyte without a line end costs one reply and no memory', async () => {
    const client = await pastBanner({ port: receiver.port() })
    for (let i = 0; i < 64; i++) client.write('y'.repeat(16_384))
    client.write('\r\nNOOP\r\n')
    expect(await client.text()).toMatch(/^500 5\.5\.6 /)
    expect(await client.text()).toBe('250 2.0.0 OK')
    client.destroy()
  })

  it('each of them is an event that counts', async () => {
    const before = receiver.of('session.error').length
    const client = await pastBanner({ port: receiver.port() })
    for (let i = 0; i < 15; i++) await client.answer(`FROB${i}`)
    expect(receiver.of('session.error').length - before).toBe(10)
    expect(receiver.of('session.error').at(-1)).toMatchObject({
      client: { ip: '127.0.0.1' },
      reason: 'protocol-error',
      detail: 'FROB9',
    })
    client.destroy()
  })

  it('who says nothing sensible for long is sent away', async () => {
    const client = await pastBanner({ port: receiver.port() })
    client.write('garbage\r\n'.repeat(200))
    expect((await client.untilClosed()).trimEnd().split('\r\n').at(-1)).toBe('421 4.7.0 This is a mail server; goodbye')
  })
})

describe('who is no mail client', () => {
  it.each(['GET / HTTP/1.1', 'POST /x HTTP/1.0', 'CONNECT mx:25 HTTP/1.1'])('%s', async (line) => {
    const client = await pastBanner({ port: receiver.port() })
    client.write(`${line}\r\nHost: x\r\n\r\nMAIL FROM:<a@b.test>\r\n`)
    expect(await client.untilClosed()).toBe(
      '500 5.5.1 Command not recognised\r\n421 4.7.0 mx.test closing connection\r\n',
    )
  })

  it('TLS on the plain port', async () => {
    const client = await pastBanner({ port: receiver.port() })
    client.write(Buffer.from('16030100c8010000c40303', 'hex'))
    client.write(Buffer.alloc(300, 0x0a))
    await client.rest(100)
    client.destroy()
    await isWell()
  })

  it('binary noise in any amount and any packets harms nobody', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 2000 }), { maxLength: 8 }), async (packets) => {
        const client = await pastBanner({ port: receiver.port() })
        for (const packet of packets) client.write(Buffer.from(packet))
        const answers = await client.rest(15)
        expect(answers).toMatch(/^(?:\d{3}[ -][\x20-\x7e]*\r\n)*$/)
        client.destroy()
      }),
      { numRuns: 40 },
    )
    await isWell()
  }, 60_000)

  it('commands in any order and any packets are answered one for one', async () => {
    const commands = fc.constantFrom(
      'EHLO a.test',
      'HELO b.test',
      'MAIL FROM:<a@b.test>',
      'RCPT TO:<jane@example.test>',
      'RCPT TO:<x@example.test>',
      'RSET',
      'NOOP',
      'VRFY jane',
      'FROB',
      'MAIL FROM:<',
      'AUTH CRAM-MD5',
      'STARTTLS',
    )
    await fc.assert(
      fc.asyncProperty(
        fc.array(commands, { maxLength: 25 }),
        fc.array(fc.nat(600), { maxLength: 6 }),
        async (lines, cuts) => {
          const client = await pastBanner({ port: receiver.port() })
          const text = `${[...lines, 'QUIT'].join('\r\n')}\r\n`
          let from = 0
          for (const to of [...cuts.map((cut) => cut % text.length).sort((a, b) => a - b), text.length]) {
            client.write(text.slice(from, to))
            from = to
            await new Promise((done) => setImmediate(done))
          }
          const answers = (await client.untilClosed()).split('\r\n').filter((line) => /^\d{3} /.test(line))
          expect(answers).toHaveLength(lines.length + 1)
          expect(answers.at(-1)).toMatch(/^221 /)
        },
      ),
      { numRuns: 60 },
    )
  }, 60_000)
})

describe('connections that die', () => {
  it.each([
    '',
    'EHLO c.te',
    'EHLO c.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<jane@example.test>\r\nDATA\r\nhalf a mess',
  ])('after %j', async (text) => {
    const before = receiver.of('message.accepted').length
    const client = await pastBanner({ port: receiver.port() })
    client.write(text)
    await client.rest(30)
    client.socket.resetAndDestroy()
    await expect.poll(() => receiver.service.status().sessions).toBe(0)
    expect(receiver.of('message.accepted')).toHaveLength(before)
    await isWell()
  })

  it('a client that ends its side gets its answers and then the end', async () => {
    const client = await pastBanner({ port: receiver.port() })
    client.socket.end('EHLO c.test\r\nNOOP\r\n')
    expect(await client.untilClosed()).toMatch(/250 2\.0\.0 OK\r\n$/)
  })

  it('a client that reads no replies is not read any more, and does not fill the memory', async () => {
    await receiver.apply({ settings: { security: { autoDenyHackAttempts: false } } })
    const client = await pastBanner({ port: receiver.port() })
    client.socket.pause()
    const line = Buffer.from('VRFY jane@example.test\r\n'.repeat(4000))
    let sent = 0
    for (let i = 0; i < 400 && client.socket.writableLength < 4_000_000; i++) {
      client.write(line)
      sent += line.length
      if (i % 20 === 0) await nextTurn()
    }
    expect(sent).toBeGreaterThan(1_000_000)
    // Others have as many commands answered meanwhile as would be the end of what it has sent.
    const reader = await pastBanner({ port: receiver.port() })
    for (let i = 0; i < 2; i++) await allAnswered(reader, line, 4000)
    reader.destroy()
    expect(client.socket.writableLength).toBeGreaterThan(0)
    await isWell()
    client.destroy()
  })
})

describe('time-outs', () => {
  let hasty: TestReceiver
  beforeAll(async () => {
    hasty = await startTestReceiver({ settings: { advanced: { commandTimeoutSeconds: 1, dataTimeoutSeconds: 1 } } })
  })
  afterAll(() => hasty.close())

  it('a silent client', async () => {
    const client = await pastBanner({ port: hasty.port() })
    expect(await client.untilClosed()).toBe('421 4.4.2 Timeout waiting for a command\r\n')
    expect(hasty.of('session.error').at(-1)).toMatchObject({ reason: 'timeout' })
  })

  it('a client that sends a command byte by byte: no byte makes the time longer', async () => {
    const client = await pastBanner({ port: hasty.port() })
    const drip = setInterval(() => client.write('x'), 100)
    expect(await client.untilClosed()).toBe('421 4.4.2 Timeout waiting for a command\r\n')
    clearInterval(drip)
  })

  it('a client that sends a message byte by byte', async () => {
    const client = await pastBanner({ port: hasty.port() })
    await client.upToData()
    const drip = setInterval(() => client.write('x'), 100)
    expect(await client.untilClosed()).toBe('421 4.4.2 Timeout waiting for data\r\n')
    clearInterval(drip)
  })

  it('a message that keeps coming is not too late', async () => {
    const client = await pastBanner({ port: hasty.port() })
    await client.upToData()
    for (let i = 0; i < 12; i++) {
      client.write(`${'x'.repeat(600)}\r\n`)
      // Real time: each piece comes well before its second is over, all of them long after the first's.
      await sleep(200)
    }
    client.write('.\r\n')
    expect(await client.text()).toMatch(/^250 /)
    client.destroy()
  })
})
