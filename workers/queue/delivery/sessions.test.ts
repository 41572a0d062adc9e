import { afterEach, expect, test } from 'vitest'
import { type Said, type Script, type ServerSession, TestServer } from '../test/server.ts'
import { Testbed, until } from '../test/testbed.ts'

/** A refusal on a connection that carried a message before is asked once more on a new one. */

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
})

async function flow(script: Script, { count = 40, queue = {} }: { count?: number; queue?: object } = {}) {
  const remote = await TestServer.start(script)
  open.push(remote)
  const box = await Testbed.open({ domains: [{ name: 'a.test', route: remote.route }], queue })
  open.push(box)
  await box.queue.stopDeliveries()
  for (let i = 0; i < count; i++) await box.send([`u${i}@a.test`])
  await until('taken over', () => box.queue.status().jobs === count)
  box.queue.startDeliveries()
  return { remote, box }
}

const messages = ({ commands }: ServerSession) => commands.filter((line) => line.startsWith('MAIL')).length
/** Says this from the third message of a session on. */
const after2 = (verb: string, said: Said): Script => ({
  command: (line, session) => (line.startsWith(verb) && messages(session) > 2 ? said : undefined),
})

const limits: [string, Script][] = [
  ['452 at MAIL', after2('MAIL', '452 4.3.2 messages per session exceeded')],
  ['450 at MAIL', after2('MAIL', '450 4.7.1 too much mail')],
  ['421 at MAIL', after2('MAIL', '421 4.7.0 too many messages in this connection')],
  ['550 at MAIL', after2('MAIL', '550 5.7.0 too many messages in this session')],
  ['503 at MAIL', after2('MAIL', '503 5.5.1 bad sequence')],
  ['drop at MAIL', after2('MAIL', 'drop')],
  ['452 at RCPT', after2('RCPT', '452 4.5.3 too many recipients in this session')],
  ['421 at RCPT', after2('RCPT', '421 4.7.0 try again later')],
  ['554 at RCPT', after2('RCPT', '554 5.7.1 session limit')],
  ['drop at RCPT', after2('RCPT', 'drop')],
  ['451 at DATA', after2('DATA', '451 4.3.0 too many messages')],
  ['421 at DATA', after2('DATA', '421 4.3.0 too many messages')],
  ['421 at the end of data', { end: (session) => (messages(session) > 2 ? '421 4.7.0 too many messages' : undefined) }],
  ['452 at the end of data', { end: (session) => (messages(session) > 2 ? '452 4.5.3 too many messages' : undefined) }],
  ['451 at the end of data', { end: (session) => (messages(session) > 2 ? '451 4.7.1 enough for now' : undefined) }],
  [
    '421 at RSET',
    {
      command: (line, session) => {
        if (line === 'RSET') return '421 4.7.0 bye'
        return line.startsWith('MAIL') && messages(session) > 2 ? '450 4.7.0 enough' : undefined
      },
    },
  ],
]
for (const extensions of [['PIPELINING'], []]) {
  test.each(limits)(`%s after two messages of a session (${extensions}): no message waits`, async (_name, script) => {
    const { box, remote } = await flow({ ...script, extensions })
    await until('all', () => box.queue.counters.delivered === 40)
    expect(box.queue.counters).toMatchObject({ deferred: 0, bounced: 0 })
    expect(new Set(remote.received.map(({ recipients }) => recipients[0])).size).toBe(40)
  })
}

test('a limit that was met is kept to', async () => {
  const { box, remote } = await flow(after2('MAIL', '452 4.3.2 messages per session exceeded'), {
    queue: { perDomainConnections: 1 },
  })
  await until('all', () => box.queue.counters.delivered === 40)
  expect(remote.sessions.filter((session) => messages(session) > 2)).toHaveLength(1)
})

test('what the host repeats on a new connection counts, and is not asked for twice again', async () => {
  const refuses = (line: string) => (/^RCPT TO:<u([1-9]|[123]\d)@/.test(line) ? '550 5.1.1 no such user' : undefined)
  const { box, remote } = await flow({ command: refuses }, { queue: { perDomainConnections: 1 } })
  await until('all', () => box.queue.counters.bounced === 39)
  const asked = remote.sessions.flatMap(({ commands }) => commands.filter((line) => line.startsWith('RCPT')))
  expect(asked).toHaveLength(41)
  expect(box.of('delivery.bounced')[0]).toMatchObject({ reply: '550 5.1.1 no such user' })
})

test('so many recipients a session: the rest goes on new connections', async () => {
  const { box, remote } = await flow(
    {
      command: (line, session) => {
        const rcpts = session.commands.filter((each) => each.startsWith('RCPT')).length
        return line.startsWith('RCPT') && rcpts > 10 ? '452 4.5.3 too many recipients' : undefined
      },
    },
    { count: 0 },
  )
  await box.send(Array.from({ length: 35 }, (_, i) => `u${i}@a.test`))
  await until('all', () => box.queue.counters.delivered === 35)
  expect(box.queue.counters.deferred).toBe(0)
  expect(remote.received.map(({ recipients }) => recipients.length)).toEqual([10, 10, 10, 5])
})
