import { X509Certificate } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { selfSigned } from '../peers/certificate.ts'
import { answers, until } from '../peers/peer.ts'
import { homeDomain, livePostern, password } from './live.ts'

/** Proves [tls.implicitTls, tls.minVersion]. */

const live = livePostern({ prepare: homeDomain })

/** Loads a new certificate for these names. Returns the row's id and the fingerprint that a handshake must show. */
async function load(name: string, names = [name]): Promise<{ id: string; fingerprint: string }> {
  const { cert, key } = await selfSigned(names)
  const id = await live.make('certificates', { name, certificate: cert, privateKey: key })
  return { id, fingerprint: new X509Certificate(cert).fingerprint256 }
}

/** Returns the certificate that a client gets for this name. */
async function shown(servername: string): Promise<string> {
  const client = await live.greeted()
  const socket = await client.startTls({ servername })
  await client.ehlo()
  await client.quit()
  return socket.getPeerX509Certificate()?.fingerprint256 ?? ''
}

const login = `AUTH PLAIN ${Buffer.from(`\0ann\0${password}`).toString('base64')}`

describe('STARTTLS', () => {
  it('is offered as soon as there is a certificate, also in open sessions', async () => {
    const client = await live.connect()
    expect((await client.hello()).has('STARTTLS')).toBe(false)
    await client.say('STARTTLS').expect(454, '4.7.0')
    const { fingerprint } = await load('mail.home.test')
    expect((await client.ehlo()).has('STARTTLS')).toBe(true)
    const socket = await client.startTls()
    expect(socket.getPeerX509Certificate()?.fingerprint256).toBe(fingerprint)
    expect((await client.ehlo()).has('STARTTLS')).toBe(false)
    await client.say('STARTTLS').expect(503, '5.5.1')
    await client.mail({ from: 'x@far.test', to: 'ann@home.test', content: 'Subject: secret\r\n' })
    const mail = (await live.arrived('ann@home.test', 1)).at(-1)
    expect(mail).toMatch(/using TLSv1\.3 with cipher TLS_/)
    expect(mail).toContain('with ESMTPS id')
  })

  it('off: not offered and 502', async () => {
    await load('mail.home.test')
    await live.set('tls', { starttls: false })
    const client = await live.connect()
    expect((await client.hello()).has('STARTTLS')).toBe(false)
    await client.say('STARTTLS').expect(502, '5.5.1')
    await live.set('tls', { starttls: true })
    expect((await client.ehlo()).has('STARTTLS')).toBe(true)
  })

  it('input before the handshake is forgotten, and nothing after STARTTLS is executed', async () => {
    await load('mail.home.test')
    const client = await live.greeted()
    // The rest of the packet must not be read as if it had arrived under TLS (CVE-2011-0411).
    client.say('STARTTLS', 'MAIL FROM:<injected@far.test>')
    await client.expect(220)
    const other = await live.greeted()
    await other.startTls()
    await other.say('MAIL FROM:<x@far.test>').expect(503, '5.5.1')
    await other.ehlo()
    await other.say('RCPT TO:<ann@home.test>').expect(503, '5.5.1')
    expect(client.pending).toBe(0)
  })

  it('within a transaction it is a bad sequence', async () => {
    await load('mail.home.test')
    const client = await live.greeted()
    await client.say('MAIL FROM:<x@far.test>').expect(250)
    await client.say('STARTTLS').expect(503, '5.5.1')
  })
})

describe('failed handshakes', () => {
  const sessions = async () => (await live.postern.workers()).find(({ service }) => service === 'smtp')?.sessions

  it.each([
    [
      'STARTTLS and gone',
      async () => {
        const client = await live.greeted()
        await client.say('STARTTLS').expect(220)
        client.destroy()
      },
    ],
    ['STARTTLS and half-closed', async () => (await live.greeted()).say('STARTTLS').end()],
    ['no version in common', async () => (await live.greeted()).startTls({ maxVersion: 'TLSv1.1' }).catch(() => {})],
  ])('%s: leaves no session behind', async (_name, attempt) => {
    await load('mail.home.test')
    await attempt()
    await until('only the held session is left', async () => (await sessions()) === 1)
  })
})

describe('requireTls', () => {
  it('no, submission, all', async () => {
    await load('mail.home.test')
    const plain = () => live.greeted()
    const submission = () => live.greeted({ port: live.postern.submissionPort })
    const mail = async (client: Awaited<ReturnType<typeof plain>>) => {
      const { code, enhanced } = await client.ask('MAIL FROM:<x@far.test>')
      return `${code} ${enhanced}`
    }
    // The default: submission.
    expect(await mail(await plain())).toBe('250 2.1.0')
    expect(await mail(await submission())).toBe('530 5.7.0')
    await live.set('tls', { requireTls: 'no' })
    expect(await mail(await submission())).toBe('250 2.1.0')
    const open = await plain()
    await live.set('tls', { requireTls: 'all' })
    expect(await mail(open)).toBe('530 5.7.0')
    expect(await mail(await submission())).toBe('530 5.7.0')
    await open.startTls()
    await open.ehlo()
    expect(await mail(open)).toBe('250 2.1.0')
  })
})

