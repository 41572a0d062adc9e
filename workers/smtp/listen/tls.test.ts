import type { TLSSocket } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { certificateRow, mxCertificate, otherCertificate } from '../test/certificates.ts'
import { startTestReceiver, type TestReceiver } from '../test/receiver-harness.ts'
import { connect, pastBanner, type WireClient } from '../test/wire-client.ts'

let receiver: TestReceiver
beforeAll(async () => {
  receiver = await startTestReceiver({
    settings: { tls: { implicitTls: true } },
    rows: [certificateRow(mxCertificate), certificateRow(otherCertificate)],
  })
})
afterAll(() => receiver.close())

async function secured(
  options: { servername?: string; maxVersion?: 'TLSv1.1' | 'TLSv1.2' } = {},
  at = receiver,
): Promise<WireClient> {
  const client = await pastBanner({ port: at.port() })
  await client.answer('EHLO c.test')
  expect(await client.answer('STARTTLS')).toBe('220 2.0.0 Ready to start TLS')
  await client.secure(options)
  return client
}

function subjectOf(client: WireClient): string {
  return String((client.socket as TLSSocket).getPeerCertificate().subject.CN)
}

describe('STARTTLS (RFC 3207)', () => {
  it('is offered before, and not after; AUTH the other way round', async () => {
    const client = await pastBanner({ port: receiver.port() })
    const before = await client.answer('EHLO c.test')
    expect(before).toContain('STARTTLS')
    expect(before).not.toContain('AUTH')
    await client.answer('STARTTLS')
    await client.secure()
    const after = await client.answer('EHLO c.test')
    expect(after).not.toContain('STARTTLS')
    expect(after).toContain('AUTH PLAIN LOGIN')
    expect(await client.answer('STARTTLS')).toMatch(/^503 5\.5\.1 TLS is already active/)
    expect(await client.send('x\r\n')).toMatch(/^250/)
    const stored = (await receiver.stored()).at(-1)
    expect(stored?.body).toMatch(/\r\n\t\(using TLSv1\.3 with cipher \w+\)\r\n\tby mx\.test \(Postern\) with ESMTPS id/)
    expect(stored?.envelope.client.tls?.version).toBe('TLSv1.3')
    client.destroy()
  })

  it('forgets everything that was said before it', async () => {
    const client = await pastBanner({ port: receiver.port() })
    await client.answer('EHLO c.test')
    await client.answer('STARTTLS')
    await client.secure()
    expect(await client.answer('MAIL FROM:<sam@remote.test>')).toMatch(/^503 5\.5\.1 Send HELO/)
    client.destroy()
  })

  it('is not possible within a transaction', async () => {
    const client = await pastBanner({ port: receiver.port() })
    await client.answer('EHLO c.test')
    await client.answer('MAIL FROM:<sam@remote.test>')
    expect(await client.answer('STARTTLS')).toMatch(/^503 5\.5\.1 /)
    client.destroy()
  })

  it.each(['EHLO evil.test\r\n', 'RSET\r\nNOOP\r\n'])(
    'does nothing of what is pipelined behind it: %j',
    async (injected) => {
      const client = await pastBanner({ port: receiver.port() })
      await client.answer('EHLO c.test')
      client.write(`STARTTLS\r\n${injected}`)
      expect(await client.text()).toMatch(/^220/)
      await client.secure()
      // Nothing waits to be read: the first reply within TLS is the one to our own NOOP.
      expect(await client.answer('MAIL FROM:<a@b.test>')).toMatch(/^503 5\.5\.1 Send HELO/)
      expect(await client.rest(50)).toBe('')
      client.destroy()
    },
  )

  it('chooses the certificate by name', async () => {
    for (const [servername, subject] of [
      ['mx.test', 'mx.test'],
      ['a.example.test', 'mx.test'],
      ['other.test', 'other.test'],
      ['OTHER.test', 'other.test'],
      ['nobody.test', 'mx.test'],
    ] as const) {
      const client = await secured({ servername })
      expect(subjectOf(client)).toBe(subject)
      client.destroy()
    }
  })

  it('old versions fail, and the worker lives', async () => {
    const client = await pastBanner({ port: receiver.port() })
    await client.answer('STARTTLS')
    await expect(client.secure({ maxVersion: 'TLSv1.1', minVersion: 'TLSv1' })).rejects.toThrow()
    const strict = await startTestReceiver({
      settings: { tls: { minVersion: '1.3' } },
      rows: [certificateRow(mxCertificate)],
    })
    const second = await pastBanner({ port: strict.port() })
    await second.answer('STARTTLS')
    await expect(second.secure({ maxVersion: 'TLSv1.2' })).rejects.toThrow()
    await strict.close()
    const good = await secured({ maxVersion: 'TLSv1.2' })
    expect(await good.answer('NOOP')).toMatch(/^250/)
    good.destroy()
  })

  it('a handshake that is no handshake ends the connection', async () => {
    const client = await pastBanner({ port: receiver.port() })
    await client.answer('STARTTLS')
    client.write('EHLO not.tls\r\n')
    await client.untilClosed()
    const good = await secured()
    good.destroy()
  })
})

