import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ruleNames, ruleRow } from '@postern/contract/rules.ts'
import type { SessionRecord } from '@postern/contract/session-facts.ts'
import { recordOf } from '@postern/contract/session-facts.ts'
import { describe, expect, it } from 'vitest'
import type { Policy } from './policy.ts'
import { Replay } from './replay.ts'
import { simulateSession } from './simulate-session.ts'
import {
  authFacts,
  type Change,
  connectFacts,
  dataFacts,
  examplePolicy,
  mailFacts,
  noon,
  rcptFacts,
  sessionFacts,
} from './test/example.ts'

const whole = { examples: 5, since: noon - 1000, until: noon + 1000 }

function replay(sessions: SessionRecord[], before: Change, after: Change | Policy) {
  const replay = new Replay(examplePolicy(before), 'revision' in after ? after : examplePolicy(after), whole)
  for (const session of sessions) replay.line(JSON.stringify(session))
  return replay.result()
}

describe('a record', () => {
  const tls = { version: 'TLSv1.3', cipher: 'x' }
  const lookups = { helo: 'resolves', rates: { client: { connections: [1, 2] } } } as const

  it('holds what is not at its default, and nothing twice', () => {
    expect(recordOf({ connect: connectFacts(), rcpts: [] })).toEqual({ now: noon, ip: '198.51.100.7', machine: 'mx1' })
    const mail = mailFacts({ tls, login: 'jane@example.org', declaredSize: 12, lookups: { senderDomain: 'mail' } })
    const greylist = { firstSeen: 1, passed: false }
    const record = recordOf({
      connect: connectFacts({ sessionsOpen: 7, lookups: lookups as never }),
      hello: { ...sessionFacts(), verb: 'HELO', argument: 'client.example' },
      auth: authFacts({ mechanism: 'LOGIN', credentials: { login: 'jane', result: 'invalid' } }),
      mail,
      rcpts: [
        rcptFacts({ ...mail, lookups: { ...mail.lookups, greylist } as never }),
        rcptFacts({ ...mail, recipientText: 'bob@example.org' }),
      ],
      data: dataFacts({ ...mail, size: 99, bareLineFeeds: true, hops: 0 }),
    })
    expect(record).toEqual({
      now: noon,
      ip: '198.51.100.7',
      machine: 'mx1',
      sessionsOpen: 7,
      verb: 'HELO',
      helo: 'client.example',
      mechanism: 'LOGIN',
      login: 'jane',
      loginResult: 'invalid',
      tls,
      mailFrom: 'eve@remote.example',
      declaredSize: 12,
      rcptTo: [{ to: 'jane@example.org', lookups: { greylist } }, 'bob@example.org'],
      size: 99,
      bareLineFeeds: true,
      lookups: { ...lookups, senderDomain: 'mail' },
    })
  })

  it('leads to the same verdicts as the facts did', () => {
    const policy = examplePolicy({ settings: { general: { maxMessageBytes: 500 } } })
    const session = recordOf({
      connect: connectFacts(),
      hello: { ...sessionFacts(), verb: 'EHLO', argument: 'client.example' },
      mail: mailFacts(),
      rcpts: [rcptFacts({ recipientText: 'nobody@example.org' }), rcptFacts({ recipientsSoFar: 0 })],
      data: dataFacts(),
    })
    expect(simulateSession(session, policy).map(({ verdict }) => `${verdict.stage} ${verdict.rule}`)).toEqual([
      'connect accept',
      'hello accept',
      'mail accept',
      'rcpt unknown-recipient',
      'rcpt accept',
      'data message-size',
    ])
  })
})

