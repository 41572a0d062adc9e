import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { parseInput } from './input-errors.ts'
import type { SettingMeta } from './setting.ts'
import { defaultSettings, type SettingGroup, settingGroupNames, settingGroups } from './settings.ts'

/**
 * The catalogue once more, as it was ordered: default and limits of every key. A change of either is a change of what
 * administrators were promised, so it is made here too.
 */
type Row = { key: string; default: unknown; low?: number; high?: number; choices?: readonly unknown[] }
const number = (key: string, value: number, low: number, high: number): Row => ({ key, default: value, low, high })
const choice = (key: string, ...choices: [unknown, ...unknown[]]): Row => ({ key, default: choices[0], choices })
const onOff = (key: string, value: boolean): Row => ({ key, default: value, choices: [true, false] })
const other = (key: string, value: unknown): Row => ({ key, default: value })
const noRates = Object.fromEntries(
  ['connections', 'messages', 'recipients'].flatMap((what) => [
    [`${what}PerMinute`, 0],
    [`${what}PerHour`, 0],
  ]),
)

const catalogue: Record<SettingGroup, Row[]> = {
  general: [
    other('hostname', ''),
    choice('relayMode', 'addresses', 'none', 'localUsers', 'localHosts', 'anyone'),
    choice('verifySpf', 'mark', 'off', 'enforce'),
    choice('verifyDkim', 'mark', 'off', 'enforce'),
    choice('verifyDmarc', 'mark', 'off', 'enforce'),
    other('defaultMailHost', ''),
    other('postmaster', ''),
    other('gateway', 'off'),
    number('maxMessageBytes', 26_214_400, 0, 1024 ** 3),
  ],
  queue: [
    number('retryTimerMinutes', 30, 1, 1440),
    choice('retryBackoff', 'exponential', 'constant'),
    number('retryMaxMinutes', 240, 1, 1440),
    number('triesBeforeReturn', 20, 1, 100),
    number('delayWarningHours', 4, 0, 168),
    number('maxQueueHours', 120, 1, 336),
    number('deliveryThreads', 30, 5, 1000),
    number('retryThreads', 15, 2, 999),
    number('perDomainConnections', 5, 1, 100),
    number('perDomainPerMinute', 0, 0, 100_000),
    other('perDomain', []),
    onOff('reuseConnections', true),
    number('maxMessagesPerConnection', 100, 1, 10_000),
    choice('outboundTls', 'opportunistic', 'none', 'require'),
    other('dailyReport', ''),
  ],
  logging: [
    choice('destination', 'storage', 'none', 'syslog'),
    other('logServer', 'off'),
    choice('level', 'normal', 'off', 'verbose', 'debug'),
    number('retentionDays', 30, 1, 3650),
    choice('format', 'json', 'classic'),
  ],
  tls: [
    onOff('starttls', true),
    onOff('implicitTls', false),
    number('implicitTlsPort', 465, 1, 65_535),
    choice('requireTls', 'submission', 'no', 'all'),
    choice('minVersion', '1.2', '1.3'),
  ],
  harvesting: [
    onOff('enabled', true),
    number('maxFailedLogins', 5, 1, 1000),
    number('withinMinutes', 10, 1, 1440),
    number('blockMinutes', 30, 1, 43_200),
  ],
  dictionary: [
    number('softErrorLimit', 0, 0, 1000),
    number('softErrorDelaySeconds', 0, 0, 60),
    number('hardErrorLimit', 0, 0, 1000),
    number('maxInvalidRecipients', 0, 0, 1000),
    number('windowMinutes', 0, 0, 1440),
    number('blockMinutes', 0, 0, 43_200),
  ],
  security: [
    choice('defaultAccess', 'granted', 'denied'),
    onOff('disableVrfy', true),
    onOff('disableExpn', true),
    onOff('allowRemoteMailToGroups', true),
    onOff('allowRemoteViewOfGroups', false),
    onOff('autoDenyHackAttempts', true),
    number('autoDenyMinutes', 60, 1, 43_200),
    choice('checkSenderDomain', 'mark', 'off', 'reject'),
    choice('checkHelo', 'mark', 'off', 'reject'),
    choice('checkReverseDns', 'mark', 'off', 'reject'),
    other('dnsbl', []),
    number('greetingDelaySeconds', 0, 0, 30),
    other('greylist', 'off'),
    onOff('requireAuthForLocalSenders', false),
    onOff('senderMustMatchLogin', false),
    other('ratesPerClient', noRates),
    other('ratesPerLogin', noRates),
    other('watch', []),
  ],
  advanced: [
    number('maxRecipients', 1000, 0, 50_000),
    number('recipientDelayMs', 0, 0, 10_000),
    number('port', 25, 1, 65_535),
    number('submissionPort', 587, 1, 65_535),
    other('extraPorts', []),
    number('minThreads', 2, 1, 1000),
    number('maxThreads', 10_000, 1, 1_000_000),
    number('maxConnectionsPerAddress', 50, 0, 1_000_000),
    other('mailboxDelimiter', '+'),
    other('hostDelimiters', ''),
    other('deliveryApplication', 'off'),
    other('helloMessage', ''),
    onOff('disableAuth', false),
    other('authMechanisms', ['PLAIN', 'LOGIN']),
    other('oauth', 'off'),
    onOff('allowPlainWithoutTls', false),
    choice('bareLineFeeds', 'reject', 'normalize'),
    other('proxyProtocol', []),
    number('commandTimeoutSeconds', 300, 1, 3600),
    number('dataTimeoutSeconds', 600, 1, 7200),
    number('drainTimeoutSeconds', 30, 1, 3600),
  ],
}