describe('a client that goes away within the handshake', () => {
  it('does not hold up a stop', async () => {
    const other = await startTestReceiver({ rows: [certificateRow(mxCertificate)] })
    const client = await pastBanner({ port: other.port() })
    await client.answer('STARTTLS')
    // Ends at once: this test's time is shorter than the time of a handshake or of draining.
    await other.close()
    client.destroy()
  })
})

describe('certificates', () => {
  it('a first one makes STARTTLS appear; a new one is used by the next handshake; open sessions live on', async () => {
    const other = await startTestReceiver()
    const early = await pastBanner({ port: other.port() })
    expect(await early.answer('EHLO c.test')).not.toContain('STARTTLS')
    await other.apply({ rows: [certificateRow(mxCertificate)] })
    expect(await early.answer('EHLO c.test')).toContain('STARTTLS')
    const first = await secured({}, other)
    expect(subjectOf(first)).toBe('mx.test')
    await other.apply({ rows: [{ kind: 'certificate', id: 'mx', value: otherCertificate }] })
    const second = await secured({}, other)
    expect(subjectOf(second)).toBe('other.test')
    expect(await first.answer('NOOP')).toMatch(/^250/)
    for (const client of [early, first, second]) client.destroy()
    await other.close()
  })

  it('one that cannot be used refuses the revision, and the ones before stay', async () => {
    const broken = certificateRow({ ...mxCertificate, name: 'broken', fingerprint: 'x', privateKey: 'nonsense' })
    await expect(receiver.apply({ rows: [broken] })).rejects.toThrow('certificate "broken"')
    await receiver.apply({ rows: [{ kind: 'certificate', id: 'broken', value: null }] })
    const client = await secured()
    client.destroy()
  })
})

describe('TLS from the first byte (RFC 8314)', () => {
  it('has a port of its own, and AUTH', async () => {
    const client = await connect({ port: receiver.port('smtps'), tls: {} })
    expect(await client.text()).toMatch(/^220 mx\.test/)
    const offered = await client.answer('EHLO c.test')
    expect(offered).toContain('AUTH PLAIN LOGIN')
    expect(offered).not.toContain('STARTTLS')
    client.destroy()
  })

  it('goes when the setting goes, and comes back', async () => {
    await receiver.apply({ settings: { tls: { implicitTls: false } } })
    expect(() => receiver.port('smtps')).toThrow()
    await receiver.apply({ settings: { tls: { implicitTls: true } } })
    expect(receiver.port('smtps')).toBeGreaterThan(0)
  })

  it('a silent client there does not hold up a stop', async () => {
    const other = await startTestReceiver({
      settings: { tls: { implicitTls: true } },
      rows: [certificateRow(mxCertificate)],
    })
    const client = await connect({ port: other.port('smtps') })
    await client.rest(50)
    // Ends at once: this test's time is shorter than the time of a handshake or of draining.
    await other.close()
    expect(await client.untilClosed()).toBe('')
  })

  it('plain text there is nothing', async () => {
    const client = await connect({ port: receiver.port('smtps') })
    client.write('EHLO c.test\r\n')
    await client.untilClosed()
    const good = await connect({ port: receiver.port('smtps'), tls: {} })
    expect(await good.text()).toMatch(/^220/)
    good.destroy()
  })
})

describe('requireTls', () => {
  it('submission refuses MAIL without it, the SMTP port does not; all refuses everywhere', async () => {
    const ask = async (name: string) => {
      const client = await pastBanner({ port: receiver.port(name) })
      await client.answer('EHLO c.test')
      const reply = await client.answer('MAIL FROM:<sam@remote.test>')
      client.destroy()
      return reply
    }
    expect(await ask('submission')).toMatch(/^530 5\.7\.0 Must issue a STARTTLS/)
    expect(await ask('smtp')).toMatch(/^250/)
    await receiver.apply({ settings: { tls: { requireTls: 'all' } } })
    expect(await ask('smtp')).toMatch(/^530 5\.7\.0 /)
    await receiver.apply({ settings: { tls: { requireTls: 'submission' } } })
  })
})
