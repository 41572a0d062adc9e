import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { describe, expect, it } from 'vitest'
import { selfSigned } from '../peers/certificate.ts'
import { until } from '../peers/peer.ts'
import { homeDomain, livePostern } from './live.ts'

/** What TLS must not allow, tested with OpenSSL's client, which still supports all of it. */

const live = livePostern({
  prepare: async (it) => {
    await homeDomain(it)
    const { cert, key } = await selfSigned(['mail.home.test'])
    await it.make('certificates', { name: 'ecdsa', certificate: cert, privateKey: key })
    await it.make('certificates', {
      name: 'rsa',
      source: { type: 'self-signed', names: ['rsa.home.test'], key: 'rsa-2048' },
    })
    await it.set('tls', { implicitTls: true })
  },
})

/** Runs `openssl s_client` with lines to send after the handshake. Resolves with its output. */
async function sClient(args: string[], say: string[] = ['QUIT'], starttls = true): Promise<string> {
  const { host, smtpPort, smtpsPort } = live.postern
  const where = starttls
    ? ['-starttls', 'smtp', '-connect', `${host}:${smtpPort}`]
    : ['-connect', `${host}:${smtpsPort}`]
  const child = spawn('openssl', ['s_client', ...where, '-crlf', ...args], { stdio: 'pipe' })
  let wrote = ''
  child.stdout.on('data', (text) => {
    wrote += String(text)
  })
  child.stderr.on('data', (text) => {
    wrote += String(text)
  })
  child.stdin.on('error', () => {})
  const gone = once(child, 'exit')
  const done = () => child.exitCode !== null
  await until('the handshake has its end', () => done() || /Verify return code|Extended master/.test(wrote)).catch(
    () => {},
  )
  for (const line of say) {
    child.stdin.write(`${line}\n`)
    await new Promise((resolve) => setTimeout(resolve, 150))
  }
  child.stdin.end()
  const limit = setTimeout(() => child.kill('SIGKILL'), 5_000)
  await gone
  clearTimeout(limit)
  return wrote
}

const agreed = (output: string) => /^\s*(?:New, )?.*Cipher is (\S+)/m.exec(output)?.[1]
const none = '(NONE)'

describe.each([
  ['STARTTLS', true],
  ['implicit TLS', false],
])('%s', (_, starttls) => {
  it('a current client is served', async () => {
    expect(agreed(await sClient(['-servername', 'mail.home.test'], ['QUIT'], starttls))).toMatch(/^TLS_/)
    expect(agreed(await sClient(['-tls1_2', '-servername', 'rsa.home.test'], ['QUIT'], starttls))).toMatch(/^ECDHE-RSA/)
  })

  it.each(['-tls1', '-tls1_1'])('%s: no handshake', async (version) => {
    const output = await sClient([version, '-cipher', 'ALL:@SECLEVEL=0'], [], starttls)
    expect(agreed(output) ?? none, output).toBe(none)
  })

  it.each(['mail.home.test', 'rsa.home.test'])('weak ciphers: no handshake for %s', async (name) => {
    const weak = 'eNULL:aNULL:EXPORT:LOW:MEDIUM:3DES:RC4:MD5:SHA1:SEED:IDEA:CAMELLIA:ARIA:PSK:SRP:kRSA:kDHE'
    const output = await sClient(['-tls1_2', '-servername', name, '-cipher', `${weak}:@SECLEVEL=0`], [], starttls)
    expect(agreed(output) ?? none, output).toBe(none)
    // The server refused. The client did offer something.
    expect(output).toMatch(/alert handshake failure/)
  })

  it('renegotiation by the client is refused', async () => {
    const output = await sClient(['-tls1_2', '-servername', 'rsa.home.test'], ['NOOP', 'R', 'NOOP'], starttls)
    expect(output).toContain('RENEGOTIATING')
    expect(output).toMatch(/no renegotiation/i)
  })

  it('compression is not offered', async () => {
    const output = await sClient(['-tls1_2', '-comp', '-servername', 'rsa.home.test'], ['QUIT'], starttls)
    expect(output).toContain('Compression: NONE')
  })
})

describe('plain text before STARTTLS', () => {
  it('sent in the same packet after it, is never executed', async () => {
    const before = (await live.mail('ann@home.test')).length
    const plain = connectTcp({ host: live.postern.host, port: live.postern.smtpPort, noDelay: true })
    await reply(plain)
    plain.write('EHLO attacker.test\r\n')
    await reply(plain)
    // CVE-2011-0411: what an attacker injects before the handshake must not count as sent after it.
    plain.write(
      'STARTTLS\r\nEHLO attacker.test\r\nMAIL FROM:<attacker@far.test>\r\nRCPT TO:<ann@home.test>\r\nDATA\r\nSubject: injected\r\n\r\n.\r\n',
    )
    expect(await reply(plain)).toMatch(/^220 /)
    const secure = connectTls({ socket: plain, rejectUnauthorized: false })
    await once(secure, 'secureConnect')
    secure.write('NOOP\r\n')
    const first = await reply(secure)
    expect(first).toMatch(/^250 2\.0\.0 [^\r\n]*\r\n$/)
    secure.write('RCPT TO:<ann@home.test>\r\n')
    expect(await reply(secure)).toMatch(/^503 /)
    secure.destroy()
    expect(await live.mail('ann@home.test')).toHaveLength(before)
  })

  it('a login and an EHLO from before the handshake are forgotten', async () => {
    await live.set('advanced', { allowPlainWithoutTls: true })
    const client = await live.greeted()
    await client
      .say(`AUTH PLAIN ${Buffer.from('\0ann\0a password that is long enough').toString('base64')}`)
      .expect(235)
    expect((await client.ehlo()).has('AUTH')).toBe(false)
    await client.startTls()
    await client.say('MAIL FROM:<ann@home.test>').expect(503, '5.5.1')
    expect((await client.ehlo()).get('AUTH')).toBe('PLAIN LOGIN')
  })
})

async function reply(socket: Socket): Promise<string> {
  const [chunk] = (await once(socket, 'data')) as [Buffer]
  return chunk.toString()
}
