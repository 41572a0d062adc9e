import { afterEach, describe, expect, test } from 'vitest'
import { defaultTimeouts } from '../client/connect-options.ts'
import { type Script, TestServer } from '../test/server.ts'
import { Testbed, until } from '../test/testbed.ts'

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
})

/** For servers that are silent. Elsewhere a loaded machine may take longer than this. */
const quick = { ...defaultTimeouts, connect: 1000, greeting: 300, command: 300, data: 300, block: 300, end: 300 }

async function toServer(script: Script, rows: object = {}, wait = defaultTimeouts) {
  const remote = await TestServer.start(script)
  open.push(remote)
  const box = await Testbed.open({ domains: [{ name: 'a.test', route: remote.route }], ...rows }, { timeouts: wait })
  open.push(box)
  return { remote, box }
}

describe('a server that goes wrong at any stage defers the mail, and nothing is lost', () => {
  const at = (verb: string, said: string) => ({ command: (line: string) => (line.startsWith(verb) ? said : undefined) })
  const cases: [string, Script][] = [
    ['drops at once', { greeting: 'drop' }],
    ['never greets', { greeting: 'silence' }],
    ['greets with 421', { greeting: '421 4.3.2 closing' }],
    ['greets with 554', { greeting: '554 5.7.1 go away' }],
    ['greets with HTTP', { greeting: 'HTTP/1.1 400 Bad Request' }],
    ['greets with a line of 10 000', { greeting: `220 ${'x'.repeat(10_000)}` }],
    ['refuses EHLO and HELO', { ehlo: '502 no', helo: '550 5.7.1 no' }],
    ['drops at EHLO', { ehlo: 'drop' }],
    ['drops at MAIL', at('MAIL', 'drop')],
    ['is silent at MAIL', at('MAIL', 'silence')],
    ['drops at RCPT', at('RCPT', 'drop')],
    ['drops at DATA', at('DATA', 'drop')],
    ['says nonsense at DATA', at('DATA', 'what?')],
    ['says 250 at DATA', at('DATA', '250 fine')],
    ['drops at the end', { end: () => 'drop' }],
    ['is silent at the end', { end: () => 'silence' }],
    ['says 451 at the end', { end: () => '451 4.3.0 disk' }],
    ['says 450 at MAIL', at('MAIL', '450 4.7.1 greylisted')],
    ['says 450 at RCPT', at('RCPT', '450 4.7.1 greylisted')],
    ['says 421 at RCPT', at('RCPT', '421 4.3.2 closing')],
    [
      'says 354 to nobody',
      { command: (line) => (line.startsWith('RCPT') ? '450 no' : line === 'DATA' ? '354 go' : undefined) },
    ],
  ]
  for (const pipelining of [true, false]) {
    test.each(cases)(`%s (${pipelining ? 'with' : 'without'} PIPELINING)`, async (_name, script) => {
      const { box } = await toServer({ ...script, extensions: pipelining ? ['PIPELINING'] : [] }, {}, quick)
      const id = await box.send(['jane@a.test'])
      await until('deferred', () => box.of('delivery.deferred', id).length === 1)
      expect(box.of('delivery.deferred', id)[0]).toMatchObject({ recipients: ['jane@a.test'], attempt: 1 })
      await box.queue.indexWriter.flush()
      expect(box.queue.status().waiting.byState).toEqual({ active: 0, deferred: 1, held: 0 })
    })
  }
})

test('recipients have their own outcomes', async () => {
  const { box, remote } = await toServer({
    command: (line) =>
      line.includes('no@')
        ? '550 5.1.1 unknown'
        : line.includes('later@')
          ? '450-4.2.1 busy\r\n450 4.2.1 later'
          : undefined,
  })
  const id = await box.send(['yes@a.test', 'no@a.test', 'later@a.test'])
  await until('all three', () =>
    ['delivered', 'bounced', 'deferred'].every((kind) => box.of(`delivery.${kind}` as never, id).length === 1),
  )
  expect(remote.received[0]?.recipients).toEqual(['yes@a.test'])
  expect(box.of('delivery.bounced')[0]).toMatchObject({
    recipients: ['no@a.test'],
    status: '5.1.1',
    reply: '550 5.1.1 unknown',
  })
  expect(box.of('delivery.deferred')[0]).toMatchObject({
    recipients: ['later@a.test'],
    reply: '450-4.2.1 busy\n450 4.2.1 later',
  })
})