describe('a replay', () => {
  const session: SessionRecord = {
    now: noon,
    ip: '198.51.100.7',
    helo: 'x',
    mailFrom: 'eve@remote.example',
    rcptTo: ['jane@example.org'],
    size: 9,
  }

  it('counts a change once, not what follows from it', () => {
    const denied = { lists: { 'control-access': ['198.51.100.7'] } }
    expect(replay([session, session], {}, denied)).toMatchObject({
      sessions: 2,
      changedSessions: 2,
      changedVerdicts: 2,
      changes: [
        { stage: 'connect', before: { rule: 'accept' }, after: { rule: 'control-access', close: true }, count: 2 },
      ],
    })
    expect(replay([session], denied, {}).changedVerdicts).toBe(1)
    expect(replay([session], denied, denied).changedVerdicts).toBe(0)
  })

  it('names a look-up that a rule of the draft asks for and that was not recorded', () => {
    const reject: Change = { settings: { security: { checkSenderDomain: 'reject', checkHelo: 'mark' } } }
    const recorded = { ...session, lookups: { senderDomain: 'none' as const } }
    expect(replay([session, session, recorded], {}, reject)).toMatchObject({
      notAnswerable: [{ rule: 'sender-domain', fact: 'senderDomain', sessions: 2 }],
      changes: [{ before: { rule: 'accept' }, after: { rule: 'sender-domain' }, count: 1 }],
    })
    expect(replay([session], {}, {}).notAnswerable).toEqual([])
    const failed = { ...session, lookups: { senderDomain: 'not-known' as const } }
    expect(replay([failed], {}, reject)).toMatchObject({ notAnswerable: [], changedVerdicts: 1 })
    const listed = { ...session, rcptTo: [{ to: 'jane@example.org', lookups: { greylist: 'not-known' as const } }] }
    const greylist: Change = { settings: { security: { greylist: { delaySeconds: 300, rememberDays: 35 } } } }
    expect(replay([session, listed], {}, greylist).notAnswerable).toMatchObject([{ rule: 'greylist', sessions: 1 }])
  })

  it('counts sessions and answers of which it does not know, by rule and once each', () => {
    const helo = { settings: { security: { checkHelo: 'reject', checkSenderDomain: 'reject' } } } as const
    const known = { ...session, lookups: { helo: 'resolves', senderDomain: 'mail' } as const }
    const result = replay([session, session, known], { settings: { security: { checkHelo: 'mark' } } }, helo)
    expect(result).toMatchObject({
      changedVerdicts: 0,
      notKnown: { sessions: 2, answers: 4 },
      notAnswerable: [
        { rule: 'helo', sessions: 2, answers: 2 },
        { rule: 'sender-domain', sessions: 2, answers: 2 },
      ],
    })
    expect(replay([known], {}, helo).notKnown).toEqual({ sessions: 0, answers: 0 })
  })

  it('does not know what part of a look-up holds that was not asked for then', () => {
    const zone = (name: string) => ({ zone: name, answer: '127.0.0.*', action: 'reject' as const })
    const lists: Change = { settings: { security: { dnsbl: [zone('old.test'), zone('new.test')] } } }
    const heard = (answers: 'not-known' | string[]) => ({
      ...session,
      lookups: { dnsbl: [{ zone: 'old.test', answers }] },
    })
    expect(replay([heard([])], {}, lists)).toMatchObject({ notAnswerable: [{ rule: 'dnsbl', sessions: 1 }] })
    const old: Change = { settings: { security: { dnsbl: [zone('old.test')] } } }
    expect(replay([heard('not-known')], {}, old).notAnswerable).toEqual([])
    const counted = { ...session, lookups: { rates: { client: { connections: [1, 1] as [number, number] } } } }
    const none = { connectionsPerMinute: 0, connectionsPerHour: 0, messagesPerHour: 0 }
    const perClient = { ...none, messagesPerMinute: 5, recipientsPerMinute: 0, recipientsPerHour: 0 }
    const rates: Change = { settings: { security: { ratesPerClient: perClient } } }
    expect(replay([counted], {}, rates)).toMatchObject({ notAnswerable: [{ rule: 'message-rate', sessions: 1 }] })
  })

  it('knows of each rule that reads a look-up which one', () => {
    const directory = join(import.meta.dirname, 'rules')
    const files = readdirSync(directory).filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
    const reading = files.flatMap((file) => {
      const text = readFileSync(join(directory, file), 'utf8')
      const read = [...text.matchAll(/lookups\??\.(?!ts\b)(\w+)/g)].map(([, key]) => key as string)
      if (/from '\.\.\/rates\.ts'/.test(text)) read.push('rates')
      const keys = new Set(read.filter((key) => key !== 'applicationTrouble'))
      expect([file, keys.size === 0 && /lookups/.test(text)]).toEqual([file, false])
      return [...text.matchAll(/: RuleCheck<'([\w-]+)'>/g)]
        .map(([, rule]) => [rule, ...keys])
        .filter((row) => row.length > 1)
    })
    const rows = ruleNames.flatMap((rule) => {
      const { reads } = ruleRow(rule)
      return reads ? [[rule, reads]] : []
    })
    expect(Object.fromEntries(reading)).toEqual(Object.fromEntries(rows))
  })

  it('leaves out lines it cannot read, and says how many', () => {
    const replay = new Replay(examplePolicy(), examplePolicy(), whole)
    for (const line of ['{"now":1,', '7', 'null', '{}']) replay.line(line)
    expect(replay.result()).toMatchObject({ unreadable: 4, sessions: 0 })
  })
})
