import { type Rule, rulesNeverWatched, type Stage, stageNames } from '@postern/contract/rules.ts'
import { defaultSettings, type SecuritySettings } from '@postern/contract/settings.ts'
import { describe, expect, it } from 'vitest'
import * as decisions from './decide.ts'
import { stages } from './stages.ts'
import {
  authFacts,
  type Change,
  connectFacts,
  dataFacts,
  examplePolicy,
  faultFacts,
  mailFacts,
  noon,
  rcptFacts,
  saidBy,
  sessionFacts,
} from './test/example.ts'

const { decideAuth, decideConnect, decideData, decideFault, decideMail, decideRcpt } = decisions

const noRates = defaultSettings().security.ratesPerClient

const called = {
  name: 'called.example',
  route: { type: 'smtp', host: 'mail.example', port: 25, tls: 'none' },
  verifyRecipients: 'callout',
} as const
const filter = { url: 'https://filter.example/', timeoutSeconds: 10, onFailure: 'defer' } as const

/** For each rule: settings and facts under which it refuses. What several rules of a stage need can be put together. */
type Provocation = { change?: Change; facts?: Record<string, unknown> }
const provocations: { [stage in Stage]?: Partial<Record<Rule, Provocation>> } = {
  connect: {
    'control-access': { change: { lists: { 'control-access': ['198.51.100.7'] } } },
    'concurrent-sessions': { facts: { sessionsOpen: 10_001 } },
    'connections-per-address': { facts: { sessionsFromAddress: 51 } },
    'connection-rate': {
      change: { settings: { security: { ratesPerClient: { ...noRates, connectionsPerMinute: 3 } } } },
      facts: { lookups: { rates: { client: { connections: [4, 4] } } } },
    },
    pregreet: { facts: { lookups: { pregreet: true } } },
    dnsbl: {
      change: { settings: { security: { dnsbl: [{ zone: 'bl.test', answer: '127.0.0.*', action: 'reject' }] } } },
      facts: { lookups: { dnsbl: [{ zone: 'bl.test', answers: ['127.0.0.2'] }] } },
    },
    'reverse-dns': {
      change: { settings: { security: { checkReverseDns: 'reject' } } },
      facts: { lookups: { reverseDns: { confirmed: false } } },
    },
  },
  auth: {
    'auth-disabled': { change: { settings: { advanced: { disableAuth: true } } } },
    'auth-mechanism': { change: { settings: { advanced: { authMechanisms: ['LOGIN'] } } } },
    'auth-requires-tls': { facts: { tls: undefined } },
    'auth-credentials': { facts: { credentials: { login: 'jane@example.org', result: 'invalid' } } },
    'login-rate': {
      change: { settings: { security: { ratesPerLogin: { ...noRates, connectionsPerHour: 3 } } } },
      facts: {
        credentials: { login: 'jane@example.org', result: 'valid' },
        lookups: { rates: { login: { connections: [1, 4] } } },
      },
    },
  },
  mail: {
    'require-tls': { change: { settings: { tls: { requireTls: 'all' } } } },
    'submission-auth': { facts: { listener: 'submission', login: undefined, tlsAvailable: false } },
    'sender-syntax': { facts: { sender: null } },
    'kill-file': { change: { lists: { kill: ['@example.org'] } } },
    'auth-for-local-senders': {
      change: { settings: { security: { requireAuthForLocalSenders: true } } },
      facts: { login: undefined },
    },
    'sender-must-match-login': {
      change: { settings: { security: { senderMustMatchLogin: true } } },
      facts: { login: 'bob@example.org' },
    },
    'sender-domain': {
      change: { settings: { security: { checkSenderDomain: 'reject' } }, domains: [{ name: 'example.com' }] },
      facts: { login: 'jane@example.org', lookups: { senderDomain: 'none' } },
    },
    'message-rate': {
      change: { settings: { security: { ratesPerClient: { ...noRates, messagesPerMinute: 3 } } } },
      facts: { lookups: { rates: { client: { messages: [4, 4] } } } },
    },
    'declared-size': { facts: { declaredSize: 1e12 } },
    'spool-full': { facts: { spool: 'full' } },
  },
  rcpt: {
    'recipient-syntax': { facts: { recipient: null, recipientText: 'nonsense@' } },
    'recipient-count': { facts: { recipientsSoFar: 1000 } },
    relay: { facts: { recipientText: 'eve@remote.example', recipient: null } },
    'group-access': {
      change: { settings: { security: { allowRemoteMailToGroups: false } } },
      facts: { recipientText: 'all@example.org', recipient: null },
    },
    'recipient-rate': {
      change: { settings: { security: { ratesPerClient: { ...noRates, recipientsPerHour: 3 } } } },
      facts: { lookups: { rates: { client: { recipients: [1, 4] } } } },
    },
    'unknown-recipient': { facts: { recipientText: 'nobody@example.org', recipient: null } },
    callout: {
      change: { domains: [{ name: 'example.org' }, called] },
      facts: { recipientText: 'zoe@called.example', recipient: null, lookups: { callout: 'unknown' } },
    },
    greylist: {
      change: { settings: { security: { greylist: { delaySeconds: 300, rememberDays: 35 } } } },
      facts: { lookups: { greylist: { firstSeen: noon, passed: false } } },
    },
  },
  data: {
    'message-size': { facts: { size: 1e12 } },
    'bare-line-feed': { facts: { bareLineFeeds: true } },
    'nul-octet': { facts: { nulOctets: true } },
    'mail-loop': { facts: { hops: 101 } },
    spf: {
      change: { settings: { general: { verifySpf: 'enforce' } } },
      facts: { lookups: { spf: { result: 'fail', domain: 'remote.example' } } },
    },
    dmarc: {
      change: { settings: { general: { verifyDmarc: 'enforce' } } },
      facts: { lookups: { dmarc: { result: 'fail', policy: 'reject', domain: 'remote.example' } } },
    },
    'delivery-application': {
      change: { settings: { advanced: { deliveryApplication: filter } } },
      facts: { lookups: { application: { action: 'reject' } } },
    },
  },
  fault: {
    'hack-attempt': { facts: { attempt: 'smuggling' } },
    'hard-error-limit': { change: { settings: { dictionary: { hardErrorLimit: 5 } } }, facts: { errors: 5 } },
    'invalid-recipients': {
      change: { settings: { dictionary: { maxInvalidRecipients: 3 } } },
      facts: { invalidRecipients: 3 },
    },
    'soft-error-limit': {
      change: { settings: { dictionary: { softErrorLimit: 4, softErrorDelaySeconds: 2 } } },
      facts: { errors: 5 },
    },
  },
}

