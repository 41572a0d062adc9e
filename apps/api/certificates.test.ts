import { execFileSync } from 'node:child_process'
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { keyKinds } from '@postern/contract/certificates.ts'
import { beforeAll, describe, expect, it } from 'vitest'
import { renewCertificates } from './certificates.ts'
import type { AcmeAuthority } from './dependencies.ts'
import { certificates } from './node/certificates.ts'
import { type Fixture, owner, type SendOptions, startFixture } from './test/fixture.ts'

const day = 86_400_000
/** A certificate authority in this process. Signs at once, for `days` days, or fails. */
const authority = { days: 90, failure: '', orders: 0, open: [] as string[] }
const acme: AcmeAuthority = {
  async order({ names, csr, account, publish, withdraw }) {
    authority.orders++
    if (authority.failure) throw new Error(authority.failure)
    expect(createPrivateKey(account.key).asymmetricKeyType).toBe('ec')
    await publish('a-token', 'a-token.thumbprint')
    authority.open.push((await api.send('GET', '/.well-known/acme-challenge/a-token', { token: '' })).text)
    await withdraw('a-token')
    return { certificate: signed(csr, authority.days, names), accountUrl: 'https://acme.test/account/1' }
  },
}

let api: Fixture
const directory = mkdtempSync(join(tmpdir(), 'postern-ca-'))
const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: directory, stdio: 'pipe' }).toString()
beforeAll(async () => {
  api = await startFixture({ acme })
  await ahead(0)
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '3650']
  openssl('req', '-x509', ...kind, '-subj', '/CN=An authority', '-keyout', 'ca.key', '-out', 'ca.pem')
}, 30_000)

/** Signs a request as a real authority does, with the fixture's clock. */
function signed(csr: string, days: number, names: readonly string[]): string {
  writeFileSync(join(directory, 'request.pem'), csr)
  writeFileSync(join(directory, 'names.cnf'), `subjectAltName=${names.map((name) => `DNS:${name}`).join(',')}\n`)
  const stamp = (at: number) => `${new Date(at).toISOString().replace(/[-:T]/g, '').slice(2, 14)}Z`
  writeFileSync(join(directory, 'index.txt'), '')
  writeFileSync(join(directory, 'serial'), '01\n')
  writeFileSync(
    join(directory, 'ca.cnf'),
    '[ca]\ndefault_ca=a\n[a]\ndatabase=index.txt\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\nprivate_key=ca.key\ncertificate=ca.pem\npolicy=p\nunique_subject=no\n[p]\ncommonName=optional\norganizationName=optional\n',
  )
  const now = api.parts.now()
  const dates = ['-startdate', stamp(now - 60_000), '-enddate', stamp(now + days * day)]
  openssl(
    'ca',
    '-batch',
    '-config',
    'ca.cnf',
    '-in',
    'request.pem',
    '-out',
    'out.pem',
    '-notext',
    ...dates,
    '-extfile',
    'names.cnf',
  )
  return readFileSync(join(directory, 'out.pem'), 'utf8')
}

let token = ''
/** Advances the clock and signs in again, because tokens do not last as long as certificates. */
async function ahead(ms: number): Promise<void> {
  api.clock.ahead = ms
  token = await api.signIn(owner)
}
const send = (method: string, path: string, options: SendOptions = {}) => api.send(method, path, { token, ...options })
const make = (body: unknown) => send('POST', '/v1/certificates', { body })
const patch = (id: string, body: unknown) => send('PATCH', `/v1/certificates/${id}`, { body })
const view = async (id: string) => (await send('GET', `/v1/certificates/${id}`)).json
const events = async (type: string) => (await send('GET', `/v1/events?type=${type}&limit=100`)).json.items

describe('self-signed', () => {
  it.each(keyKinds)('%s: made here, for the names, and renewed with another key', async (key) => {
    const source = { type: 'self-signed', names: [`${key}.test`, `*.${key}.test`], key, days: 200 }
    const made = await make({ name: key, source })
    expect(made.status, made.text).toBe(201)
    const { id, item } = made.json
    expect(item).toMatchObject({ state: 'valid', names: source.names, source, shownFor: source.names })
    expect(item.key).toBe({ e: `ECDSA P-${key.slice(-3)}`, r: `RSA ${key.slice(4)}` }[key[0] as 'e' | 'r'])
    const renewed = await send('POST', `/v1/certificates/${id}/renew`)
    expect(renewed.status).toBe(200)
    expect((await view(id)).fingerprint).not.toBe(item.fingerprint)
    const renamed = await patch(id, { name: `${key} of ours` })
    expect(renamed.json.item.fingerprint).toBe((await view(id)).fingerprint)
    expect((await patch(id, { source: { names: ['another.test'] } })).json.item.names).toEqual(['another.test'])
    await send('DELETE', `/v1/certificates/${id}`)
  })
})

