import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { entry, startTestReceiver, type TestReceiver } from '../test/receiver-harness.ts'
import { connect, pastBanner } from '../test/wire-client.ts'

let receiver: TestReceiver
beforeAll(async () => {
  receiver = await startTestReceiver({
    rows: [
      {
        kind: 'alias',
        id: 'al1',
        value: { address: 'sales@example.test', to: ['jane@example.test', 'sam@away.test'] },
      },
      { kind: 'group', id: 'g1', value: { address: 'all@example.test', members: ['jane@example.test'] } },
    ],
  })
})
afterAll(() => receiver.close())

/** Runs a dialogue of `[line, reply]` on a connection of its own. */
async function session(lines: readonly (readonly [string, RegExp])[], at = receiver): Promise<void> {
  const client = await pastBanner({ port: at.port() })
  for (const [line, expected] of lines) expect(await client.answer(line), line).toMatch(expected)
  client.destroy()
}

const hello = ['EHLO client.test', /^250-mx\.test greets client\.test\r\n/] as const
const mail = ['MAIL FROM:<sam@remote.test>', /^250 2\.1\.0 Sender OK$/] as const
const rcpt = ['RCPT TO:<jane@example.test>', /^250 2\.1\.5 Recipient OK$/] as const

describe('the greeting', () => {
  it('comes at once and without an enhanced code', async () => {
    const greetingMs = async () => {
      const begin = performance.now()
      const client = await connect({ port: receiver.port() })
      expect(await client.text()).toBe('220 mx.test ESMTP Postern')
      client.destroy()
      return performance.now() - begin
    }
    // smtp-server's own greeting always waits 100 ms. One that is faster proves that ours does not, however busy the machine.
    await expect.poll(greetingMs, { timeout: 25_000 }).toBeLessThan(90)
  })

  it('holds the hello message, on one line', async () => {
    const other = await startTestReceiver({ settings: { advanced: { helloMessage: 'no spam, please' } } })
    const client = await connect({ port: other.port() })
    expect(await client.text()).toBe('220 mx.test no spam, please')
    client.destroy()
    await other.close()
  })
})

describe('EHLO', () => {
  it('offers what is honoured, and nothing else', async () => {
    const client = await pastBanner({ port: receiver.port() })
    const lines = (await client.answer('EHLO client.test'))?.split('\r\n').map((line) => line.slice(4))
    expect(lines?.slice(1)).toEqual([
      'PIPELINING',
      'SIZE 26214400',
      '8BITMIME',
      'ENHANCEDSTATUSCODES',
      'LIMITS RCPTMAX=1000',
      'DSN',
      'HELP',
      'SMTPUTF8',
      'ETRN',
      'CHUNKING',
    ])
    client.destroy()
  })

  it('HELO answers one line', () => session([['HELO client.test', /^250 mx\.test greets client\.test$/]]))
  it('takes an address literal', () =>
    session([
      ['EHLO [127.0.0.1]', /^250-/],
      ['EHLO [IPv6:2001:db8::1]', /^250-/],
    ]))
  it('refuses what is neither', () =>
    session([
      ['EHLO <not a host>', /^501 5\.5\.2 /],
      ['EHLO', /^501 5\.5\.2 /],
    ]))
  it('ends a transaction', () => session([hello, mail, hello, ['RCPT TO:<jane@example.test>', /^503 5\.5\.1 /]]))
})

