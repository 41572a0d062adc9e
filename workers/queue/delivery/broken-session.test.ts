import { afterEach, describe, expect, test } from 'vitest'
import { defaultTimeouts } from '../client/connect-options.ts'
import { type Script, TestServer } from '../test/server.ts'
import { Testbed, until } from '../test/testbed.ts'

/** Each reply is a recipient's, whatever becomes of the connection after it (RFC 2033 §4.2, RFC 5321 §3.3). */

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
})

/** Long enough for a loaded machine; a test that waits for silence says so. */
const calm = {
  ...defaultTimeouts,
  connect: 20_000,
  greeting: 20_000,
  command: 20_000,
  data: 20_000,
  block: 20_000,
  end: 20_000,
}

async function toServer(
  script: Script,
  { wait = calm, queue = {} }: { wait?: typeof defaultTimeouts; queue?: object } = {},
) {
  const remote = await TestServer.start(script)
  open.push(remote)
  const rows = { domains: [{ name: 'a.test', route: remote.route }], queue }
  const box = await Testbed.open(rows, { timeouts: wait })
  open.push(box)
  return { remote, box }
}

const users = (count: number) => Array.from({ length: count }, (_, i) => `u${i}@a.test`)
const rcpt = (user: string, said: string) => (line: string) => (line.startsWith(`RCPT TO:<${user}@`) ? said : undefined)

/** What became of each recipient, by name. */
function outcomes(box: Testbed): Record<string, string[]> {
  const all: Record<string, string[]> = {}
  for (const kind of ['delivered', 'deferred', 'bounced'] as const)
    for (const event of box.of(`delivery.${kind}`))
      for (const to of event.recipients as string[]) {
        const user = to.split('@')[0] as string
        all[user] = [...(all[user] ?? []), kind]
      }
  return all
}

const settled = (box: Testbed, count: number) =>
  until('every recipient has an outcome', () => Object.values(outcomes(box)).flat().length === count, 60_000)

describe('LMTP', () => {
  const lmtp = (end: Script['end'] & {}): Script => ({ lmtp: true, end })

  test('250, 452 and then the end: delivered, deferred, deferred, and nobody twice', async () => {
    const { box, remote } = await toServer(lmtp(() => ['250 2.1.5 kept', '452 4.2.2 full', 'drop']))
    await box.send(users(3))
    await settled(box, 3)
    expect(outcomes(box)).toEqual({ u0: ['delivered'], u1: ['deferred'], u2: ['deferred'] })
    expect(box.of('delivery.deferred').find(({ recipients }) => String(recipients) === 'u1@a.test')).toMatchObject({
      reply: '452 4.2.2 full',
      cause: 'mailbox-full',
    })
    expect(remote.received).toHaveLength(1)
  })

  test.each<[string, string[], Record<string, string[]>]>([
    ['a refusal for good counts', ['550 5.1.1 no', 'drop'], { u0: ['bounced'], u1: ['deferred'], u2: ['deferred'] }],
    [
      'words that are no reply, in the same segment',
      ['250 2.1.5 kept\r\nwhat?', 'drop'],
      { u0: ['delivered'], u1: ['deferred'], u2: ['deferred'] },
    ],
    [
      'half a reply',
      ['250 2.1.5 kept\r\n250-2.1.5 ke', 'drop'],
      { u0: ['delivered'], u1: ['deferred'], u2: ['deferred'] },
    ],
    [
      '421 answers one and ends the session',
      ['250 2.1.5 kept', '421 4.3.2 going down', 'drop'],
      { u0: ['delivered'], u1: ['deferred'], u2: ['deferred'] },
    ],
    [
      'all answered, then it closes',
      ['250 2.1.5 kept', '250 2.1.5 kept', '250 2.1.5 kept', 'drop'],
      { u0: ['delivered'], u1: ['delivered'], u2: ['delivered'] },
    ],
  ])('%s', async (_name, said, expected) => {
    const { box } = await toServer(lmtp(() => said))
    await box.send(users(3))
    await settled(box, 3)
    expect(outcomes(box)).toEqual(expected)
  })

  test('one reply never comes: the others keep theirs', async () => {
    const { box } = await toServer(
      lmtp(() => ['250 2.1.5 kept', '250 2.1.5 kept']),
      { wait: { ...calm, end: 1500 } },
    )
    await box.send(users(3))
    await settled(box, 3)
    expect(outcomes(box)).toEqual({ u0: ['delivered'], u1: ['delivered'], u2: ['deferred'] })
  })

  test('a server that takes its time for each recipient is waited for, recipient after recipient', async () => {
    const { box } = await toServer({ lmtp: true, endPauseMs: 800 }, { wait: { ...calm, end: 2000 } })
    await box.send(users(4))
    await settled(box, 4)
    expect(box.queue.counters.delivered).toBe(4)
  })
})

