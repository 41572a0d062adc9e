import { generateKeyPairSync } from 'node:crypto'
import { dkimVerify } from 'mailauth/lib/dkim/verify.js'
import { afterEach, describe, expect, test } from 'vitest'
import { type Script, TestServer } from '../test/server.ts'
import { type Rows, Testbed, until } from '../test/testbed.ts'

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
})

async function toServer(script: Script, rows: Rows = {}) {
  const remote = await TestServer.start(script)
  open.push(remote)
  const box = await Testbed.open({ domains: [{ name: 'a.test', route: remote.route }], ...rows })
  open.push(box)
  return { remote, box }
}

const headers = ['from', 'to', 'subject']
function keyPair(selector: string, kind: 'rsa' | 'ed25519') {
  const pair = kind === 'rsa' ? generateKeyPairSync('rsa', { modulusLength: 2048 }) : generateKeyPairSync('ed25519')
  const der = pair.publicKey.export({ type: 'spki', format: 'der' }) as Buffer
  const p = (kind === 'rsa' ? der : der.subarray(-32)).toString('base64')
  const privateKey = pair.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
  return {
    row: { domain: 'home.test', selector, headers, privateKey },
    record: [`${selector}._domainkey.home.test`, `v=DKIM1; k=${kind}; p=${p}`] as const,
  }
}
const rsa = keyPair('r1', 'rsa')
const ed = keyPair('e1', 'ed25519')
const records = new Map<string, string>([rsa.record, ed.record])
const dkimKeys = [rsa.row, ed.row]

/** What a receiver makes of it. */
async function verified(data: string) {
  const resolver = async (name: string) => {
    const text = records.get(name)
    if (!text) throw Object.assign(new Error(name), { code: 'ENOTFOUND' })
    return [[text]]
  }
  const { results } = await dkimVerify(Buffer.from(data, 'latin1'), { resolver } as never)
  return results.map(
    ({ status, signingDomain, selector, algo }) => `${status.result} ${signingDomain} ${selector} ${algo}`,
  )
}

const text = 'From: "An, Ann" <ann@Home.test>\r\nTo: jane@a.test\r\nSubject: x\r\n\r\nHello.\r\n..dots\r\n'
const login = { client: { ip: '192.0.2.9', helo: 'c.test', login: 'ann' } }
const stranger = { client: { ip: '192.0.2.9', helo: 'c.test' } }
const both = ['pass home.test r1 rsa-sha256', 'pass home.test e1 ed25519-sha256']