test('452 too many recipients: the rest goes in the next transaction', async () => {
  let taken = 0
  const { box, remote } = await toServer({
    command: (line) => {
      if (line.startsWith('MAIL')) taken = 0
      return line.startsWith('RCPT') && ++taken > 3 ? '452 4.5.3 too many' : undefined
    },
  })
  await box.send(Array.from({ length: 10 }, (_, i) => `u${i}@a.test`))
  await until('all', () => box.queue.counters.delivered === 10)
  expect(remote.received.map(({ recipients }) => recipients.length)).toEqual([3, 3, 3, 1])
  expect(remote.sessions).toHaveLength(1)
})

test('LMTP: one reply a recipient', async () => {
  const { box } = await toServer({
    lmtp: true,
    end: (session) =>
      session.recipients.map((to) => (to.startsWith('full') ? '552 5.2.2 over quota' : '250 2.1.5 kept')) as never,
  })
  const id = await box.send(['jane@a.test', 'full@a.test'])
  await until('both', () => box.of('delivery.delivered', id).length + box.of('delivery.bounced', id).length === 2)
  expect(box.of('delivery.bounced')[0]).toMatchObject({ recipients: ['full@a.test'], status: '5.2.2' })
})

test('a reused connection that died meanwhile costs no try', async () => {
  const { box, remote } = await toServer({})
  await box.send(['jane@a.test'])
  await until('first', () => box.queue.counters.delivered === 1)
  remote.script = { command: (line, session) => (session.number === 0 && line.startsWith('MAIL') ? 'drop' : undefined) }
  const id = await box.send(['joe@a.test'])
  await until('second', () => box.of('delivery.delivered', id).length === 1)
  expect(box.of('delivery.delivered', id)[0]).toMatchObject({ attempt: 1 })
  expect(remote.sessions).toHaveLength(2)
})

test('connections end after so many messages, and reuse can be switched off while mail flows', async () => {
  const { box, remote } = await toServer({}, { queue: { maxMessagesPerConnection: 3, perDomainConnections: 1 } })
  for (let i = 0; i < 7; i++) await box.send([`u${i}@a.test`])
  await until('seven', () => box.queue.counters.delivered === 7)
  const messages = () =>
    remote.sessions.map(({ commands }) => commands.filter((line) => line.startsWith('MAIL')).length)
  expect(messages()).toEqual([3, 3, 1])
  box.apply({ queue: { reuseConnections: false } })
  for (let i = 0; i < 2; i++) await box.send([`v${i}@a.test`])
  await until('nine', () => box.queue.counters.delivered === 9)
  // Not even the connection that was open when it was switched off is used again.
  expect(messages()).toEqual([3, 3, 1, 1, 1])
})

test('SIZE (RFC 1870), 8BITMIME (RFC 6152), SMTPUTF8 (RFC 6531)', async () => {
  const { box, remote } = await toServer({ extensions: ['SIZE 1000'] })
  const large = await box.send(['a@a.test'], { text: `Subject: x\r\n\r\n${'y'.repeat(2000)}\r\n` })
  const utf8 = await box.send(['b@a.test'], { smtpUtf8: true, text: 'Subject: \u00e4\r\n\r\nx\r\n' })
  const eight = await box.send(['c@a.test'], { body: '8bitmime', text: 'Subject: x\r\n\r\nä\r\n' })
  await until('two bounces', () => box.of('delivery.bounced').length === 2)
  expect(box.of('delivery.bounced', large)[0]).toMatchObject({ status: '5.3.4' })
  expect(box.of('delivery.bounced', utf8)[0]).toMatchObject({ status: '5.6.7' })
  await until('8 bit', () => box.of('delivery.delivered', eight).length === 1)
  expect(remote.received[0]?.mail).toMatch(/^MAIL FROM:<sender@sender.test> SIZE=\d+$/)
})

test('a large message is streamed', async () => {
  const { box, remote } = await toServer({})
  const text = `Subject: x\r\n\r\n${'.line of text that is about eighty bytes long, with a dot at its beginning....\r\n'.repeat(40_000)}`
  await box.send(['a@a.test'], { text })
  await until('delivered', () => box.queue.counters.delivered === 1, 20_000)
  expect(remote.received[0]?.data === text).toBe(true)
})