describe('sequence and syntax', () => {
  it.each([
    ['MAIL before HELO', [['MAIL FROM:<a@b.test>', /^503 5\.5\.1 Send HELO/]]],
    ['RCPT before MAIL', [hello, ['RCPT TO:<jane@example.test>', /^503 5\.5\.1 /]]],
    ['DATA before MAIL', [hello, ['DATA', /^503 5\.5\.1 /]]],
    ['DATA without recipients', [hello, mail, ['DATA', /^554 5\.5\.1 No valid recipients/], rcpt]],
    ['nested MAIL', [hello, mail, ['MAIL FROM:<a@b.test>', /^503 5\.5\.1 /]]],
    ['unknown command', [['FROB', /^500 5\.5\.1 /]]],
    [
      'disabled commands',
      [
        ['WIZ', /^500 5\.5\.1 /],
        ['SHELL', /^500 /],
        ['KILL', /^500 /],
        ['XCLIENT ADDR=1.2.3.4', /^500 /],
        ['XFORWARD NAME=x', /^500 /],
      ],
    ],
    ['commands not built', [['TURN', /^502 /]]],
    ['STARTTLS without certificate', [['STARTTLS', /^454 4\.7\.0 /]]],
    [
      'arguments where none belong',
      [hello, mail, ['DATA now', /^501 5\.5\.4 /], ['RSET x', /^501 /], ['QUIT x', /^501 /]],
    ],
    ['no argument', [hello, ['MAIL', /^501 5\.5\.4 /], ['RCPT', /^501 5\.5\.4 /], ['VRFY', /^501 5\.5\.4 /]]],
    [
      'lower case',
      [
        ['ehlo client.test', /^250-/],
        ['mail from:<sam@remote.test>', /^250 2\.1\.0/],
        ['rcpt to:<jane@example.test>', /^250 2\.1\.5/],
      ],
    ],
    [
      'NOOP, RSET, HELP',
      [
        ['NOOP with words', /^250 2\.0\.0 OK$/],
        ['RSET', /^250 2\.0\.0 Flushed$/],
        ['HELP', /^214 2\.0\.0 .*STARTTLS/],
      ],
    ],
    ['QUIT', [['QUIT', /^221 2\.0\.0 mx\.test closing/]]],
  ] as const)('%s', (_name, lines) => session(lines))

  it.each([
    ['MAIL FROM:<sam@remote.test', /^501 5\.1\.7 /],
    ['MAIL FROM:<sam@>', /^501 5\.1\.7 .*no domain comes after the @/],
    ['MAIL TO:<sam@remote.test>', /^501 5\.1\.7 /],
    ['MAIL FROM:<sam@remote.test> FROB=1', /^555 5\.5\.4 Parameter not supported: FROB/],
    ['MAIL FROM:<sam@remote.test> FUTURE', /^555 5\.5\.4 /],
    ['MAIL FROM:<sam@remote.test> RET=SOME', /^501 5\.5\.4 /],
    ['MAIL FROM:<sam@remote.test> ENVID=a+0D+0Ab', /^501 5\.5\.4 /],
    ['MAIL FROM:<sam@remote.test> SIZE=1 SIZE=2', /^501 5\.5\.4 /],
    ['MAIL FROM:<sam@remote.test> SIZE=x', /^501 5\.5\.4 /],
    ['MAIL FROM:<sam@remote.test> BODY=BINARYMIME', /^501 5\.5\.4 /],
    ['MAIL FROM:<sam@remote.test> SIZE=99999999', /^552 5\.3\.4 /],
    ['MAIL FROM:<s\u00e4m@remote.test>', /^5\d\d 5\.\d\.\d /],
  ])('%s', (line, expected) => session([hello, [line, expected]]))

  it.each([
    'MAIL FROM:<>',
    'MAIL FROM: <sam@remote.test>',
    'MAIL FROM:sam@remote.test',
    'MAIL FROM:<sam>',
    'MAIL FROM:<sam@remote.test>SIZE=1',
    'MAIL FROM:<sam@remote.test> SIZE',
    'MAIL\tFROM:\t< sam@remote.test. >\tsize=',
    '  mail   from:<sam@remote.test>',
    `MAIL FROM:<${'bounces+1-'.repeat(20)}@remote.test>`,
    'MAIL FROM:<sam..x.@docomo.test>',
    'MAIL FROM:<@relay.test:sam@remote.test>',
    'MAIL FROM:<"a > b"@remote.test>',
    'MAIL FROM:<sam@remote.test> BODY=8BITMIME SIZE=10 AUTH=<>',
  ])('takes %s', (line) => session([hello, [line, /^250 2\.1\.0 /]]))

  it('every reply has an enhanced code of its own class, but banner, EHLO, HELO, 354 and 334', async () => {
    const client = await connect({ port: receiver.port() })
    const lines = [
      'EHLO a.test',
      'FROB',
      'MAIL',
      'MAIL FROM:<a@b.test>',
      'RCPT TO:<nobody@example.test>',
      'RCPT TO:<jane@example.test>',
      'DATA',
    ]
    client.write(`${lines.join('\r\n')}\r\n`)
    client.write('hi\r\n.\r\nVRFY x\r\nEXPN y\r\nAUTH PLAIN\r\nSTARTTLS\r\nQUIT\r\n')
    const text = await client.untilClosed()
    const seen = text.split('\r\n').filter((line) => line !== '')
    expect(seen.length).toBeGreaterThan(12)
    for (const line of seen) {
      if (/^(220|354|250[- ](mx\.test|PIPE|SIZE|8BIT|ENH|LIM|DSN|HELP|CHUNK|SMTPUTF8|ETRN))/.test(line)) continue
      expect(line).toMatch(/^([245])\d\d[ -]\1\.\d\.\d+ /)
    }
  })
})

