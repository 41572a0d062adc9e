import { beforeAll, describe, expect, it } from 'vitest'
import { type Fixture, startFixture } from './test/fixture.ts'

let api: Fixture
const write = async (method: string, path: string, body?: object) => {
  const { status, json } = await api.send(method, path, body === undefined ? {} : { body })
  expect(status, JSON.stringify(json)).toBeLessThan(300)
  return json as { id: string; warnings: string[] }
}
const secret = 'a password that is long enough'

beforeAll(async () => {
  api = await startFixture()
  await write('POST', '/v1/domains', { name: 'home.test', aliases: ['also.test'] })
  await write('POST', '/v1/accounts', { address: 'ann@home.test', secret })
})

describe('warns when a saved entry reaches no mailbox', () => {
  const ok = async (kind: string, body: object) =>
    expect((await write('POST', `/v1/${kind}`, body)).warnings).toEqual([])
  const bad = async (kind: string, body: object, says: RegExp) =>
    expect((await write('POST', `/v1/${kind}`, body)).warnings.join('\n')).toMatch(says)

  it('targets and members', async () => {
    await ok('aliases', { address: 'good@home.test', to: ['Ann+box@also.test', 'x@far.test'] })
    await bad(
      'aliases',
      { address: 'bad@home.test', to: ['gone@home.test'] },
      /^bad@home.test does not reach any mailbox: .*gone@home.test is not in the directory/,
    )
    await bad(
      'groups',
      { address: 'team@home.test', members: ['ann@home.test', 'gone@also.test', 'bad@home.test'] },
      /^team@home.test does not reach everyone: gone@home.test is not in the directory/,
    )
    await bad(
      'groups',
      { address: 'self@also.test', members: ['self@home.test'] },
      /does not reach any mailbox.*is a loop/,
    )
    await bad('groups', { address: 'own@home.test', members: ['ann@home.test', 'own@home.test'] }, /own@.*is a loop/)
  })

  it('loops, whichever entry closes them', async () => {
    await bad('aliases', { address: 'a@home.test', to: ['b@home.test'] }, /b@home.test is not in the directory/)
    await bad('aliases', { address: 'b@home.test', to: ['a@also.test'] }, /b@home.test → a@home.test → b@home.test/)
  })

  it('forwarding, the catch-all, the postmaster, the daily report', async () => {
    await bad(
      'accounts',
      { address: 'zoe@home.test', secret, forwardTo: ['gone@home.test'], keepCopy: false },
      /zoe@home.test does not reach everyone: gone@home.test/,
    )
    await ok('accounts', { address: 'max@home.test', secret, forwardTo: ['ann@home.test', 'max@far.test'] })
    await bad(
      'domains',
      { name: 'caught.test', catchAll: 'gone@home.test' },
      /catch-all of caught.test does not reach any mailbox/,
    )
    const settings = async (group: string, patch: object) =>
      (await write('PATCH', `/v1/settings/${group}`, patch)).warnings.join('\n')
    expect(await settings('general', { postmaster: 'gone@home.test' })).toMatch(
      /^general.postmaster does not reach any mailbox/,
    )
    expect(await settings('queue', { dailyReport: 'gone@home.test' })).toMatch(
      /^queue.dailyReport does not reach any mailbox/,
    )
    expect(await settings('general', { postmaster: 'ann@home.test' })).toBe('')
    expect(await settings('general', { postmaster: 'ops@far.test' })).toBe('')
  })

  it('deleting or renaming an entry that others refer to', async () => {
    const { id } = await write('POST', '/v1/accounts', { address: 'tim@home.test', secret })
    await ok('aliases', { address: 'only@home.test', to: ['tim@home.test'] })
    await ok('groups', { address: 'both@home.test', members: ['tim@home.test', 'ann@home.test'] })
    const says = [/only@home.test does not reach any mailbox/, /both@home.test does not reach everyone: tim@home.test/]
    const renamed = await write('PATCH', `/v1/accounts/${id}?dryRun=true`, { address: 'tom@home.test' })
    const deleted = await write('DELETE', `/v1/accounts/${id}`)
    for (const { warnings } of [renamed, deleted]) for (const one of says) expect(warnings.join('\n')).toMatch(one)
  })

  it('in a document as well', async () => {
    const { json: document } = await api.send('GET', '/v1/document?format=json')
    const aliases = [...document.aliases, { address: 'doc@home.test', to: ['nobody@home.test'] }]
    const settings = { ...document.settings, general: { ...document.settings.general, relayMode: 'anyone' } }
    const lists = { ...document.lists, relay: [{ value: '0.0.0.0/1' }, { value: '128.0.0.0/1' }] }
    const { warnings } = await write('POST', '/v1/plan', { document: { ...document, aliases, settings, lists } })
    for (const one of [
      /doc@home.test does not reach any mailbox/,
      /general.relayMode: .*open relay/,
      /relay list covers/,
    ])
      expect(warnings.join('\n')).toMatch(one)
  })
})