/** Pairs that no single command can provoke together: the two look at different recipients, or at login and no login. */
const apart = new Set([
  'recipient-syntax+relay',
  'relay+group-access',
  'auth-for-local-senders+sender-must-match-login',
  // Wrong credentials have no login yet.
  'auth-credentials+connection-rate',
])

/** Rules that say what they saw and decide nothing. */
const onlyTells = new Set<Rule>(['dkim'])

function decide(stage: Stage, { change = {}, facts = {} }: Provocation) {
  const policy = examplePolicy(change)
  if (stage === 'connect') return decideConnect({ ...connectFacts(), ...facts }, policy)
  if (stage === 'auth') return decideAuth({ ...authFacts(), ...facts }, policy)
  if (stage === 'mail') return decideMail({ ...mailFacts({ senderText: 'jane@example.org' }), ...facts }, policy)
  if (stage === 'rcpt') return decideRcpt({ ...rcptFacts(), ...facts }, policy)
  if (stage === 'fault') return decideFault({ ...faultFacts(), ...facts }, policy)
  return decideData({ ...dataFacts(), ...facts }, policy)
}

function together(a: Provocation, b: Provocation): Provocation {
  const settings: Record<string, object> = { ...a.change?.settings }
  for (const [group, values] of Object.entries(b.change?.settings ?? {}))
    settings[group] = { ...settings[group], ...values }
  const lookups = { lookups: { ...Object(b.facts?.lookups), ...Object(a.facts?.lookups) } }
  return {
    change: { ...b.change, ...a.change, settings, lists: { ...a.change?.lists, ...b.change?.lists } } as Change,
    facts: { ...b.facts, ...a.facts, ...lookups },
  }
}