describe('SMTP', () => {
  const some = (said: string, after: string): Script['command'] => {
    return (line) => rcpt('u1', said)(line) ?? (line.startsWith(after) ? 'drop' : undefined)
  }

  describe.each([true, false])('PIPELINING %s', (pipelining) => {
    const extensions = pipelining ? ['PIPELINING'] : []

    test.each<[string, Script, Record<string, string[]>]>([
      [
        'a refusal of RCPT counts when the connection ends at DATA',
        { command: some('550 5.1.1 no', 'DATA') },
        { u0: ['deferred'], u1: ['bounced'], u2: ['deferred'] },
      ],
      [
        'a refusal of RCPT counts when the connection ends at a later RCPT',
        { command: some('550 5.1.1 no', 'RCPT TO:<u2@') },
        { u0: ['deferred'], u1: ['bounced'], u2: ['deferred'] },
      ],
      [
        'a refusal of RCPT counts when the connection ends after the dot',
        { command: rcpt('u1', '550 5.1.1 no'), end: () => 'drop' },
        { u0: ['deferred'], u1: ['bounced'], u2: ['deferred'] },
      ],
      [
        'who was refused for now and who had no answer wait with their own words',
        { command: some('450 4.2.1 busy', 'DATA') },
        { u0: ['deferred'], u1: ['deferred'], u2: ['deferred'] },
      ],
      [
        'nobody is taken, 354 all the same, and the connection ends',
        {
          command: (line) => (line.startsWith('RCPT') ? '550 5.1.1 no' : line === 'DATA' ? '354 go' : undefined),
          end: () => 'drop',
        },
        { u0: ['bounced'], u1: ['bounced'], u2: ['bounced'] },
      ],
    ])('%s', async (_name, script, expected) => {
      const { box } = await toServer({ ...script, extensions })
      await box.send(users(3))
      await settled(box, 3)
      expect(outcomes(box)).toEqual(expected)
      for (const { reply, recipients } of box.of('delivery.deferred'))
        if (!(recipients as string[]).includes('u1@a.test')) expect(reply).not.toContain('550')
    })
  })

  test('a reused connection that breaks after it refused one: the others are asked at once on a new one', async () => {
    const { box, remote } = await toServer({})
    await box.send(['first@a.test'])
    await until('first', () => box.queue.counters.delivered === 1, 60_000)
    remote.script = {
      command: (line, { number }) =>
        rcpt('u1', '550 5.1.1 no')(line) ?? (number === 0 && line === 'DATA' ? 'drop' : undefined),
    }
    await box.send(users(3))
    await settled(box, 4)
    expect(outcomes(box)).toEqual({ first: ['delivered'], u0: ['delivered'], u1: ['bounced'], u2: ['delivered'] })
    expect(remote.received.at(-1)?.recipients).toEqual(['u0@a.test', 'u2@a.test'])
  })
})

describe('too many recipients (RFC 5321 §4.5.3.1.10)', () => {
  const atMost = (most: number, said: string): Script => {
    let taken = 0
    return {
      command: (line, session) => {
        if (line.startsWith('MAIL')) taken = 0
        if (!line.startsWith('RCPT') || ++taken <= most) return undefined
        session.rcpts.push(line)
        return said
      },
    }
  }

  test.each([
    '452 4.5.3 too many recipients',
    '452 too many recipients',
    '552 5.5.3 too many recipients',
    '552 too many recipients',
    '552 4.5.3 too many recipients',
    '451 4.5.3 too many recipients',
    '550 5.5.3 too many recipients',
    '552 5.5.3',
  ])('%s: the rest goes in the next transaction', async (said) => {
    const { box, remote } = await toServer(atMost(3, said))
    await box.send(users(7))
    await settled(box, 7)
    expect(remote.received.map(({ recipients }) => recipients.length)).toEqual([3, 3, 1])
    expect(box.queue.counters).toMatchObject({ delivered: 7, bounced: 0, deferred: 0 })
  })

  test('552 5.2.2 is about the mailbox', async () => {
    const { box } = await toServer({ command: rcpt('u1', '552 5.2.2 over quota') })
    await box.send(users(3))
    await settled(box, 3)
    expect(outcomes(box)).toEqual({ u0: ['delivered'], u1: ['bounced'], u2: ['delivered'] })
  })

  test('552 without enhanced code for one of several is asked again alone, and believed then', async () => {
    const { box } = await toServer({ command: rcpt('u1', '552 mailbox full') })
    await box.send(users(3))
    await settled(box, 3)
    expect(outcomes(box)).toEqual({ u0: ['delivered'], u1: ['bounced'], u2: ['delivered'] })
  })

  test('552 5.5.3 for the first recipient is for now', async () => {
    const { box } = await toServer(atMost(0, '552 5.5.3 too many recipients for this hour'))
    await box.send(users(1))
    await settled(box, 1)
    expect(outcomes(box)).toEqual({ u0: ['deferred'] })
  })

  test('a server that closes after each message is asked again while it takes some', async () => {
    const script = atMost(2, '452 4.5.3 too many')
    const { box, remote } = await toServer({ ...script, end: () => ['250 2.0.0 taken', 'drop'] })
    await box.send(users(5))
    await settled(box, 5)
    expect(box.queue.counters).toMatchObject({ delivered: 5, deferred: 0 })
    expect(remote.sessions).toHaveLength(3)
  })
})

describe('LIMITS (RFC 9422)', () => {
  test('RCPTMAX: no more recipients in one transaction', async () => {
    const { box, remote } = await toServer({ extensions: ['PIPELINING', 'LIMITS RCPTMAX=3 OTHER=1'] })
    await box.send(users(7))
    await settled(box, 7)
    expect(remote.received.map(({ recipients }) => recipients.length)).toEqual([3, 3, 1])
  })

  test('MAILMAX: no more transactions in one session', async () => {
    const one = { perDomainConnections: 1 }
    const { box, remote } = await toServer(
      { extensions: ['PIPELINING', '8BITMIME', 'LIMITS MAILMAX=2'] },
      { queue: one },
    )
    for (const to of users(5)) await box.send([to])
    await settled(box, 5)
    const messages = remote.sessions.map(({ commands }) => commands.filter((line) => line.startsWith('MAIL')).length)
    expect(messages).toEqual([2, 2, 1])
  })
})