describe('dkimSign', () => {
  test('what a user sends is signed with each key of the domain, and a receiver verifies it', async () => {
    const { box, remote } = await toServer({}, { dkimKeys })
    await box.send(['jane@a.test'], { text, ...login })
    await until('delivered', () => remote.received.length === 1)
    const data = remote.received[0]?.data ?? ''
    expect((await verified(data)).sort()).toEqual([...both].sort())
    expect(data.endsWith(text)).toBe(true)
    expect(await verified(data.replace('Hello', 'Hallo'))).not.toEqual(expect.arrayContaining(both))
  })

  test('a large one is streamed and signed', async () => {
    const { box, remote } = await toServer({}, { dkimKeys })
    const large = text + `${'.a line of text'.repeat(4)}\r\n`.repeat(30_000)
    await box.send(['jane@a.test'], { text: large, ...login })
    await until('delivered', () => remote.received.length === 1, 20_000)
    expect(await verified(remote.received[0]?.data ?? '')).toEqual(expect.arrayContaining(both))
  })

  test('a retry says the same', async () => {
    let tries = 0
    const { box, remote } = await toServer({ end: () => (++tries < 3 ? '451 4.3.0 later' : undefined) }, { dkimKeys })
    await box.send(['jane@a.test'], { text, ...login })
    await until('deferred', () => box.of('delivery.deferred').length === 1)
    for (let n = 2; n <= 3; n++) {
      box.queue.orders.take(
        new Map([[`o${n}`, { action: 'run' as const, orderedBy: 'test', orderedAt: new Date().toISOString() }]]),
      )
      await until(`try ${n}`, () => tries === n)
      await until('told', () => box.queue.counters.attempts === n)
    }
    expect(new Set(remote.received.map(({ data }) => data)).size).toBe(1)
  })

  test.each<[string, object, string[]]>([
    ['a client of the relay list', { text, client: { ip: '198.51.100.7', helo: 'c.test' } }, both],
    ['a stranger who names us in From', { text, ...stranger }, []],
    ['an author of another domain', { text: text.replace('Home.test', 'other.test'), ...login }, []],
    ['an author of a subdomain', { text: text.replace('Home.test', 'sub.home.test'), ...login }, []],
    ['two authors of two domains', { text: text.replace('>', '>, eve@other.test'), ...login }, []],
    ['two From fields', { text: `From: eve@other.test\r\n${text}`, ...login }, []],
    [
      'our domain only in the display name',
      { text: text.replace(/From:.*/, 'From: "ann@home.test" <eve@other.test>'), ...login },
      [],
    ],
    ['an aligned message over the API', { text, ...stranger, origin: 'api' }, both],
  ])('%s', async (_name, change, expected) => {
    const { box, remote } = await toServer({}, { dkimKeys, relay: ['198.51.100.0/24'] })
    await box.send(['jane@a.test'], change)
    await until('delivered', () => remote.received.length === 1)
    expect((await verified(remote.received[0]?.data ?? '')).filter((each) => each.startsWith('pass')).sort()).toEqual(
      [...expected].sort(),
    )
    expect(remote.received[0]?.data.includes('DKIM-Signature')).toBe(expected.length > 0)
  })

  test('a key that is given or taken counts for the next message', async () => {
    const { box, remote } = await toServer({}, {})
    await box.send(['jane@a.test'], { text, ...login })
    await until('unsigned', () => remote.received.length === 1)
    box.apply({ dkimKeys: [ed.row] })
    await box.send(['jane@a.test'], { text, ...login })
    await until('signed', () => remote.received.length === 2)
    expect(await verified(remote.received[1]?.data ?? '')).toEqual([both[1]])
    expect(remote.received[0]?.data).not.toContain('DKIM-Signature')
  })
})

