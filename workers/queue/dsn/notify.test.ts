import { afterEach, expect, test } from 'vitest'
import { type Script, TestServer } from '../test/server.ts'
import { Testbed, until } from '../test/testbed.ts'

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
})

async function toServer(script: Script, queue: object = {}) {
  const remote = await TestServer.start(script)
  open.push(remote)
  const box = await Testbed.open({ queue, domains: [{ name: 'a.test', route: remote.route }] })
  open.push(box)
  return { remote, box }
}

/** The parts of a multipart message, as a reader of RFC 2046 sees them. */
function partsOf(raw: string): { type: string; body: string }[] {
  const boundary = /boundary="([^"]+)"/.exec(raw)?.[1]
  const parts = raw.split(`\r\n--${boundary}`).slice(1, -1)
  return parts.map((part) => {
    const end = part.indexOf('\r\n\r\n')
    return { type: /Content-Type: ([^;\r]+)/.exec(part.slice(0, end))?.[1] ?? '', body: part.slice(end + 4) }
  })
}

const refuse: Script = {
  command: (line) => (line.startsWith('RCPT') ? '550-5.1.1 no such user\r\n550 5.1.1 here' : undefined),
}
const sent = (box: Testbed) => box.mailOf('sender@sender.test')

test('a bounce (RFC 3462, RFC 3464) goes back: text, status, and the whole message', async () => {
  const { box } = await toServer(refuse)
  const text = 'From: me\r\nSubject: =?utf-8?q?h=C3=A4?=\r\n\r\n.dots\r\nbody\r\n'
  const id = await box.send(
    [{ address: 'jane@a.test', original: 'Jane+x@a.test', orcpt: 'rfc822;jane+alias@b.test' }],
    { text, envid: 'E-1' },
  )
  await until('the notification', async () => (await sent(box)).length === 1)
  const [raw = ''] = await sent(box)
  expect(raw).toMatch(/^Return-Path: <>\r\nDelivered-To: sender@sender.test\r\n/)
  expect(raw).toMatch(/Content-Type: multipart\/report; report-type=delivery-status;/)
  const fields = raw.split('Content-Type: message/delivery-status\r\n\r\n')[1]?.split('\r\n--')[0]
  expect(fields?.split('\r\n').filter((line) => !/-Date: /.test(line))).toEqual([
    'Reporting-MTA: dns; mail.test',
    'Original-Envelope-Id: E-1',
    '',
    'Original-Recipient: rfc822;jane+alias@b.test',
    'Final-Recipient: rfc822; jane@a.test',
    'Action: failed',
    'Status: 5.1.1',
    'Remote-MTA: dns; 127.0.0.1',
    'Diagnostic-Code: smtp; 550-5.1.1 no such user 550 5.1.1 here',
    '',
  ])
  const [text1, status, returned] = partsOf(raw)
  expect(text1?.body).toContain('<Jane+x@a.test>')
  expect(raw).toContain('\r\nSubject: Undelivered mail: returned to sender\r\n')
  expect(status?.type).toBe('message/delivery-status')
  expect(returned).toEqual({ type: 'message/rfc822', body: text })
  // The books: the notification was received, and delivered.
  const [written] = box.of('dsn.written')
  expect(written).toMatchObject({ about: id, action: 'failed' })
  expect(box.of('message.accepted', written?.messageId as string)).toMatchObject([
    { origin: 'dsn', sender: '', recipients: [{ address: 'sender@sender.test' }] },
  ])
  await until('told', () => box.of('delivery.delivered', written?.messageId as string).length === 1)
})

test('RET=HDRS (RFC 3461) returns the header; one notification for all that failed at once', async () => {
  const { box } = await toServer(refuse)
  await box.send(['a@a.test', 'b@a.test'], { ret: 'hdrs', text: 'Subject: x\r\nX: y\r\n\r\nsecret body\r\n' })
  await until('the notification', async () => (await sent(box)).length === 1)
  const [raw = ''] = await sent(box)
  expect(raw).toContain('Content-Type: text/rfc822-headers\r\n\r\nSubject: x\r\nX: y\r\n')
  expect(raw).not.toContain('secret body')
  expect(raw.match(/^Final-Recipient: /gm)).toHaveLength(2)
})

