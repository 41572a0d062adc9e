import type { MailAddress } from '@postern/contract/address.ts'
import { parseMailAddress } from '@postern/contract/address.ts'
import type { Listener } from '@postern/contract/facts.ts'
import { fillReply } from '@postern/contract/replies.ts'
import { ruleNames, rulesNeverWatched } from '@postern/contract/rules.ts'
import type { Verdict } from '@postern/contract/verdict.ts'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  decideAuth,
  decideConnect,
  decideData,
  decideExpn,
  decideHello,
  decideMail,
  decideRcpt,
  decideVrfy,
} from './decide.ts'
import type { Policy } from './policy.ts'
import { examplePolicy, noon, rcptFacts } from './test/example.ts'

/** Everything that could smuggle a host into an address. */
const piece = fc.constantFrom(
  'jane',
  'nobody',
  'postmaster',
  'all',
  'evil.test',
  'example.org',
  'EXAMPLE.net',
  'exаmple.org',
  'bücher.test',
  'xn--bcher-kva.test',
  '@',
  '@',
  '@',
  '%',
  '!',
  '*',
  ':',
  '$',
  '&',
  '+',
  '=',
  '"',
  '\\"',
  '\\',
  ',',
  '.',
  '..',
  '[127.0.0.1]',
  '[192.0.2.25]',
  '[IPv6:::1]',
  '<',
  '>',
  ' ',
  '\r\n',
  '\0',
  '(c)',
  '。',
  '．',
  '\u00ad',
  'é',
)
const path = fc.oneof(
  fc.array(piece, { maxLength: 9 }).map((pieces) => pieces.join('')),
  fc.string({ unit: 'binary', maxLength: 60 }),
)
const ip = fc.oneof(fc.ipV4(), fc.ipV6(), fc.constantFrom('', 'x', '::ffff:127.0.0.1', '\0'), fc.string())
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined })
const parsed = fc.oneof(
  path.map((text): MailAddress | null => parseMailAddress(text)),
  fc.constant(null),
)

const session = {
  now: fc.oneof(fc.integer(), fc.double()),
  listener: fc.constantFrom<Listener>('smtp', 'submission', 'smtps'),
  ip,
  local: maybe(fc.oneof(fc.constant('192.0.2.25'), ip)),
  machine: fc.oneof(fc.constant('mx1'), fc.string()),
  tls: maybe(fc.constant({ version: 'TLSv1.3', cipher: 'x' })),
  tlsAvailable: fc.boolean(),
  login: maybe(fc.oneof(fc.constant('jane@example.org'), path)),
}
const mail = {
  ...session,
  senderText: path,
  sender: fc.oneof(parsed, fc.constant('null-sender' as const)),
  declaredSize: maybe(fc.double()),
  smtpUtf8: fc.boolean(),
  spool: fc.constantFrom('ready' as const, 'full' as const, 'not-known' as const),
}

const watchable = ruleNames.filter((rule) => !(rulesNeverWatched as readonly string[]).includes(rule))
const policy = fc
  .record({
    hostDelimiters: fc.constantFrom('', '%', '%*:$&'),
    mailboxDelimiter: fc.constantFrom('', '+', '%'),
    relayMode: fc.constantFrom(
      'none' as const,
      'addresses' as const,
      'localUsers' as const,
      'localHosts' as const,
      'anyone' as const,
    ),
    on: fc.boolean(),
    watch: fc.subarray(watchable),
    catchAll: fc.constantFrom('', 'jane@example.org', 'gone@example.org', 'box@away.test'),
    defaultMailHost: fc.constantFrom('', 'mail2.test:26'),
  })
  .map(({ hostDelimiters, mailboxDelimiter, relayMode, on, watch, catchAll, defaultMailHost }) =>
    examplePolicy({
      settings: {
        general: { relayMode, defaultMailHost },
        advanced: { hostDelimiters, mailboxDelimiter, disableAuth: on, bareLineFeeds: on ? 'reject' : 'normalize' },
        security: {
          requireAuthForLocalSenders: on,
          senderMustMatchLogin: on,
          disableVrfy: on,
          disableExpn: on,
          allowRemoteMailToGroups: on,
          watch: watch as never,
        },
      },
      lists: {
        kill: ['@*evil.test', 'jane@example.org'],
        white: ['0.0.0.0/1'],
        accept: ['evil.test', '10.0.0.1'],
        relay: ['127.0.0.0/8'],
      },
      domains: [{ name: 'example.org', aliases: ['example.net'], catchAll }],
      aliases: { 'sales@example.org': ['jane@example.org'], 'loop@example.org': ['loop@example.org'] },
    }),
  )

/** Same facts, same verdict; never a throw; a reply of one line, whatever was sent. */
function check(decide: () => Verdict): void {
  const verdict = decide()
  expect(decide()).toEqual(verdict)
  expect(verdict.trail.at(-1)).toMatchObject({ rule: verdict.rule, said: 'decided' })
  expect(verdict.explanation.length).toBeGreaterThan(0)
  const { outcome } = verdict
  if (outcome.kind === 'proceed') return
  const replies = outcome.kind === 'refuse' ? [outcome] : outcome.replies
  for (const { reply, values } of replies) expect(fillReply(reply, values ?? {}).text).toMatch(/^[\x20-\x7e]*$/)
}