describe('a signing request', () => {
  it('keeps its key, is signed by OpenSSL, and takes only a certificate that matches', async () => {
    const source = { type: 'csr', names: ['mail.csr.test', 'mx.csr.test'], key: 'ecdsa-p384', organization: 'Ours' }
    const { json } = await make({ name: 'csr', source })
    expect(json.item).toMatchObject({ state: 'unsigned', names: source.names, isDefault: false, shownFor: [] })
    writeFileSync(join(directory, 'shown.pem'), json.item.csr)
    const text = openssl('req', '-in', 'shown.pem', '-noout', '-text', '-verify')
    expect(text).toMatch(/O ?= ?Ours/)
    expect(text).toContain('DNS:mail.csr.test, DNS:mx.csr.test')
    expect(text).toContain('secp384r1')
    const stranger = await make({ name: 'other', source: { ...source, names: ['x.csr.test'] } })
    const wrong = await patch(json.id, { certificate: signed(stranger.json.item.csr, 90, ['mail.csr.test']) })
    expect(wrong.status).toBe(422)
    expect(wrong.text).toContain('does not match the private key')
    const right = await patch(json.id, { certificate: signed(json.item.csr, 90, source.names) })
    expect(right.status, right.text).toBe(200)
    expect(right.json.item).toMatchObject({ state: 'valid', key: 'ECDSA P-384', csr: json.item.csr })
    expect(right.json.item.shownFor).toEqual(expect.arrayContaining(source.names))
  })
})

describe('ACME', () => {
  it('orders, answers the challenge, renews before expiry, and warns only if renewal fails', async () => {
    const source = { type: 'acme', names: ['acme.test'], agreed: true, directoryUrl: 'https://acme.test/dir' }
    const { json } = await make({ name: 'acme', source })
    expect(json.item).toMatchObject({ state: 'ordered', names: ['acme.test'] })
    await api.settled()
    const first = await view(json.id)
    expect(first).toMatchObject({ state: 'valid' })
    expect(authority.open).toEqual(['a-token.thumbprint'])
    expect((await api.send('GET', '/.well-known/acme-challenge/a-token', { token: '' })).status).toBe(404)
    expect((await send('GET', '/v1/revisions')).text).toContain('issued by')

    const { orders } = authority
    await ahead(59 * day)
    await renewCertificates(api.parts)
    expect(authority.orders).toBe(orders)
    authority.failure = 'the authority is on holiday'
    await ahead(61 * day)
    await renewCertificates(api.parts)
    await renewCertificates(api.parts)
    expect(authority.orders).toBe(orders + 1)
    const failed = await view(json.id)
    expect(failed).toMatchObject({
      state: 'valid',
      trouble: 'the authority is on holiday',
      fingerprint: first.fingerprint,
    })
    expect(Date.parse(failed.nextTryAt) - api.parts.now()).toBeGreaterThan(9 * 60_000)
    expect((await events('certificate.failed'))[0]).toMatchObject({ name: 'acme', worker: 'api' })
    await ahead(api.clock.ahead + 21 * 60_000)
    await renewCertificates(api.parts)
    expect((await events('certificate.expiring')).filter(({ name }: { name: string }) => name === 'acme')).toHaveLength(
      1,
    )
    authority.failure = ''
    const asked = await send('POST', `/v1/certificates/${json.id}/renew`)
    expect(asked.status).toBe(200)
    await api.settled()
    const renewed = await view(json.id)
    expect(renewed.fingerprint).not.toBe(first.fingerprint)
    expect(renewed.trouble).toBeUndefined()
    await ahead(0)
  })

  it('two runs at the same time make one order', async () => {
    const { orders } = authority
    await make({ name: 'once', source: { type: 'acme', names: ['once.test'], agreed: true } })
    await Promise.all([renewCertificates(api.parts), renewCertificates(api.parts), api.settled()])
    expect(authority.orders).toBe(orders + 1)
  })
})

it('warns once each 30, 14 and 3 days before expiry and at expiry', async () => {
  const { json } = await make({ name: 'ends', source: { type: 'self-signed', names: ['ends.test'], days: 40 } })
  const said: number[] = []
  for (const after of [5, 9, 11, 20, 27, 30, 36.5, 38, 39.5, 41, 50]) {
    await ahead(after * day)
    await renewCertificates(api.parts)
    const found = (await events('certificate.expiring')).filter(({ name }: { name: string }) => name === 'ends')
    if (found.length > said.length) said.push(found[0].daysLeft)
  }
  expect(said).toEqual([28, 12, 1, -2])
  expect((await view(json.id)).state).toBe('expired')
  // A new certificate is warned of anew.
  await send('POST', `/v1/certificates/${json.id}/renew`)
  await renewCertificates(api.parts)
  expect(await view(json.id)).toMatchObject({ state: 'valid' })
  await ahead(0)
})