describe('hosts that understand less', () => {
  const mime = 'From: ann@home.test\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n'
  const eight = `${mime}Content-Transfer-Encoding: 8bit\r\n\r\nh\u00e4\r\n`

  test('without 8BITMIME the text is converted, and then signed (RFC 6152 §3, RFC 6376 §5.3)', async () => {
    const { box, remote } = await toServer({ extensions: ['PIPELINING'] }, { dkimKeys })
    await box.send(['jane@a.test'], { text: eight, body: '8bitmime', ...login })
    await until('delivered', () => remote.received.length === 1)
    const { data = '', mail = '' } = remote.received[0] ?? {}
    expect(mail).not.toContain('8BITMIME')
    expect(data).toMatch(/Content-Transfer-Encoding: quoted-printable\r\n\r\nh=C3=A4\r\n$/)
    expect(await verified(data)).toEqual(expect.arrayContaining(both))
  })

  test('undeclared 8-bit text is converted too; what is 7-bit stays', async () => {
    const { box, remote } = await toServer({ extensions: [] })
    await box.send(['jane@a.test'], { text: eight })
    await box.send(['joe@a.test'], { text })
    await until('both', () => remote.received.length === 2)
    const at = (user: string) => remote.received.find(({ recipients }) => recipients[0]?.startsWith(user))?.data
    expect(at('jane')).toContain('h=C3=A4')
    expect(at('joe')).toBe(text)
  })

  test('what cannot be converted is returned', async () => {
    const { box } = await toServer({ extensions: [] })
    const signedWhole =
      'MIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary=a\r\n\r\n--a\r\n\r\n\u00e4\r\n--a--\r\n'
    const id = await box.send(['jane@a.test'], { text: signedWhole, body: '8bitmime' })
    await until('bounced', () => box.of('delivery.bounced', id).length === 1)
    expect(box.of('delivery.bounced', id)[0]).toMatchObject({ status: '5.6.3' })
  })

  test('without SMTPUTF8 a message goes that can be said in ASCII, its domains spelled out (RFC 6531)', async () => {
    const { box, remote } = await toServer({ extensions: ['8BITMIME'] })
    const id = await box.send(['jane@a.test', 'j\u00e4ne@a.test'], {
      smtpUtf8: true,
      text,
      sender: 'ann@h\u00f6me.test',
    })
    await until('both', () => box.of('delivery.delivered', id).length + box.of('delivery.bounced', id).length === 2)
    expect(remote.received[0]).toMatchObject({ recipients: ['jane@a.test'], sender: 'ann@xn--hme-sna.test' })
    expect(remote.received[0]?.mail).not.toContain('SMTPUTF8')
    expect(box.of('delivery.bounced', id)[0]).toMatchObject({ recipients: ['j\u00e4ne@a.test'], status: '5.6.7' })
  })

  test.each([
    ['a header above 127', { text: 'Subject: \u00e4\r\n\r\nx\r\n' }],
    ['a sender above 127', { sender: 'h\u00e4@home.test' }],
  ])('without SMTPUTF8, %s is returned', async (_name, change) => {
    const { box } = await toServer({ extensions: ['8BITMIME'] })
    const id = await box.send(['jane@a.test'], { smtpUtf8: true, ...change })
    await until('bounced', () => box.of('delivery.bounced', id).length === 1)
    expect(box.of('delivery.bounced', id)[0]).toMatchObject({ status: '5.6.7' })
  })

  test('with SMTPUTF8 it goes as it is', async () => {
    const { box, remote } = await toServer({ extensions: ['8BITMIME', 'SMTPUTF8'] })
    await box.send(['jane@a.test'], { smtpUtf8: true, body: '8bitmime', text: 'Subject: \u00e4\r\n\r\nx\r\n' })
    await until('delivered', () => remote.received.length === 1)
    expect(remote.received[0]?.mail).toMatch(/ SMTPUTF8$/)
  })
})

test('recipientDelayMs: a pause between the recipients of mail that goes out, none for local domains, 0 is none', async () => {
  const { box, remote } = await toServer({}, { advanced: { recipientDelayMs: 150 } })
  box.apply({ general: { gateway: { host: '127.0.0.1', port: remote.port, tls: 'none' } } })
  const timed = async (domain: string) => {
    const began = Date.now()
    const id = await box.send(['u1', 'u2', 'u3'].map((user) => `${user}@${domain}`))
    await until('delivered', () => box.of('delivery.delivered', id).length === 1)
    return Date.now() - began
  }
  expect(await timed('far.test')).toBeGreaterThanOrEqual(300)
  expect(remote.received[0]?.recipients).toHaveLength(3)
  await timed('a.test')
  box.apply({ advanced: {} })
  await timed('far.test')
  const [paced, local, unpaced] = remote.received
  expect([paced, local, unpaced].map((each) => each?.recipients.length)).toEqual([3, 3, 3])
})

test('a notification finds its way through aliases, groups and catch-all', async () => {
  const { box } = await toServer(
    { command: (line) => (line.startsWith('RCPT') ? '550 5.1.1 no' : undefined) },
    {
      accounts: ['ann@sender.test', 'bob@sender.test'],
      aliases: [{ address: 'sales@sender.test', to: ['team@sender.test'] }],
      groups: [{ address: 'team@sender.test', members: ['ann@sender.test', 'bob@sender.test'] }],
    },
  )
  await box.send(['x@a.test'], { sender: 'sales@sender.test' })
  await until(
    'both have it',
    async () =>
      (await box.mailOf('ann@sender.test')).length === 1 && (await box.mailOf('bob@sender.test')).length === 1,
  )
  expect(await box.mailOf('sales@sender.test')).toEqual([])
  await box.send(['x@a.test'], { sender: 'ann+box@sender.test' })
  await until('ann has it', async () => (await box.mailOf('ann@sender.test')).length === 2)
})