describe('the decision', () => {
  it('is total and deterministic', () => {
    const end = {
      recipients: fc.nat(),
      size: fc.double(),
      bareLineFeeds: fc.boolean(),
      nulOctets: fc.boolean(),
      hops: fc.nat(),
    }
    const ask = { ...session, argument: path, address: parsed }
    fc.assert(
      fc.property(
        policy,
        fc.record({ ...session, sessionsOpen: fc.nat(), sessionsFromAddress: fc.nat() }),
        fc.record({ ...session, verb: fc.constantFrom('HELO' as const, 'EHLO' as const), argument: path }),
        fc.record({
          ...session,
          mechanism: fc.string(),
          credentials: maybe(
            fc.record({
              login: path,
              result: fc.constantFrom('valid' as const, 'invalid' as const, 'not-known' as const),
            }),
          ),
        }),
        fc.record({ ...mail, recipientText: path, recipient: parsed, recipientsSoFar: fc.nat() }),
        fc.record({ ...mail, ...end }),
        fc.record(ask),
        (policy: Policy, connect, hello, auth, rcpt, data, asked) => {
          check(() => decideConnect(connect as never, policy))
          check(() => decideHello(hello as never, policy))
          check(() => decideAuth(auth as never, policy))
          check(() => decideMail(rcpt as never, policy))
          check(() => decideRcpt(rcpt as never, policy))
          check(() => decideData(data as never, policy))
          check(() => decideVrfy(asked as never, policy))
          check(() => decideExpn(asked as never, policy))
        },
      ),
      { numRuns: 1500 },
    )
  })

  it('accepts a recipient only with somewhere to go, in a form that can be sent on', () => {
    fc.assert(
      fc.property(policy, path, fc.boolean(), (policy, recipientText, isRead) => {
        const recipient = isRead ? parseMailAddress(recipientText) : null
        const verdict = decideRcpt({ ...rcptFacts({ smtpUtf8: true }), recipientText, recipient }, policy)
        expect(verdict.recipients.length > 0).toBe(verdict.outcome.kind === 'proceed')
        for (const { address, original } of verdict.recipients) {
          expect(address.length).toBeLessThanOrEqual(320)
          expect(original.length).toBeGreaterThan(0)
          expect(address).not.toMatch(/[\0-\x1f\x7f]/)
        }
      }),
      { numRuns: 5000 },
    )
  })
})

describe('relaying', () => {
  const base = { general: { relayMode: 'none' as const } }
  const policies = ['', '%', '%*:$&'].flatMap((hostDelimiters) =>
    ['', '+', '%'].map((mailboxDelimiter) =>
      examplePolicy({ settings: { ...base, advanced: { hostDelimiters, mailboxDelimiter } } }),
    ),
  )

  it('is not to be had in mode none without a login, whatever the address looks like', () => {
    fc.assert(
      fc.property(
        path,
        parsed,
        fc.constantFrom(...policies),
        fc.constantFrom('', 'jane@example.org'),
        (recipientText, recipient, policy, senderText) => {
          const facts = {
            ...rcptFacts({ senderText, smtpUtf8: true, local: '192.0.2.25', ip: '127.0.0.1' }),
            recipientText,
            recipient,
          }
          const verdict = decideRcpt({ ...facts, now: noon }, policy)
          expect(verdict.relayed).toBe(false)
          for (const { address, via } of verdict.recipients) {
            expect(address).toMatch(/^(jane|bob|postmaster)@example\.org$/)
            expect(via).toBeUndefined()
          }
        },
      ),
      { numRuns: 20_000 },
    )
  })

  it.each([
    'x@evil.test',
    'x@evil.test.',
    'x@EVIL.TEST',
    '@example.org:x@evil.test',
    '@example.org,@example.net:x@evil.test',
    'x%evil.test@example.org',
    'x%evil.test%example.org@example.net',
    'evil.test!x@example.org',
    '"x@evil.test"@example.org',
    '"x%evil.test"@example.org',
    'x@evil.test@example.org',
    'x@[127.0.0.1]',
    'x@[192.0.2.25].evil.test',
    'x@exаmple.org',
    'x@example.org。evil.test',
    'x@bücher.test',
    'x@xn--bcher-kva.test',
    'x:evil.test@example.org',
    'x*evil.test',
    'x$evil.test',
    'x&evil.test@example.org',
    '"x"%evil.test@example.org',
    'x%"evil.test"@example.org',
    'x%[10.0.0.1]@example.org',
    'postmaster@evil.test',
    'postmaster+x@evil.test',
    'postmaster@[10.0.0.1]',
  ])('not by %s', (recipientText) => {
    for (const policy of policies) {
      const verdict = decideRcpt(rcptFacts({ recipientText, smtpUtf8: true, local: '192.0.2.25' }), policy)
      expect(verdict.outcome.kind).toBe('refuse')
    }
  })
})