describe('minVersion', () => {
  it('1.3: older handshakes fail, sessions made with 1.2 continue', async () => {
    await load('mail.home.test')
    const older = await live.greeted()
    expect((await older.startTls({ maxVersion: 'TLSv1.2' })).getProtocol()).toBe('TLSv1.2')
    await older.ehlo()
    await live.set('tls', { minVersion: '1.3' })
    await older.say('NOOP').expect(250)
    const refused = await live.greeted()
    await expect(refused.startTls({ maxVersion: 'TLSv1.2' })).rejects.toThrow()
    const newer = await live.greeted()
    expect((await newer.startTls()).getProtocol()).toBe('TLSv1.3')
    await live.set('tls', { minVersion: '1.2' })
    const again = await live.greeted()
    await again.startTls({ maxVersion: 'TLSv1.2' })
  })

  it('TLS 1.0 and 1.1 are never used', async () => {
    await load('mail.home.test')
    const client = await live.greeted()
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const
    await expect(client.startTls(old)).rejects.toThrow()
    await live.greeted()
  })
})

describe('certificates', () => {
  it('are chosen by SNI, and changed in place', async () => {
    const one = await load('one.test')
    const two = await load('two.test', ['two.test', '*.two.test'])
    expect(await shown('one.test')).toBe(one.fingerprint)
    expect(await shown('two.test')).toBe(two.fingerprint)
    expect(await shown('Deep.two.test')).toBe(two.fingerprint)
    expect([one.fingerprint, two.fingerprint]).toContain(await shown('unknown.test'))
    await live.set('general', { hostname: 'two.test' })
    expect(await shown('unknown.test')).toBe(two.fingerprint)
    await live.drop(`/v1/certificates/${two.id}`)
    expect(await shown('two.test')).toBe(one.fingerprint)
  })

  it('when one is replaced, the next handshake uses the new one, and an open TLS session continues', async () => {
    const { id, fingerprint } = await load('mail.home.test')
    const open = await live.greeted()
    await open.startTls({ servername: 'mail.home.test' })
    await open.ehlo()
    await open.say('MAIL FROM:<x@far.test>').expect(250)
    const { cert, key } = await selfSigned(['mail.home.test'])
    await live.alter(`/v1/certificates/${id}`, { certificate: cert, privateKey: key })
    const now = await shown('mail.home.test')
    expect(now).toBe(new X509Certificate(cert).fingerprint256)
    expect(now).not.toBe(fingerprint)
    await open.say('RCPT TO:<ann@home.test>').expect(250)
    await open.say('RSET').expect(250)
    await open.quit()
  })

  it('a certificate and a key that do not match are refused, and nothing changes', async () => {
    const { fingerprint } = await load('mail.home.test')
    const [one, other] = [await selfSigned(['bad.test']), await selfSigned(['bad.test'])]
    const body = { name: 'bad', certificate: one.cert, privateKey: other.key }
    const answer = await live.api.call('POST', '/v1/certificates', { body })
    expect([400, 422]).toContain(answer.status)
    expect(answer.text).not.toContain('PRIVATE KEY')
    expect(await shown('bad.test')).toBe(fingerprint)
  })

  it('the API never returns the private key', async () => {
    const { id } = await load('mail.home.test')
    for (const path of ['/v1/certificates', `/v1/certificates/${id}`, '/v1/document', '/v1/audit', '/v1/revisions'])
      expect((await live.api.call('GET', path)).text, path).not.toContain('PRIVATE KEY')
  })
})

describe('implicit TLS', () => {
  it('the port opens and closes at run time; logins work on it and STARTTLS is not offered', async () => {
    const { host, smtpsPort } = live.postern
    expect(await answers(host, smtpsPort)).toBe(false)
    const { warnings } = await live.set('tls', { implicitTls: true })
    expect(warnings).toEqual(['tls.implicitTls: the port opens once there is a certificate.'])
    expect(await answers(host, smtpsPort)).toBe(false)
    await load('mail.home.test')
    await until('the port answers', () => answers(host, smtpsPort))
    expect((await live.set('tls', { implicitTls: true })).warnings).toEqual([])
    const client = await live.connect({ port: smtpsPort, tls: { servername: 'mail.home.test' } })
    const extensions = await client.hello()
    expect(extensions.has('STARTTLS')).toBe(false)
    expect(extensions.get('AUTH')).toBe('PLAIN LOGIN')
    await client.say(login).expect(235)
    await client.mail({ from: 'ann@home.test', to: 'bob@home.test', content: 'Subject: smtps\r\n' })
    expect((await live.arrived('bob@home.test', 1))[0]).toContain('with ESMTPSA id')
    await live.set('tls', { implicitTls: false })
    await until('the port is closed', async () => !(await answers(host, smtpsPort)))
    await client.say('NOOP').expect(250)
  })

  it('plain text on the TLS port gets nothing, and the next handshake is served', async () => {
    await load('mail.home.test')
    await live.set('tls', { implicitTls: true })
    const plain = await live.connect({ port: live.postern.smtpsPort })
    plain.say('EHLO client.test')
    expect(await plain.closed()).toBeDefined()
    const client = await live.connect({ port: live.postern.smtpsPort, tls: true })
    await client.hello()
  })
})