/** Values that need another key to agree with them. */
const companions: Record<string, object> = {
  deliveryThreads: { retryThreads: 2 },
  retryThreads: { deliveryThreads: 1000 },
  softErrorLimit: { hardErrorLimit: 1000 },
}

function issuesOf(group: SettingGroup, input: unknown): { path: string; message: string }[] {
  const result = parseInput(settingGroups[group].schema, input)
  return 'issues' in result ? result.issues : []
}

function metaOf(group: SettingGroup, key: string): SettingMeta {
  const { schema } = settingGroups[group]
  const { properties } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' })
  return (properties?.[key] ?? {}) as unknown as SettingMeta
}

describe.each(settingGroupNames)('settings %s', (group) => {
  const rows = catalogue[group]

  it('has the keys and defaults of the catalogue', () => {
    expect(defaultSettings()[group]).toEqual(Object.fromEntries(rows.map((row) => [row.key, row.default])))
    expect(Object.keys(settingGroups[group].schema.shape)).toEqual(rows.map(({ key }) => key))
  })

  it('describes every key', () => {
    for (const { key } of rows) {
      const { title, help } = metaOf(group, key)
      expect([key, typeof title, typeof help]).toEqual([key, 'string', 'string'])
      expect(help.endsWith('.')).toBe(true)
    }
  })

  it('has a JSON Schema in both directions', () => {
    for (const io of ['input', 'output'] as const) {
      const schema = z.toJSONSchema(settingGroups[group].schema, { io, unrepresentable: 'any' })
      expect(Object.keys(schema.properties ?? {})).toEqual(rows.map(({ key }) => key))
      expect(schema.additionalProperties).toBe(false)
    }
  })

  it('refuses unknown keys and says which there are', () => {
    const [issue] = issuesOf(group, { notAKey: 1 })
    expect(issue).toMatchObject({ path: 'notAKey' })
    expect(issue?.message).toContain(rows[0]?.key)
    for (const input of [null, 5, 'x', []]) expect(issuesOf(group, input)[0]?.message).toContain('must be an object')
  })

  for (const { key, low, high, choices } of rows) {
    it(`${key} takes nothing of another type, and never null`, () => {
      for (const value of [null, { no: 'object' }, Symbol.iterator.toString().repeat(100)]) {
        const issues = issuesOf(group, { [key]: value })
        expect(issues.length).toBeGreaterThan(0)
        for (const { path, message } of issues) {
          expect(path.split('.')[0]).toBe(key)
          expect(message).toContain(key)
          expect(message.length).toBeLessThan(1000)
        }
      }
    })

    if (low !== undefined && high !== undefined)
      it(`${key} takes ${low} to ${high}, whole`, () => {
        for (const value of [low, high]) expect(issuesOf(group, { ...companions[key], [key]: value })).toEqual([])
        for (const value of [low - 1, high + 1, low + 0.5, '5', true])
          expect(issuesOf(group, { [key]: value })[0]).toEqual({
            path: key,
            message: `${key} is ${JSON.stringify(value)} but must be a whole number from ${low} to ${high}`,
          })
        for (const value of [Number.NaN, Number.POSITIVE_INFINITY])
          expect(issuesOf(group, { [key]: value })).toHaveLength(1)
      })

    if (choices)
      it(`${key} takes one of its choices`, () => {
        for (const value of choices) expect(issuesOf(group, { [key]: value })).toEqual([])
        for (const value of ['nonsense', 1, []]) expect(issuesOf(group, { [key]: value })).toHaveLength(1)
        if (typeof choices[0] === 'string')
          for (const value of choices)
            expect(issuesOf(group, { [key]: 'nonsense' })[0]?.message).toContain(`"${value}"`)
      })
  }
})