test('about mail of SMTPUTF8 the parts are those of RFC 6533, and addresses stand in them as they are', async () => {
  const { box } = await toServer({
    command: (line) => (line.startsWith('RCPT') ? '550 5.1.1 no such user' : undefined),
    extensions: ['PIPELINING', '8BITMIME', 'SIZE', 'SMTPUTF8'],
  })
  const to = { address: 'zoë@a.test', original: 'Zoë@a.test', orcpt: 'utf-8;zo\\x{EB}@b.test' }
  const text = 'Subject: Zoë\r\n\r\nhallo\r\n'
  await box.send([to], { smtpUtf8: true, text })
  await box.send([to], { smtpUtf8: true, text, ret: 'hdrs' })
  await until('the notifications', async () => (await sent(box)).length === 2)
  for (const bytes of await sent(box)) {
    const raw = Buffer.from(bytes, 'latin1').toString()
    expect(raw).toContain('\r\nFinal-Recipient: utf-8; zoë@a.test\r\n')
    expect(raw).toContain('\r\nOriginal-Recipient: utf-8;zoë@b.test\r\n')
    expect(raw).toContain('Content-Type: message/global-delivery-status\r\nContent-Transfer-Encoding: 8bit\r\n')
    expect(partsOf(raw)[0]?.body).toContain('<Zoë@a.test>')
    expect(raw).toMatch(/report-type=delivery-status;[^\r]*\r\n[^\r]*\r\nContent-Transfer-Encoding: 8bit\r\n/)
  }
  expect((await sent(box)).map((raw) => partsOf(raw)[2]?.type).sort()).toEqual([
    'message/global',
    'message/global-headers',
  ])
})

test('never about the null sender, never against NOTIFY', async () => {
  const { box } = await toServer(refuse)
  await box.send(['a@a.test'], { sender: '' })
  await box.send([{ address: 'b@a.test', notify: ['never'] }])
  await box.send([{ address: 'c@a.test', notify: ['success', 'delay'] }])
  await until('bounced', () => box.of('delivery.bounced').length === 3)
  expect(box.of('dsn.written')).toEqual([])
})

test('success is told when it was asked for: relayed by a remote without DSN, delivered here', async () => {
  const { box, remote } = await toServer({})
  box.apply({
    domains: [{ name: 'b.test', route: { type: 'maildir' } }],
    accounts: ['y@b.test'],
    general: { gateway: { host: '127.0.0.1', port: remote.port, tls: 'none' } },
  })
  await box.send([{ address: 'x@elsewhere.test', notify: ['success'] }])
  await box.send([{ address: 'y@b.test', notify: ['success'] }])
  await until('both', async () => (await sent(box)).length === 2)
  const actions = (await sent(box)).map((raw) => /^Action: (.*)$/m.exec(raw)?.[1]?.trim())
  expect(actions.sort()).toEqual(['delivered', 'relayed'])
})

// [queue.delayWarningHours]
test('a delay is told once', async () => {
  const { box } = await toServer(
    { command: (line) => (line.startsWith('RCPT') ? '450 4.2.1 busy' : undefined) },
    { delayWarningHours: 1 },
  )
  const id = await box.send(['a@a.test'], { receivedAt: Date.now() - 2 * 3_600_000 })
  await until('told', () => box.of('dsn.written').length === 1)
  expect(box.of('dsn.written')[0]).toMatchObject({ about: id, action: 'delayed' })
  await box.queue.indexWriter.flush()
  await box.queue.index.ask('order', { action: 'retry', ids: [id], at: Date.now(), by: 'test', rerouted: '' })
  await until('tried again', () => box.of('delivery.deferred', id).length === 2)
  expect(box.of('dsn.written')).toHaveLength(1)
  const [raw = ''] = await sent(box)
  expect(raw).toMatch(/^Action: delayed\r\nStatus: 4.2.1\r\n/m)
  expect(raw).toMatch(/^Will-Retry-Until: /m)
})

test('too many tries, or too old: returned', async () => {
  const { box } = await toServer(
    { command: (line) => (line.startsWith('RCPT') ? '450 4.2.1 busy' : undefined) },
    { triesBeforeReturn: 1 },
  )
  const id = await box.send(['a@a.test'])
  await until('returned', () => box.of('delivery.bounced', id).length === 1)
  expect(box.of('delivery.bounced', id)[0]).toMatchObject({ cause: 'expired', status: '4.4.7' })
  box.apply({ queue: { maxQueueHours: 1 } })
  const old = await box.send(['a@a.test'], { receivedAt: Date.now() - 2 * 3_600_000 })
  await until('returned', () => box.of('delivery.bounced', old).length === 1)
})

test('8-bit and odd replies come back as ASCII fields and an 8-bit part', async () => {
  const { box } = await toServer({
    command: (line) => (line.startsWith('RCPT') ? `550 5.7.1 \u00fc\x1b[31m ${'x'.repeat(900)}` : undefined),
  })
  await box.send(['a@a.test'], { text: 'Subject: \u00e4\r\n\r\n\u00e4\r\n', body: '8bitmime' })
  await until('the notification', async () => (await sent(box)).length === 1)
  const [raw = ''] = await sent(box)
  expect(raw).toContain('Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n')
  const status = raw.split('message/delivery-status')[1]?.split('\r\n--')[0] ?? ''
  expect(status).toMatch(/^[\x0a\x0d\x20-\x7e]*$/)
  expect(Math.max(...raw.split('\r\n').map((line) => line.length))).toBeLessThan(998)
})
