import { type SessionRecord, sessionRecordSchema } from '@postern/contract/session-facts.ts'
import { simulateSession } from '@postern/policy/simulate-session.ts'
import {
  authFacts,
  connectFacts,
  dataFacts,
  examplePolicy,
  faultFacts,
  mailFacts,
  noon,
  rcptFacts,
  sessionFacts,
} from '@postern/policy/test/example.ts'
import { describe, expect, test } from 'vitest'
import { startTestReceiver } from '../test/receiver-harness.ts'
import { pastBanner } from '../test/wire-client.ts'
import { SessionFactsRecorder } from './session-facts.ts'

function recorder() {
  const records: SessionRecord[] = []
  const times: number[] = []
  const made = new SessionFactsRecorder({
    record: (line, now) => {
      expect(line).not.toContain('\n')
      records.push(sessionRecordSchema.parse(JSON.parse(line)))
      times.push(now)
    },
  })
  return { made, records, times }
}

const hello = (argument: string) => ({ ...sessionFacts(), verb: 'EHLO' as const, argument })

describe('one record', () => {
  test('a session without any transaction', () => {
    const { made, records, times } = recorder()
    made.record('connect', connectFacts({ sessionsOpen: 3 }))
    made.record('hello', hello('client.test'))
    expect(records).toEqual([])
    made.close()
    expect(records).toEqual([{ now: noon, ip: '198.51.100.7', machine: 'mx1', sessionsOpen: 3, helo: 'client.test' }])
    expect(times).toEqual([noon])
    made.close()
    expect(records).toHaveLength(1)
  })

  test('a transaction, at its end, and none more for the session', () => {
    const { made, records, times } = recorder()
    made.record('connect', connectFacts())
    made.record('hello', hello('client.test'))
    made.record('auth', authFacts({ credentials: { login: 'ann', result: 'valid' } } as never))
    made.record('mail', mailFacts({ senderText: 'a@b.test', now: noon + 5 }))
    made.record('rcpt', rcptFacts({ recipientText: 'one@example.org' }))
    made.record('rcpt', rcptFacts({ recipientText: 'two@example.org' }))
    made.data(dataFacts({ size: 77, now: noon + 9 }))
    made.close()
    expect(records).toHaveLength(1)
    expect(records[0]).toMatchObject({
      helo: 'client.test',
      login: 'ann',
      mailFrom: 'a@b.test',
      rcptTo: ['one@example.org', 'two@example.org'],
      size: 77,
    })
    expect(times).toEqual([noon + 5])
  })

  test('each transaction of a session, one that came to no message too; nothing of one stands in the next', () => {
    const { made, records } = recorder()
    made.record('connect', connectFacts())
    made.record('mail', mailFacts({ senderText: 'first@b.test' }))
    made.record('rcpt', rcptFacts({ recipientText: 'one@example.org' }))
    made.record('mail', mailFacts({ senderText: 'second@b.test' }))
    made.record('rcpt', rcptFacts({ recipientText: 'two@example.org' }))
    made.data(dataFacts())
    made.record('mail', mailFacts({ senderText: '' }))
    made.close()
    expect(records.map(({ mailFrom, rcptTo, size }) => ({ mailFrom, rcptTo, size }))).toEqual([
      { mailFrom: 'first@b.test', rcptTo: ['one@example.org'], size: undefined },
      { mailFrom: 'second@b.test', rcptTo: ['two@example.org'], size: 1000 },
      { mailFrom: '', rcptTo: undefined, size: undefined },
    ])
  })

  test('a fault stands in the record that comes next, and only there', () => {
    const { made, records } = recorder()
    made.record('connect', connectFacts())
    made.record('mail', mailFacts())
    made.fault(faultFacts({ errors: 4, attempt: 'smuggling' }))
    made.data(dataFacts())
    made.fault(faultFacts({ errors: 5 }))
    made.close()
    expect(records.map(({ errors }) => errors)).toEqual([4, 5])
  })
})

describe('bounds', () => {
  test('as many recipients as a record has; the decisions see all of them', () => {
    const { made, records } = recorder()
    made.record('connect', connectFacts())
    made.record('mail', mailFacts())
    for (let i = 0; i < 1500; i++) made.record('rcpt', rcptFacts({ recipientText: `r${i}@example.org` }))
    made.data(dataFacts())
    expect(records[0]?.rcptTo).toHaveLength(1000)
    expect(records[0]?.rcptTo?.at(-1)).toBe('r999@example.org')
  })

  test('without a sink nothing is kept, and after the end nothing is recorded', () => {
    const off = new SessionFactsRecorder(undefined)
    off.record('connect', connectFacts())
    off.record('mail', mailFacts())
    for (let i = 0; i < 10; i++) off.record('rcpt', rcptFacts())
    off.data(dataFacts())
    expect(() => off.close()).not.toThrow()
    const { made, records } = recorder()
    made.record('connect', connectFacts())
    made.close()
    made.record('mail', mailFacts())
    made.data(dataFacts())
    made.close()
    expect(records).toHaveLength(1)
  })
})

describe('a live session', () => {
  async function recorded(lines: readonly string[], dictionary = {}): Promise<SessionRecord[]> {
    const records: SessionRecord[] = []
    const facts = { record: (line: string) => void records.push(sessionRecordSchema.parse(JSON.parse(line))) }
    const receiver = await startTestReceiver({ settings: { dictionary } }, { facts })
    const client = await pastBanner({ port: receiver.port() })
    for (const line of lines) await client.answer(line)
    client.destroy()
    await client.untilClosed()
    await receiver.close()
    return records
  }
  const decidedBy = (session: SessionRecord | undefined, dictionary = {}) =>
    simulateSession(session as SessionRecord, examplePolicy({ settings: { dictionary } })).map(
      ({ verdict }) => verdict.rule,
    )

  test('records the errors behind an error limit, so that the replay decides as the session did', async () => {
    const limits = { hardErrorLimit: 3, softErrorLimit: 0 }
    const [session, ...others] = await recorded(['NONSENSE', 'NONSENSE', 'NONSENSE'], limits)
    expect(others).toEqual([])
    expect(session).toMatchObject({ errors: 3 })
    expect(decidedBy(session, limits)).toContain('hard-error-limit')
    expect(decidedBy(session, { ...limits, hardErrorLimit: 4 })).not.toContain('hard-error-limit')
  })

  test('records errors and unknown recipients where no limit is set, so that a draft with a limit can be replayed', async () => {
    const off = { hardErrorLimit: 0, softErrorLimit: 0, maxInvalidRecipients: 0 }
    const mail = ['EHLO client.test', 'MAIL FROM:<sam@remote.test>']
    const [session] = await recorded([...mail, 'RCPT TO:<nobody@example.test>', 'RCPT TO:<none@example.test>'], off)
    expect(session).toMatchObject({ errors: 2, invalidRecipients: 2 })
    expect(decidedBy(session, { ...off, maxInvalidRecipients: 2 })).toContain('invalid-recipients')
  })

  test('records a hack attempt, whatever error follows it', async () => {
    const [session] = await recorded(['NONSENSE', '\x01\x01\x01\x01\x01\x01\x01\x01\x01', 'NONSENSE'])
    expect(session).toMatchObject({ attempt: 'binary-noise' })
    expect(decidedBy(session)).toContain('hack-attempt')
  })
})