describe('settings that contradict each other', () => {
  it.each<[SettingGroup, object, string, string]>([
    [
      'queue',
      { deliveryThreads: 30, retryThreads: 30 },
      'retryThreads',
      'retryThreads is 30 but must be less than deliveryThreads, which is 30',
    ],
    [
      'dictionary',
      { softErrorLimit: 5, hardErrorLimit: 4 },
      'hardErrorLimit',
      'hardErrorLimit is 4 but must be 0 or not below softErrorLimit, which is 5',
    ],
    [
      'logging',
      { destination: 'logServer' },
      'logServer',
      'destination is logServer, so logServer needs {host, port, tls}',
    ],
    ['advanced', { submissionPort: 25 }, 'submissionPort', 'port 25 is used twice'],
    ['advanced', { extraPorts: [2525, 2525] }, 'extraPorts.1', 'port 2525 is used twice'],
  ])('%s %j', (group, input, path, message) => {
    const [issue] = issuesOf(group, input)
    expect(issue?.path).toBe(path)
    expect(issue?.message).toContain(message)
  })
})

describe('settings that are text', () => {
  it.each<[SettingGroup, string, string[], string[]]>([
    [
      'general',
      'hostname',
      ['', 'mail.example.org', 'mx1'],
      ['a b', 'x\r\ny', '-', 'a..b', '[192.0.2.1]', 'é.example'],
    ],
    [
      'general',
      'defaultMailHost',
      ['', 'mail2.example.org', 'mail2:26', '[2001:db8::1]:25', '192.0.2.1'],
      ['a b', 'http://x', 'x:port', 'x\n'],
    ],
    ['advanced', 'mailboxDelimiter', ['', '+', '-', '_', '='], ['++', '@', '.', '"', ' ', 'a', '\n']],
    ['advanced', 'hostDelimiters', ['', '%', '%*:$&'], ['%%', '@', '!', '% ', '\n']],
    ['advanced', 'helloMessage', ['', 'Hello there', 'x'.repeat(400)], ['a\r\nb', 'a\nb', 'é', 'x'.repeat(401)]],
    ['queue', 'dailyReport', ['', 'jane@example.org'], ['jane', 'jane@', 'a b@c']],
  ])('%s %s', (group, key, good, bad) => {
    for (const value of good) expect(issuesOf(group, { [key]: value })).toEqual([])
    for (const value of bad) expect(issuesOf(group, { [key]: value })[0]?.message).toContain(key)
  })
})