describe('warns when a saved change makes an open relay', () => {
  it.each(['0.0.0.0/0', '::/0', '64.0.0.0/2'])('%s', async (value) => {
    const { id, warnings } = await write('POST', '/v1/lists/relay', { value })
    expect(warnings.join()).toMatch(/relay list covers a large part of the IPv[46] Internet/)
    expect((await write('DELETE', `/v1/lists/relay/${id}`)).warnings).toEqual([])
  })

  it('a file of many small blocks', async () => {
    const text = Array.from({ length: 256 }, (_, i) => `${i}.0.0.0/8`).join('\n')
    const headers = { 'content-type': 'text/plain' }
    const { status, json } = await api.send('POST', '/v1/lists/white/import', { body: text, headers })
    expect(status, JSON.stringify(json)).toBeLessThan(300)
    expect(json.warnings.join()).toMatch(/White List covers/)
  })
})

describe('refuses contradictions', () => {
  it.each([
    ['domains', { name: 'any.test', verifyRecipients: 'any' }, 'verifyRecipients', 'maildir'],
    [
      'domains',
      { name: 'any.test', route: { type: 'discard' }, verifyRecipients: 'callout' },
      'verifyRecipients',
      'any',
    ],
    ['accounts', { address: 'kim@home.test', secret, keepCopy: false }, 'keepCopy', 'forwardTo'],
  ])('%s %j', async (kind, body, path, says) => {
    const { status, json } = await api.send('POST', `/v1/${kind}`, { body })
    expect(status).toBe(422)
    expect(json.errors).toEqual([{ path, message: expect.stringContaining(says) }])
  })

  it('allows any with every route except maildir, and refuses to change the route back', async () => {
    for (const [i, route] of [
      { type: 'smtp', host: 'mail.test' },
      { type: 'lmtp', host: 'mail.test' },
      { type: 'webhook', url: 'https://hook.test/' },
      { type: 's3', bucket: 'mails' },
      { type: 'discard' },
    ].entries()) {
      const { id } = await write('POST', '/v1/domains', { name: `any${i}.test`, route, verifyRecipients: 'any' })
      const back = await api.send('PATCH', `/v1/domains/${id}`, { body: { route: { type: 'maildir' } } })
      expect(back.status).toBe(422)
    }
  })
})

it('warns of a host name that is not fully qualified, and refuses an address', async () => {
  const name = (hostname: string) => api.send('PATCH', '/v1/settings/general', { body: { hostname } })
  for (const bare of ['vm', 'localhost'])
    expect((await name(bare)).json.warnings.join()).toContain(`${bare} is not fully qualified`)
  for (const address of ['192.0.2.1', '127.0.0.1']) {
    const { status, json } = await name(address)
    expect(status).toBe(422)
    expect(JSON.stringify(json)).toMatch(/an address; it must be a fully-qualified host name/)
  }
  expect((await name('mail.example.org')).json.warnings).toEqual([])
  expect((await name('')).json.warnings).toEqual([])
})

it('warns of the destination syslog on a machine without a syslog', async () => {
  const to = async (destination: string) =>
    (await api.send('PATCH', '/v1/settings/logging', { body: { destination } })).json.warnings
  api.parts.missingSyslog = () => '/dev/log'
  expect((await to('syslog')).join()).toContain('this machine has no /dev/log')
  expect(await to('storage')).toEqual([])
  api.parts.missingSyslog = () => undefined
  expect(await to('syslog')).toEqual([])
})