describe('recipients', () => {
  it.each([
    ['a local user', 'jane@example.test', /^250 2\.1\.5/],
    ['with a box', 'jane+lists@example.test', /^250 2\.1\.5/],
    ['in other letters', 'JANE@EXAMPLE.TEST', /^250 2\.1\.5/],
    ['postmaster alone', 'postmaster', /^250 2\.1\.5/],
    ['an alias', 'sales@example.test', /^250 2\.1\.5/],
    ['somebody unknown', 'nobody@example.test', /^550 5\.1\.1 User unknown: nobody@example\.test$/],
    ['a relayed one, from the relay list', 'x@away.test', /^250 2\.1\.5/],
    ['nothing', '', /^501 5\.1\.3/],
  ])('%s', (_name, address, expected) => session([hello, mail, [`RCPT TO:<${address}>`, expected]]))

  it('relaying is refused to others', async () => {
    const other = await startTestReceiver({ settings: { general: { relayMode: 'none' } } })
    await session([hello, mail, ['RCPT TO:<x@away.test>', /^550 5\.7\.1 Relaying denied for x@away\.test$/]], other)
    expect(other.of('command.refused')[0]).toMatchObject({
      sender: 'sam@remote.test',
      recipient: 'x@away.test',
      verdict: { rule: 'relay', reason: 'relay-denied' },
    })
    await other.close()
  })

  it('past maxRecipients there is 452, and the others are kept', async () => {
    const other = await startTestReceiver({ settings: { advanced: { maxRecipients: 2 } } })
    await session([hello, mail, rcpt, rcpt, ['RCPT TO:<jane@example.test>', /^452 4\.5\.3 /], ['DATA', /^354 /]], other)
    await other.close()
  })

  it('an alias becomes its targets, each once', async () => {
    const client = await pastBanner({ port: receiver.port() })
    for (const line of [
      'EHLO c.test',
      'MAIL FROM:<sam@remote.test>',
      'RCPT TO:<sales@example.test>',
      'RCPT TO:<jane@example.test>',
      'DATA',
    ])
      await client.answer(line)
    client.write('x\r\n.\r\n')
    const id = (await client.text())?.split(' ').at(-1)
    const [stored] = (await receiver.stored()).filter(({ envelope }) => envelope.id === id)
    expect(stored?.envelope.recipients).toEqual([
      { address: 'jane@example.test', original: 'sales@example.test' },
      { address: 'sam@away.test', original: 'sales@example.test' },
    ])
    client.destroy()
  })
})

