import { describe, expect, it } from 'vitest'
import { homeDomain, livePostern } from './live.ts'

const live = livePostern({
  prepare: async (live) => {
    await homeDomain(live)
    await live.make('groups', { address: 'team@home.test', members: ['ann@home.test', 'x@far.test'] })
    await live.make('aliases', { address: 'here@home.test', to: ['ann@home.test'] })
    await live.make('aliases', { address: 'there@home.test', to: ['x@far.test'] })
    await live.make('aliases', { address: 'dead@home.test', to: ['gone@home.test'] })
    await live.empty('relay')
    await live.add('relay', '127.0.0.70')
  },
})

async function ask(line: string, from = '127.0.0.71') {
  const client = await live.greeted({ from })
  const reply = await client.ask(line)
  await client.quit()
  return reply
}

describe('names and the banner', () => {
  it('hostname is in the banner, EHLO, Received and the reply to QUIT', async () => {
    await live.set('general', { hostname: 'mail.example.test' })
    const client = await live.connect()
    expect((await client.expect(220)).raw).toMatch(/^220 mail\.example\.test /)
    expect((await client.say('EHLO client.test').expect(250)).lines[0]).toMatch(/^mail\.example\.test /)
    await client.mail({ from: 'x@far.test', to: 'ann@home.test', content: 'Subject: named\r\n' })
    expect((await client.say('QUIT').expect(221, '2.0.0')).raw).toContain('mail.example.test')
    const [mail = ''] = (await live.arrived('ann@home.test', 1)).slice(-1)
    expect(mail).toMatch(
      /^Return-Path: <x@far\.test>\r\nDelivered-To: ann@home\.test\r\nAuthentication-Results: mail\.example\.test;\r\n(?:\t.*\r\n)+Received: from client\.test \(/,
    )
    expect(mail).toMatch(/by mail\.example\.test \(Postern\) with ESMTP id [0-9a-f-]{36}\r\n\tfor <ann@home\.test>;/)
  })

  it('an open session uses the new name at its next greeting', async () => {
    const client = await live.greeted()
    await live.set('general', { hostname: 'new.example.test' })
    expect((await client.say('EHLO client.test').expect(250)).lines[0]).toMatch(/^new\.example\.test /)
  })

  it('helloMessage is the text of the banner, whatever it says', async () => {
    await live.set('general', { hostname: 'mail.example.test' })
    const helloMessage = `250-evil -${'x'.repeat(380)}`
    await live.set('advanced', { helloMessage })
    const client = await live.connect()
    const { lines } = await client.expect(220)
    expect(lines).toEqual([`mail.example.test ${helloMessage}`])
    await client.ehlo()
    await live.set('advanced', { helloMessage: '' })
    expect((await (await live.connect()).expect(220)).raw).toMatch(/^220 mail\.example\.test \S+/)
  })

  it.each(['two\r\n250 lines', 'a\0b', 'ü', 'x'.repeat(401)])(
    'a helloMessage that cannot stand in a line is refused',
    async (helloMessage) => {
      const answer = await live.api.call('PATCH', '/v1/settings/advanced', { body: { helloMessage } })
      expect([400, 422]).toContain(answer.status)
      expect(answer.text).toContain('helloMessage')
      await live.greeted()
    },
  )
})

describe('VRFY', () => {
  it('confirms nothing while disabled', async () => {
    for (const who of ['ann@home.test', 'nobody@home.test', 'x@far.test', '<ann@home.test>', 'ann'])
      expect(await ask(`VRFY ${who}`), who).toMatchObject({ code: 252, enhanced: '2.1.5' })
    await (await live.greeted()).say('VRFY').expect(501)
  })

  it('is truthful when enabled: 250, 251, 550, and 252 for addresses that are not local', async () => {
    await live.set('security', { disableVrfy: false })
    expect((await ask('VRFY ann@home.test')).raw).toBe('250 2.1.5 <ann@home.test>')
    expect((await ask('VRFY <ANN@also.test>')).raw).toBe('250 2.1.5 <ann@home.test>')
    expect(await ask('VRFY here@home.test')).toMatchObject({ code: 250 })
    expect((await ask('VRFY there@home.test')).raw).toMatch(/^251 2\.1\.5 .*<x@far\.test>/)
    expect(await ask('VRFY nobody@home.test')).toMatchObject({ code: 550, enhanced: '5.1.1' })
    expect(await ask('VRFY x@far.test')).toMatchObject({ code: 252 })
    // As RCPT says.
    expect(await ask('VRFY dead@home.test')).toMatchObject({ code: 550, enhanced: '5.1.1' })
  })
})

describe('EXPN', () => {
  it('is 502 5.5.1 while disabled', async () => {
    expect(await ask('EXPN team@home.test', '127.0.0.70')).toMatchObject({ code: 502, enhanced: '5.5.1' })
  })

  it('shows members to local users, and to others only with allowRemoteViewOfGroups', async () => {
    await live.set('security', { disableExpn: false })
    const { raw } = await ask('EXPN team@home.test', '127.0.0.70')
    expect(raw.split('\n')).toEqual(['250-2.1.5 <ann@home.test>', '250 2.1.5 <x@far.test>'])
    expect(await ask('EXPN nobody@home.test', '127.0.0.70')).toMatchObject({ code: 550, enhanced: '5.1.1' })
    expect(await ask('EXPN team@home.test')).toMatchObject({ code: 550, enhanced: '5.7.1' })
    // A client that may not see groups does not learn which exist.
    expect(await ask('EXPN nobody@home.test')).toMatchObject({ code: 550, enhanced: '5.7.1' })
    await live.set('security', { allowRemoteViewOfGroups: true })
    expect(await ask('EXPN team@home.test')).toMatchObject({ code: 250 })
  })

  it('is in EHLO for clients that it answers (RFC 5321 §3.5.2), as VRFY is', async () => {
    const client = await live.connect({ from: '127.0.0.71' })
    const ours = await live.connect({ from: '127.0.0.70' })
    for (const offered of [await client.hello(), await ours.hello()])
      expect([offered.has('EXPN'), offered.has('VRFY')]).toEqual([false, false])
    await live.set('security', { disableExpn: false, disableVrfy: false })
    const offered = await client.ehlo()
    expect([offered.has('EXPN'), offered.has('VRFY')]).toEqual([false, true])
    expect((await ours.ehlo()).has('EXPN')).toBe(true)
    await live.set('security', { allowRemoteViewOfGroups: true })
    expect((await client.ehlo()).has('EXPN')).toBe(true)
  })
})

describe('the order of commands (RFC 5321)', () => {
  it.each([
    ['MAIL before HELO', ['MAIL FROM:<x@far.test>'], 503],
    ['RCPT before MAIL', ['EHLO a.test', 'RCPT TO:<ann@home.test>'], 503],
    ['DATA before MAIL', ['EHLO a.test', 'DATA'], 503],
    ['MAIL twice', ['EHLO a.test', 'MAIL FROM:<x@far.test>', 'MAIL FROM:<y@far.test>'], 503],
    [
      'DATA without a valid recipient',
      ['EHLO a.test', 'MAIL FROM:<x@far.test>', 'RCPT TO:<no@home.test>', 'DATA'],
      554,
    ],
    ['HELO without a name', ['HELO'], 501],
    ['EHLO with nonsense', ['EHLO <script>'], 501],
    ['an unknown parameter', ['EHLO a.test', 'MAIL FROM:<x@far.test> FOO=1'], 555],
    ['RSET with an argument', ['RSET now'], 501],
  ])('%s', async (_name, lines, code) => {
    const client = await live.connect()
    await client.expect(220)
    for (const line of lines.slice(0, -1)) await client.ask(line)
    const reply = await client.say(lines.at(-1) as string).expect(code)
    expect(reply.enhanced).toMatch(/^5\./)
    await client.say('NOOP').expect(250)
  })

  it.each([
    ['MAIL', 'MAIL FROM:<x@far.test> SIZE=10 SIZE=10', '5.5.4'],
    ['MAIL', 'MAIL FROM:<x@far.test> =10', '5.5.4'],
    ['MAIL', 'MAIL FROM:<x@far.test> SIZE=ten', '5.5.4'],
    ['MAIL', 'MAIL FROM:<x@@far.test>', '5.1.7'],
    ['RCPT', 'RCPT TO:<ann@home.test> NOTIFY=NEVER NOTIFY=NEVER', '5.5.4'],
    ['RCPT', 'RCPT TO:<ann@@home.test>', '5.1.3'],
  ])('%s: 501 says whether the address is wrong or a parameter (RFC 3463 §3.6): %s', async (verb, line, enhanced) => {
    const client = await live.greeted()
    if (verb === 'RCPT') await client.say('MAIL FROM:<x@far.test>').expect(250)
    await client.say(line).expect(501, enhanced)
  })

  it('pipelined commands (RFC 2920) are answered in order, and all of them', async () => {
    const client = await live.greeted()
    client.say('MAIL FROM:<x@far.test>', 'RCPT TO:<ann@home.test>', 'RCPT TO:<no@home.test>', 'DATA')
    await client.expect(250, '2.1.0')
    await client.expect(250, '2.1.5')
    await client.expect(550, '5.1.1')
    await client.expect(354)
    client.write('Subject: pipelined\r\n\r\n.\r\nMAIL FROM:<>\r\nRSET\r\nQUIT\r\n')
    for (const code of [250, 250, 250, 221]) await client.expect(code)
    expect(await client.closed()).toBe('closed')
  })

  it('every reply but the banner, greetings and 354 has an enhanced code (RFC 2034, RFC 3463, RFC 5248)', async () => {
    const client = await live.greeted()
    for (const line of [
      'NOOP',
      'RSET',
      'HELP',
      'MAIL FROM:<x@far.test>',
      'RCPT TO:<ann@home.test>',
      'RSET',
      'FOO',
      'BDAT',
    ])
      expect((await client.ask(line)).enhanced, line).toBeDefined()
  })
})