test('DSN parameters are passed on where DSN is offered, each recipient its own', async () => {
  const { box, remote } = await toServer({ extensions: ['PIPELINING', 'DSN'] })
  await box.send(
    [
      { address: 'a@a.test', notify: ['success', 'failure'], orcpt: 'rfc822;o+x@a.test' },
      { address: 'b@a.test', notify: ['never'] },
    ],
    { ret: 'hdrs', envid: 'QQ=1' },
  )
  await until('delivered', () => box.queue.counters.delivered === 2)
  expect(remote.received[0]?.mail).toBe('MAIL FROM:<sender@sender.test> RET=HDRS ENVID=QQ+3D1')
  expect(remote.received[0]?.rcpts).toEqual([
    'RCPT TO:<a@a.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;o+2Bx@a.test',
    'RCPT TO:<b@a.test> NOTIFY=NEVER',
  ])
  expect(box.of('dsn.written')).toEqual([])
})

test('a host that is dead is not asked again for every message', async () => {
  const gone = await TestServer.start()
  const route = gone.route
  await gone.close()
  const box = await Testbed.open({ domains: [{ name: 'a.test', route }] }, { timeouts: quick })
  open.push(box)
  for (let i = 0; i < 50; i++) await box.send([`u${i}@a.test`])
  await until('all deferred', () => box.queue.counters.deferred === 50)
  expect(box.of('delivery.deferred')[49]).toMatchObject({ cause: 'cannot-connect' })
})

describe('an envelope that goes out with the body before it', () => {
  const one = { queue: { perDomainConnections: 1 } }
  const flow = async (script: Script, count = 30) => {
    const { box, remote } = await toServer(script, one)
    await box.queue.stopDeliveries()
    for (let i = 0; i < count; i++) await box.send([`u${i}@a.test`], { text: `Subject: ${i}\r\n\r\n.${i}\r\n` })
    await until('taken over', () => box.queue.status().jobs === count)
    box.queue.startDeliveries()
    return { box, remote }
  }

  test('each message arrives once, whole, in its own transaction', async () => {
    const { box, remote } = await flow({})
    await until('all', () => box.queue.counters.delivered === 30)
    expect(remote.received.map(({ recipients, data }) => [recipients, data])).toEqual(
      Array.from({ length: 30 }, (_, i) => [[`u${i}@a.test`], `Subject: ${i}\r\n\r\n.${i}\r\n`]),
    )
    expect(remote.sessions).toHaveLength(1)
  })

  test('refusals of a body, an envelope, a recipient concern that message alone', async () => {
    const { box } = await flow({
      // On a new connection, too: the first refusal may have been about the session.
      end: ({ commands }) =>
        commands.findLast((line) => line.startsWith('RCPT'))?.includes('u4@') ? '451 4.3.0 later' : undefined,
      command: (line) =>
        line.includes('u7@') && line.startsWith('RCPT')
          ? '550 5.1.1 no'
          : line.includes('u9@') && line.startsWith('RCPT')
            ? '450 4.2.1 busy'
            : undefined,
    })
    await until(
      'all',
      () =>
        box.queue.counters.delivered >= 27 &&
        box.of('delivery.bounced').length === 1 &&
        box.queue.counters.deferred === 2,
    )
    expect(box.of('delivery.bounced')[0]).toMatchObject({ recipients: ['u7@a.test'] })
    expect(box.of('delivery.deferred').flatMap(({ recipients }) => recipients)).toEqual(['u4@a.test', 'u9@a.test'])
  })

  test('a server that loses it, or goes: nothing is lost and no try is used up', async () => {
    const { box } = await flow({
      // Forgets everything after the third body of its first session, as servers do that flush their input.
      command: (line, session) => {
        const messages = session.commands.filter((each) => each.startsWith('MAIL')).length
        if (session.number > 0 || messages <= 3) return undefined
        return line === 'DATA' ? 'drop' : 'silence'
      },
    })
    await until('all', () => box.queue.counters.delivered === 30)
    expect(box.of('delivery.delivered').every(({ attempt }) => attempt === 1)).toBe(true)
  })

  test('stopping delivers what has begun and no more', async () => {
    const { box, remote } = await flow({
      end: async () => void (await new Promise((resolve) => setTimeout(resolve, 20))) as never,
    })
    await until('some', () => box.queue.counters.delivered > 5)
    await box.queue.stopDeliveries()
    const after = remote.received.length
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(remote.received.length).toBe(after)
    expect(box.queue.counters.delivered).toBe(after)
    box.queue.startDeliveries()
    await until('all', () => box.queue.counters.delivered === 30)
    expect(remote.received).toHaveLength(30)
  })
})