describe('the order of the check', () => {
  for (const [stage, rules] of Object.entries(provocations) as [Stage, Record<string, Provocation>][]) {
    const names = stages[stage].map(({ name }) => name).filter((name) => !onlyTells.has(name))
    it(`${stage}: every rule is provoked, and decides alone`, () => {
      expect(Object.keys(rules)).toEqual(names)
      for (const name of names) expect(decide(stage, rules[name] ?? {}).rule).toBe(name)
    })

    names.slice(1).forEach((later, i) => {
      const earlier = names[i] as Rule
      if (apart.has(`${earlier}+${later}`)) return
      it(`${stage}: ${earlier} answers before ${later}`, () => {
        const verdict = decide(stage, together(rules[earlier] ?? {}, rules[later] ?? {}))
        expect(verdict.rule).toBe(earlier)
        expect(verdict.trail.map(({ rule }) => rule).filter((name) => !onlyTells.has(name))).toEqual(
          names.slice(0, i + 1),
        )
      })
    })
  }

  it('names the rules of each stage once', () => {
    const names = stageNames.flatMap((stage) => stages[stage].map(({ name }) => name))
    expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([])
  })
})

describe('watch mode', () => {
  const watch = (rule: Rule) => ({ security: { watch: [rule] as SecuritySettings['watch'] } })

  for (const [stage, rules] of Object.entries(provocations) as [Stage, Record<string, Provocation>][])
    for (const [rule, provocation] of Object.entries(rules) as [Rule, Provocation][]) {
      const never = (rulesNeverWatched as readonly Rule[]).includes(rule)
      it(`${rule} ${never ? 'cannot be watched' : 'is logged and decides nothing'}`, () => {
        const enforced = decide(stage, provocation)
        const verdict = decide(stage, together({ change: { settings: watch(rule) } }, provocation))
        if (never) return expect(verdict.outcome).toEqual(enforced.outcome)
        expect(verdict.outcome.kind).toBe('proceed')
        expect(verdict.trail).toContainEqual({ rule, said: 'watched', because: enforced.explanation[0] })
        expect(verdict.trail.at(-1)).toEqual({ rule: 'accept', said: 'decided' })
      })
    }

  it('goes on to the next rule', () => {
    const provocation = together(
      { change: { settings: watch('control-access'), lists: { 'control-access': ['198.51.100.7'] } } },
      { facts: { sessionsOpen: 1e9 } },
    )
    expect(decide('connect', provocation)).toMatchObject({
      rule: 'concurrent-sessions',
      trail: [{ said: 'watched' }, { said: 'decided' }],
    })
  })

  it('still knows where the mail goes when unknown recipients are only watched', () => {
    const change = { settings: watch('unknown-recipient') }
    expect(decideRcpt(rcptFacts({ recipientText: 'nobody@example.net' }), examplePolicy(change)).recipients).toEqual([
      { address: 'nobody@example.org', original: 'nobody@example.net' },
    ])
  })
})

describe('a verdict', () => {
  it('is shared where nothing was said, and carries revision, rule and trail', () => {
    const policy = examplePolicy()
    const verdict = decideConnect(connectFacts(), policy)
    expect(decideConnect(connectFacts(), policy)).toBe(verdict)
    expect(verdict).toMatchObject({
      stage: 'connect',
      outcome: { kind: 'proceed' },
      rule: 'accept',
      reason: 'accepted',
      revision: 7,
    })
    expect(verdict.trail.map(({ rule, said }) => `${rule} ${said}`)).toEqual([
      'control-access passed',
      'concurrent-sessions passed',
      'connections-per-address passed',
      'connection-rate passed',
      'pregreet passed',
      'dnsbl passed',
      'reverse-dns passed',
      'accept decided',
    ])
  })

  it('shows nothing a stranger sent that could draw on a screen', () => {
    const facts = mailFacts({ senderText: `x\u001b[2J\r\n\u202e${'y'.repeat(2000)}`, sender: null })
    const { explanation, trail } = decideMail(facts, examplePolicy())
    for (const text of [explanation[0], trail.at(-1)?.because]) {
      expect(text).toMatch(/^MAIL FROM:<x\?\[2J\?\?\?y+$/)
      expect(text?.length).toBeLessThanOrEqual(500)
    }
  })

  it('answers VRFY and EXPN whatever the settings', () => {
    for (const disabled of [true, false]) {
      const policy = examplePolicy({ settings: { security: { disableVrfy: disabled, disableExpn: disabled } } })
      for (const decide of [decisions.decideVrfy, decisions.decideExpn])
        expect(saidBy(decide({ ...sessionFacts(), argument: '', address: null }, policy))).not.toBe('proceed')
    }
  })
})