describe('DSN parameters', () => {
  it.each([
    ['NOTIFY=NEVER', /^250/],
    ['NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;jane+2Bbox@example.test', /^250/],
    ['NOTIFY=NEVER,SUCCESS', /^501 5\.5\.4 /],
    ['NOTIFY=SUCCESS,SUCCESS', /^501 5\.5\.4 /],
    ['NOTIFY', /^501 5\.5\.4 /],
    ['ORCPT=jane@example.test', /^501 5\.5\.4 /],
    ['ORCPT=rfc822;a+0D+0Ab', /^501 5\.5\.4 /],
    ['RET=FULL', /^555 5\.5\.4 /],
  ])('RCPT %s', (parameters, expected) =>
    session([hello, mail, [`RCPT TO:<jane@example.test> ${parameters}`, expected]]),
  )

  it('are in the envelope', async () => {
    const client = await pastBanner({ port: receiver.port() })
    for (const line of [
      'EHLO c.test',
      'MAIL FROM:<sam@remote.test> RET=HDRS ENVID=QQ+2B1',
      'RCPT TO:<jane@example.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;jane+2Bbox@example.test',
      'DATA',
    ])
      expect(await client.answer(line)).toMatch(/^[23]/)
    client.write('x\r\n.\r\n')
    const id = (await client.text())?.split(' ').at(-1)
    const stored = (await receiver.stored()).find(({ envelope }) => envelope.id === id)
    expect(stored?.envelope).toMatchObject({
      ret: 'hdrs',
      envid: 'QQ+1',
      recipients: [{ notify: ['success', 'failure'], orcpt: 'rfc822;jane+box@example.test' }],
    })
    client.destroy()
  })
})

describe('rules of the connection', () => {
  it('Control Access refuses at connect, and closes', async () => {
    const other = await startTestReceiver({ rows: [entry('control-access', '127.0.0.9')] })
    const refused = await connect({ port: other.port(), from: '127.0.0.9' })
    expect(await refused.untilClosed()).toBe('554 5.7.1 Access denied for 127.0.0.9\r\n')
    const taken = await connect({ port: other.port() })
    expect(await taken.text()).toMatch(/^220 /)
    expect(other.of('session.refused')[0]).toMatchObject({
      client: { ip: '127.0.0.9' },
      verdict: { rule: 'control-access' },
    })
    taken.destroy()
    await other.close()
  })

  it('the Kill File refuses the sender', async () => {
    const other = await startTestReceiver({ rows: [entry('kill', '@*spam.test')] })
    await session([hello, ['MAIL FROM:<x@my-spam.test>', /^501 5\.7\.1 unacceptable mail address$/], mail], other)
    await other.close()
  })

  it('counts sessions, in all and for an address', async () => {
    const other = await startTestReceiver({ settings: { advanced: { maxThreads: 3, maxConnectionsPerAddress: 2 } } })
    const open = [await pastBanner({ port: other.port() }), await pastBanner({ port: other.port() })]
    const third = await connect({ port: other.port() })
    expect(await third.untilClosed()).toMatch(/^421 4\.7\.0 /)
    open.push(await pastBanner({ port: other.port(), from: '127.0.0.2' }))
    const last = await connect({ port: other.port(), from: '127.0.0.3' })
    expect(await last.untilClosed()).toMatch(/^421 4\.3\.2 /)
    for (const client of open) client.destroy()
    await expect.poll(() => other.service.status().sessions).toBe(0)
    const again = await connect({ port: other.port() })
    expect(await again.text()).toMatch(/^220/)
    again.destroy()
    await other.close()
  })
})

describe('settings while sessions are open', () => {
  it('a transaction keeps the policy it had at MAIL; the next one has the new one', async () => {
    const other = await startTestReceiver()
    const client = await pastBanner({ port: other.port() })
    await client.answer('EHLO c.test')
    await client.answer('MAIL FROM:<x@spam.test>')
    await other.apply({ settings: { general: { relayMode: 'none' } }, rows: [entry('kill', '@spam.test')] })
    expect(await client.answer('RCPT TO:<x@away.test>')).toMatch(/^250/)
    await client.answer('DATA')
    client.write('x\r\n.\r\n')
    expect(await client.text()).toMatch(/^250 2\.0\.0 /)
    expect(await client.answer('MAIL FROM:<x@spam.test>')).toMatch(/^501 5\.7\.1/)
    expect(other.of('message.accepted')[0]?.revision).toBe(1)
    client.destroy()
    await other.close()
  })
})

