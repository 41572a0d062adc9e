import { type Session, sessionSchema } from '@postern/contract/session.ts'
import {
  authFacts,
  connectFacts,
  dataFacts,
  faultFacts,
  mailFacts,
  noon,
  rcptFacts,
  sessionFacts,
} from '@postern/policy/test/example.ts'
import { describe, expect, test } from 'vitest'
import { SessionFactsRecorder } from './session-facts.ts'

function recorder() {
  const records: Session[] = []
  const times: number[] = []
  const made = new SessionFactsRecorder({
    record: (line, now) => {
      expect(line).not.toContain('\n')
      records.push(sessionSchema.parse(JSON.parse(line)))
      times.push(now)
    },
  })
  return { made, records, times }
}

const hello = (argument: string) => ({ ...sessionFacts(), verb: 'EHLO' as const, argument })

test('what is given comes back as it is: the facts are those of the decision', () => {
  const { made } = recorder()
  const facts = connectFacts()
  expect(made.connect(facts)).toBe(facts)
  const to = rcptFacts()
  expect(made.rcpt(to)).toBe(to)
})

describe('one record', () => {
  test('a session without any transaction', () => {
    const { made, records, times } = recorder()
    made.connect(connectFacts({ sessionsOpen: 3 }))
    made.hello(hello('client.test'))
    expect(records).toEqual([])
    made.close()
    expect(records).toEqual([{ now: noon, ip: '198.51.100.7', machine: 'mx1', sessionsOpen: 3, helo: 'client.test' }])
    expect(times).toEqual([noon])
    made.close()
    expect(records).toHaveLength(1)
  })

  test('a transaction, at its end, and none more for the session', () => {
    const { made, records, times } = recorder()
    made.connect(connectFacts())
    made.hello(hello('client.test'))
    made.auth(authFacts({ credentials: { login: 'ann', result: 'valid' } } as never))
    made.mail(mailFacts({ senderText: 'a@b.test', now: noon + 5 }))
    made.rcpt(rcptFacts({ recipientText: 'one@example.org' }))
    made.rcpt(rcptFacts({ recipientText: 'two@example.org' }))
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
    made.connect(connectFacts())
    made.mail(mailFacts({ senderText: 'first@b.test' }))
    made.rcpt(rcptFacts({ recipientText: 'one@example.org' }))
    made.mail(mailFacts({ senderText: 'second@b.test' }))
    made.rcpt(rcptFacts({ recipientText: 'two@example.org' }))
    made.data(dataFacts())
    made.mail(mailFacts({ senderText: '' }))
    made.close()
    expect(records.map(({ mailFrom, rcptTo, size }) => ({ mailFrom, rcptTo, size }))).toEqual([
      { mailFrom: 'first@b.test', rcptTo: ['one@example.org'], size: undefined },
      { mailFrom: 'second@b.test', rcptTo: ['two@example.org'], size: 1000 },
      { mailFrom: '', rcptTo: undefined, size: undefined },
    ])
  })

  test('a fault stands in the record that comes next, and only there', () => {
    const { made, records } = recorder()
    made.connect(connectFacts())
    made.mail(mailFacts())
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
    made.connect(connectFacts())
    made.mail(mailFacts())
    for (let i = 0; i < 1500; i++) made.rcpt(rcptFacts({ recipientText: `r${i}@example.org` }))
    made.data(dataFacts())
    expect(records[0]?.rcptTo).toHaveLength(1000)
    expect(records[0]?.rcptTo?.at(-1)).toBe('r999@example.org')
  })

  test('without a sink nothing is kept, and after the end nothing is recorded', () => {
    const off = new SessionFactsRecorder(undefined)
    off.connect(connectFacts())
    off.mail(mailFacts())
    for (let i = 0; i < 10; i++) off.rcpt(rcptFacts())
    off.data(dataFacts())
    expect(() => off.close()).not.toThrow()
    const { made, records } = recorder()
    made.connect(connectFacts())
    made.close()
    made.mail(mailFacts())
    made.data(dataFacts())
    made.close()
    expect(records).toHaveLength(1)
  })
})