test('a run for one domain leaves the others waiting (ETRN, RFC 1985)', async () => {
  const { box, remote } = await toServer({ end: () => '451 4.3.0 later' })
  box.apply({
    domains: [
      { name: 'a.test', route: remote.route },
      { name: 'b.test', route: remote.route },
    ],
  })
  const a = await box.send(['x@a.test'])
  const b = await box.send(['x@b.test'])
  await until('both wait', () => box.queue.counters.deferred === 2)
  remote.script = {}
  const order = { action: 'run' as const, domain: 'b.test', orderedBy: 'test', orderedAt: new Date().toISOString() }
  box.queue.orders.take(new Map([['etrn', order]]))
  await until('b is delivered', () => box.of('delivery.delivered', b).length === 1)
  expect(box.of('order.done')).toMatchObject([{ matched: 1 }])
  expect(box.of('delivery.delivered', a)).toEqual([])
})

describe('what is signed', () => {
  const list = [...headers, 'cc', 'reply-to', 'date', 'message-id']
  const fields = [
    'From: ann@home.test',
    'To: jane@a.test',
    'Subject: x',
    'List-Unsubscribe: <https://home.test/u?1>',
    'List-Unsubscribe-Post: List-Unsubscribe=One-Click',
    'Date: Mon, 30 Nov 2026 09:00:00 +0000',
    'Message-ID: <1@home.test>',
  ]
  const body = '\r\n\r\nHello.\r\n'

  async function sentBy(keys: object[]): Promise<string> {
    const { box, remote } = await toServer({}, { dkimKeys: keys })
    await box.send(['jane@a.test'], { text: `${fields.join('\r\n')}${body}`, ...login })
    await until('delivered', () => remote.received.length === 1)
    return remote.received[0]?.data ?? ''
  }
  const fails = async (data: string) => (await verified(data)).every((result) => result.startsWith('fail'))

  test('From, Subject, To, Cc, Reply-To, Date and Message-ID cannot be added to (RFC 6376 §8.15)', async () => {
    const data = await sentBy([
      { ...rsa.row, headers: list },
      { ...ed.row, headers: list },
    ])
    expect((await verified(data)).sort()).toEqual([...both].sort())
    const [, ...rest] = data.split(/(?=\r\nFrom: )/)
    const signature = data.slice(0, data.length - rest.join('').length)
    for (const added of ['From', 'Subject', 'To', 'Cc', 'Reply-To', 'Date', 'Message-ID']) {
      const field = `\r\n${added}: evil@evil.test`
      expect(await fails(`${signature}${field}${rest.join('')}`), `${added} before`).toBe(true)
      expect(await fails(data.replace(body, `${field}${body}`)), `${added} after`).toBe(true)
    }
    expect(await fails(data.replace(body, `\r\nX-Other: fine${body}`))).toBe(false)
  })

  test('one-click unsubscription is signed whatever the key lists (RFC 8058 §4)', async () => {
    const data = await sentBy(dkimKeys)
    expect((await verified(data)).sort()).toEqual([...both].sort())
    expect(await fails(data.replace('/u?1', '/u?2'))).toBe(true)
    expect(await fails(data.replace('=One-Click', '=Two-Click'))).toBe(true)
  })

  test('a field that the key does not list may be added', async () => {
    const data = await sentBy([{ ...rsa.row, headers: ['from', 'Subject'] }])
    const unfolded = data.replace(/\r\n[ \t]+/g, ' ')
    const signedFields = /; h=([^;]+);/.exec(unfolded)?.[1]?.toLowerCase().split(/[ :]+/).sort()
    expect(signedFields).toEqual(['from', 'from', 'list-unsubscribe', 'list-unsubscribe-post', 'subject', 'subject'])
    expect(await verified(data.replace(body, `\r\nReply-To: list@b.test${body}`))).toEqual(both.slice(0, 1))
    expect(await fails(data.replace(body, `\r\nSubject: other${body}`))).toBe(true)
  })
})