describe('bad input', () => {
  const acme = { type: 'acme', names: ['a.test'], agreed: true }
  it.each([
    ['no names', { source: { type: 'self-signed', names: [] } }, 'source.names'],
    ['a name that is none', { source: { type: 'csr', names: ['-x-'] } }, 'source.names.0'],
    ['a key that is too short', { source: { type: 'csr', names: ['a.test'], key: 'rsa-1024' } }, 'source.key'],
    ['a source nobody knows', { source: { type: 'dsa' } }, 'source'],
    ['a key that is not to be given', { source: { type: 'csr', names: ['a.test'] }, privateKey: 'x' }, 'privateKey'],
    ['a certificate too early', { source: { type: 'csr', names: ['a.test'] }, certificate: 'x' }, 'certificate'],
    ['an upload of nothing', { source: { type: 'upload' } }, 'certificate'],
    ['http', { source: { ...acme, directoryUrl: 'http://a.test/' } }, 'source.directoryUrl'],
    ['a wildcard over HTTP-01', { source: { ...acme, names: ['*.a.test'] } }, 'source.names.0'],
    ['no agreement', { source: { ...acme, agreed: false } }, 'source.agreed'],
    ['too many days', { source: { type: 'self-signed', names: ['a.test'], days: 5000 } }, 'source.days'],
  ])('%s: 422 that names the key', async (_, body, path) => {
    const answer = await make({ name: 'bad', ...body })
    expect(answer.status, answer.text).toBe(422)
    expect(answer.json.errors.map((one: { path: string }) => one.path).join()).toContain(path)
  })

  it('refuses to upload keys that no handshake uses', async () => {
    for (const kind of [['rsa:1024'], ['ec', '-pkeyopt', 'ec_paramgen_curve:secp521r1'], ['ed25519']]) {
      openssl('req', '-x509', '-newkey', ...kind, '-nodes', '-subj', '/CN=w.test', '-keyout', 'w.key', '-out', 'w.pem')
      const [certificate, privateKey] = ['w.pem', 'w.key'].map((file) => readFileSync(join(directory, file), 'utf8'))
      const { status, text } = await make({ name: 'weak', certificate, privateKey })
      expect(status, text).toBe(422)
      expect(text).toContain('use RSA of 2048 to 4096 bits, or ECDSA P-256 or P-384')
    }
  })

  it('refuses a change of source and the renewal of an upload', async () => {
    const { json } = await make({ name: 'fixed', source: { type: 'csr', names: ['fixed.test'] } })
    const other = await patch(json.id, { source: { type: 'self-signed', names: ['fixed.test'] } })
    expect([other.status, other.json.errors[0].path]).toEqual([422, 'source.type'])
    expect((await send('POST', `/v1/certificates/${json.id}/renew`)).status).toBe(409)
  })
})

it('no response contains a private key', async () => {
  const paths = ['certificates', 'document', 'audit', 'revisions', 'events', 'settings'].map((name) => `/v1/${name}`)
  const revisions = (await send('GET', '/v1/revisions?limit=200')).json.items
  for (const { revision } of revisions) paths.push(`/v1/revisions/${revision}`)
  for (const { id } of (await send('GET', '/v1/certificates')).json.items) paths.push(`/v1/certificates/${id}`)
  for (const path of paths) expect((await send('GET', path)).text, path).not.toContain('PRIVATE KEY')
  const made = await make({ name: 'seen', source: { type: 'self-signed', names: ['seen.test'] } })
  expect(made.text).not.toContain('PRIVATE KEY')
  // Nor is it on disk: rows, changes and ACME accounts are encrypted.
  const disk = readFileSync(join(api.directory, 'settings.db'), 'latin1')
  const log = readFileSync(join(api.directory, 'settings.db-wal'), 'latin1')
  expect(disk + log).not.toContain('PRIVATE KEY')
  // Only the workers get it.
  const snapshot = await api.send('GET', '/v1/worker/snapshot', { token: await api.tokens.smtp() })
  expect(snapshot.text).toContain('PRIVATE KEY')
  const queue = await api.send('GET', '/v1/worker/snapshot', { token: await api.tokens.queue() })
  expect(queue.text).not.toContain('PRIVATE KEY')
})

it('OpenSSL accepts a self-signed certificate', async () => {
  const privateKey = await certificates.makeKey('rsa-3072')
  const [notBefore, notAfter] = [Date.now(), Date.now() + day]
  const dates = { notBefore, notAfter }
  const pem = await certificates.selfSigned({ names: ['o.test', '*.o.test'], kind: 'rsa-3072', privateKey, ...dates })
  const leaf = new X509Certificate(pem)
  expect(leaf.checkHost('x.o.test')).toBe('*.o.test')
  expect(leaf.verify(leaf.publicKey)).toBe(true)
  expect(leaf.ca).toBe(false)
})