describe('VRFY and EXPN', () => {
  it('confirm nothing at first', () =>
    session([
      ['VRFY jane@example.test', /^252 2\.1\.5 /],
      ['EXPN all@example.test', /^502 5\.5\.1 /],
    ]))
  it('answer when switched on', async () => {
    const other = await startTestReceiver({
      settings: { security: { disableVrfy: false, disableExpn: false } },
      rows: [
        {
          kind: 'group',
          id: 'g1',
          value: { address: 'all@example.test', members: ['jane@example.test', 'x@away.test'] },
        },
      ],
    })
    await session(
      [
        ['VRFY jane@example.test', /^250 2\.1\.5 <jane@example\.test>$/],
        ['VRFY <nobody@example.test>', /^550 5\.1\.1 /],
        ['EXPN all@example.test', /^250-2\.1\.5 <jane@example\.test>\r\n250 2\.1\.5 <x@away\.test>$/],
      ],
      other,
    )
    await other.close()
  })
})

describe('size', () => {
  it('what is too large is consumed, refused, and the session lives', async () => {
    const other = await startTestReceiver({ settings: { general: { maxMessageBytes: 10_000 } } })
    const client = await pastBanner({ port: other.port() })
    expect(await client.send(`${'x'.repeat(98)}\r\n`.repeat(100))).toMatch(/^250 /)
    expect(await client.send(`${'x'.repeat(98)}\r\n`.repeat(5000))).toBe('552 5.3.4 Message exceeds 10000 bytes')
    expect(await client.answer('MAIL FROM:<a@b.test> SIZE=10001')).toMatch(/^552 5\.3\.4/)
    expect(await client.send('small\r\n')).toMatch(/^250 /)
    expect(await other.stored()).toHaveLength(2)
    client.destroy()
    await other.close()
  })
})

describe('loops', () => {
  it('too many Received fields are refused; those in the body do not count', async () => {
    const client = await pastBanner({ port: receiver.port() })
    expect(await client.send(`${'Received: by x\r\n'.repeat(200)}\r\nbody\r\n`)).toMatch(/^554 5\.4\.6 /)
    expect(await client.send(`Subject: x\r\n\r\n${'Received: by x\r\n'.repeat(200)}`)).toMatch(/^250 /)
    client.destroy()
  })
})

describe('the stored message', () => {
  it('has a Received field that nothing a stranger sent can leave', async () => {
    const client = await pastBanner({ port: receiver.port() })
    const reply = await client.send('Subject: trace\r\n\r\n..\r\n...\r\n.x\r\n')
    const id = reply?.split(' ').at(-1)
    const [stored] = (await receiver.stored()).filter(({ envelope }) => envelope.id === id)
    expect(stored?.body).toMatch(
      /^Received: from client\.test \(\[127\.0\.0\.1\]\)\r\n\tby mx\.test \(Postern\) with ESMTP id [0-9a-f-]{36}\r\n\tfor <jane@example\.test>;\r\n\t\w{3}, \d+ \w{3} \d{4} [\d:]{8} \+0000\r\nDate: [^\r]*\r\nMessage-ID: <[0-9a-f-]{36}@mx\.test>\r\nSubject: trace\r\n\r\n\.\r\n\.\.\r\nx\r\n$/,
    )
    expect(receiver.of('message.accepted').find(({ messageId }) => messageId === id)?.subject).toBe('trace')
    client.destroy()
  })

  it('pipelined: the whole of two messages in one packet, replies in order', async () => {
    const client = await pastBanner({ port: receiver.port() })
    const one = 'MAIL FROM:<sam@remote.test>\r\nRCPT TO:<jane@example.test>\r\nDATA\r\none\r\n.\r\n'
    client.write(`EHLO c.test\r\n${one}${one}QUIT\r\n`)
    const codes = (await client.untilClosed()).split('\r\n').filter((line) => /^\d{3} /.test(line))
    expect(codes.map((line) => line.slice(0, 3)).join(' ')).toBe('250 250 250 354 250 250 250 354 250 221')
  })
})
