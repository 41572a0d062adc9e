import type { Rule, Stage } from '@postern/contract/rules.ts'
import type { CaseInput } from './case.ts'
import { noon } from './dialogue.ts'
import { asked } from './world.ts'

/**
 * For each rule: how a client triggers it, and the reply. The cases generated from this table test every rule alone,
 * watched, exempt for the White List, and before its neighbour in the check order. A rule without a row fails the run.
 */
export type Provocation = {
  /** How the reply begins. */
  reply: string
  reason: string
  proves: string[]
  given?: {
    settings?: Record<string, object>
    lists?: Record<string, unknown[]>
    groups?: object[]
    domains?: object[]
  }
  facts?: Record<string, unknown>
  /** Lines of the dialogue in place of the usual ones. */
  says?: Partial<Record<'hello' | 'auth' | 'mail' | 'rcpt' | 'message', string>>
  /** Recipients accepted before the one in question. */
  before?: string
  /** Other lines, used to provoke the next rule as well. */
  withNext?: Provocation['says']
}

const plain = { settings: { advanced: { allowPlainWithoutTls: true } } }
const auth = 'AUTH PLAIN jane@example.org right'

const rates = (limits: object) => ({ settings: { security: { ratesPerClient: limits } } })

/** By rule, or by stage and rule if two stages have a rule of the same name. */
export const provocations: { [rule in Rule | `${Stage}:${Rule}`]?: Provocation } = {
  'control-access': {
    reply: '554 5.7.1',
    reason: 'access-denied',
    proves: ['list:control-access'],
    given: { lists: { 'control-access': ['{ip}'] } },
  },
  'concurrent-sessions': {
    reply: '421 4.3.2',
    reason: 'too-many-sessions',
    proves: ['advanced.maxThreads'],
    // The session that the harness keeps open, another one of this client, and this one.
    given: { settings: { advanced: { maxThreads: 2 } } },
    facts: { sessionsOpen: 3, sessionsFromAddress: 2 },
  },
  'connections-per-address': {
    reply: '421 4.7.0',
    reason: 'too-many-sessions',
    proves: ['advanced.maxConnectionsPerAddress'],
    given: { settings: { advanced: { maxConnectionsPerAddress: 1 } } },
    facts: { sessionsFromAddress: 2 },
  },
  'connection-rate': {
    reply: '421 4.7.0',
    reason: 'rate-exceeded',
    proves: ['security.ratesPerClient'],
    given: rates({ connectionsPerMinute: 1 }),
    facts: { lookups: { rates: { client: { connections: [2, 2] } } } },
  },
  'login-rate': {
    reply: '421 4.7.0',
    reason: 'rate-exceeded',
    proves: ['security.ratesPerLogin'],
    given: {
      settings: {
        security: { ratesPerLogin: { connectionsPerMinute: 1 } },
        advanced: { allowPlainWithoutTls: true },
      },
    },
    facts: { lookups: { rates: { login: { connections: [2, 2] } } } },
    says: { auth },
  },
  'message-rate': {
    reply: '450 4.7.1',
    reason: 'rate-exceeded',
    proves: ['security.ratesPerClient'],
    given: rates({ messagesPerMinute: 1 }),
    facts: { lookups: { rates: { client: { messages: [2, 2] } } } },
  },
  'recipient-rate': {
    reply: '450 4.7.1',
    reason: 'rate-exceeded',
    proves: ['security.ratesPerClient'],
    given: rates({ recipientsPerMinute: 1 }),
    facts: { lookups: { rates: { client: { recipients: [2, 2] } } } },
  },
  'hack-attempt': {
    reply: '421 4.7.0',
    reason: 'hack-attempt',
    proves: ['security.autoDenyHackAttempts'],
    facts: { attempt: 'binary-noise', errors: 3 },
  },
  'hard-error-limit': {
    reply: '421 4.7.0',
    reason: 'too-many-errors',
    proves: ['dictionary.hardErrorLimit'],
    given: { settings: { dictionary: { hardErrorLimit: 3 } } },
    facts: { errors: 3 },
  },
  'invalid-recipients': {
    reply: '421 4.7.0',
    reason: 'too-many-errors',
    proves: ['dictionary.maxInvalidRecipients'],
    given: { settings: { dictionary: { maxInvalidRecipients: 2 } } },
    facts: { errors: 2, invalidRecipients: 2 },
  },
  'soft-error-limit': {
    reply: '',
    reason: 'too-many-errors',
    proves: ['dictionary.softErrorLimit', 'dictionary.softErrorDelaySeconds'],
    given: { settings: { dictionary: { softErrorLimit: 1, softErrorDelaySeconds: 60 } } },
    facts: { errors: 2 },
  },
  pregreet: {
    reply: '554 5.5.1',
    reason: 'pregreet',
    proves: ['security.greetingDelaySeconds'],
    given: { settings: { security: { greetingDelaySeconds: 1 } } },
    facts: { lookups: { pregreet: true } },
  },
  dnsbl: {
    reply: '550 5.7.1',
    reason: 'dnsbl',
    proves: ['security.dnsbl'],
    given: { settings: { security: { dnsbl: [{ zone: 'bl.test' }] } } },
    facts: { lookups: { dnsbl: [{ zone: 'bl.test', answers: ['127.0.0.2'], text: 'you are listed' }] } },
  },
  'reverse-dns': {
    reply: '550 5.7.25',
    reason: 'reverse-dns',
    proves: ['security.checkReverseDns'],
    given: { settings: { security: { checkReverseDns: 'reject' } } },
    facts: { lookups: { reverseDns: { confirmed: false } } },
  },
  'hello-syntax': { reply: '501 5.5.2', reason: 'bad-syntax', proves: [], says: { hello: 'EHLO <not a host>' } },
  helo: {
    reply: '550 5.7.1',
    reason: 'helo',
    proves: ['security.checkHelo'],
    given: { settings: { security: { checkHelo: 'reject' } } },
    facts: { lookups: { helo: 'does-not-resolve' } },
    says: { hello: 'EHLO nowhere.test' },
  },
  'auth-disabled': {
    reply: '502 5.5.1',
    reason: 'command-disabled',
    proves: ['advanced.disableAuth'],
    given: { settings: { advanced: { disableAuth: true, allowPlainWithoutTls: true } } },
    says: { auth },
  },
  'auth-mechanism': {
    reply: '504 5.5.4',
    reason: 'bad-syntax',
    proves: ['advanced.authMechanisms'],
    given: { settings: { advanced: { authMechanisms: ['LOGIN'], allowPlainWithoutTls: true } } },
    says: { auth },
  },
  'auth-requires-tls': {
    reply: '538 5.7.11',
    reason: 'tls-required',
    proves: ['advanced.allowPlainWithoutTls'],
    given: { settings: { advanced: { allowPlainWithoutTls: false } } },
    says: { auth },
  },
  'auth-credentials': {
    reply: '535 5.7.8',
    reason: 'auth-failed',
    proves: ['directory:account'],
    given: plain,
    says: { auth: 'AUTH PLAIN jane@example.org wrong' },
  },
  'require-tls': {
    reply: '530 5.7.0',
    reason: 'tls-required',
    proves: ['tls.requireTls'],
    given: { settings: { tls: { requireTls: 'all' } } },
  },
  'submission-auth': {
    reply: '530 5.7.0',
    reason: 'auth-required',
    proves: ['advanced.submissionPort'],
    given: { settings: { tls: { requireTls: 'no' } } },
    facts: { listener: 'submission' },
  },
  'sender-syntax': {
    reply: '553 5.6.7',
    reason: 'bad-syntax',
    proves: [],
    says: { mail: 'MAIL FROM:<zoë@remote.example>' },
  },
  'kill-file': {
    reply: '501 5.7.1',
    reason: 'kill-file',
    proves: ['list:kill'],
    given: { lists: { kill: ['@remote.example', '@example.org'] } },
  },
  'auth-for-local-senders': {
    reply: '530 5.7.0',
    reason: 'auth-required',
    proves: ['security.requireAuthForLocalSenders'],
    given: { settings: { security: { requireAuthForLocalSenders: true } } },
    says: { mail: 'MAIL FROM:<jane@example.org>' },
  },
  'sender-must-match-login': {
    reply: '553 5.7.1',
    reason: 'sender-must-match-login',
    proves: ['security.senderMustMatchLogin'],
    given: { settings: { security: { senderMustMatchLogin: true }, advanced: { allowPlainWithoutTls: true } } },
    says: { auth, mail: 'MAIL FROM:<eve@nowhere.example>' },
  },
  'sender-domain': {
    reply: '550 5.1.8',
    reason: 'sender-domain',
    proves: ['security.checkSenderDomain'],
    given: { settings: { security: { checkSenderDomain: 'reject' } } },
    facts: { lookups: { senderDomain: 'none' } },
    says: { mail: 'MAIL FROM:<eve@nowhere.example>' },
    withNext: { mail: 'MAIL FROM:<eve@nowhere.example> SIZE=2000' },
  },
  'declared-size': {
    reply: '552 5.3.4',
    reason: 'too-large',
    proves: ['general.maxMessageBytes'],
    given: { settings: { general: { maxMessageBytes: 1000 } } },
    says: { mail: 'MAIL FROM:<eve@remote.example> SIZE=2000' },
    withNext: { mail: 'MAIL FROM:<eve@remote.example> SIZE=999999999999999' },
  },
  'spool-full': {
    reply: '452 4.3.1',
    reason: 'spool-full',
    proves: [],
    // More than any disk can hold.
    given: { settings: { general: { maxMessageBytes: 0 } } },
    facts: { spool: 'full' },
    says: { mail: 'MAIL FROM:<eve@remote.example> SIZE=999999999999999' },
  },
  'recipient-syntax': {
    reply: '553 5.6.7',
    reason: 'bad-syntax',
    proves: [],
    says: { rcpt: 'RCPT TO:<zoë@example.org>' },
  },
  'recipient-count': {
    reply: '452 4.5.3',
    reason: 'too-many-recipients',
    proves: ['advanced.maxRecipients'],
    given: { settings: { advanced: { maxRecipients: 1 } } },
    before: 'RCPT TO:<jane@example.org>',
    says: { rcpt: 'RCPT TO:<bob@example.org>' },
    withNext: { rcpt: 'RCPT TO:<x@far.example>' },
  },
  relay: {
    reply: '550 5.7.1',
    reason: 'relay-denied',
    proves: ['general.relayMode', 'list:relay'],
    says: { rcpt: 'RCPT TO:<x@far.example>' },
  },
  'group-access': {
    reply: '550 5.7.2',
    reason: 'group-denied',
    proves: ['security.allowRemoteMailToGroups', 'directory:group'],
    given: {
      settings: { security: { allowRemoteMailToGroups: false } },
      groups: [
        { address: 'all@example.org', members: ['jane@example.org'] },
        { address: 'ghosts@example.org', members: ['nobody@example.org'] },
      ],
    },
    says: { rcpt: 'RCPT TO:<all@example.org>' },
    withNext: { rcpt: 'RCPT TO:<ghosts@example.org>' },
  },
  'unknown-recipient': {
    reply: '550 5.1.1',
    reason: 'user-unknown',
    proves: ['directory:domain'],
    says: { rcpt: 'RCPT TO:<nobody@example.org>' },
  },
  callout: {
    reply: '550 5.1.1',
    reason: 'user-unknown',
    proves: ['directory:domain'],
    given: {
      domains: [
        { name: 'example.org', aliases: ['example.net'] },
        { name: 'called.example', verifyRecipients: 'callout', route: { type: 'lmtp', host: asked, port: 24 } },
      ],
    },
    facts: { lookups: { callout: 'unknown' } },
    says: { rcpt: 'RCPT TO:<zoe@called.example>' },
  },
  greylist: {
    reply: '451 4.7.1',
    reason: 'greylist',
    proves: ['security.greylist'],
    given: { settings: { security: { greylist: { delaySeconds: 300, rememberDays: 35 } } } },
    facts: { lookups: { greylist: { firstSeen: noon, passed: false } } },
  },
  'message-size': {
    reply: '552 5.3.4',
    reason: 'too-large',
    proves: ['general.maxMessageBytes'],
    given: { settings: { general: { maxMessageBytes: 20 } } },
  },
  'bare-line-feed': {
    reply: '554 5.6.0',
    reason: 'bare-line-feed',
    proves: ['advanced.bareLineFeeds'],
    says: { message: 'Subject: bare\r\n\r\none\ntwo\r\n' },
    withNext: { message: 'Subject: bare\r\n\r\none\ntwo\u0000\r\n' },
  },
  'nul-octet': {
    reply: '554 5.6.0',
    reason: 'nul-octet',
    proves: [],
    says: { message: 'Subject: nul\r\n\r\n\u0000\r\n' },
    withNext: { message: `${'Received: from a by b\r\n'.repeat(101)}Subject: nul\r\n\r\n\u0000\r\n` },
  },
  'mail-loop': {
    reply: '554 5.4.6',
    reason: 'mail-loop',
    proves: [],
    says: { message: `${'Received: from a by b\r\n'.repeat(101)}Subject: loop\r\n\r\nhello\r\n` },
  },
  spf: {
    reply: '550 5.7.23',
    reason: 'spf-fail',
    proves: ['general.verifySpf'],
    given: { settings: { general: { verifySpf: 'enforce' } } },
    facts: { lookups: { spf: { result: 'fail', domain: 'forged.example' } } },
    says: { mail: 'MAIL FROM:<eve@forged.example>' },
  },
  dmarc: {
    reply: '550 5.7.1',
    reason: 'dmarc-reject',
    proves: ['general.verifyDmarc'],
    given: { settings: { general: { verifyDmarc: 'enforce' } } },
    facts: { lookups: { dmarc: { result: 'fail', policy: 'reject', domain: 'spoofed.example' } } },
    says: { message: 'From: Jane <jane@spoofed.example>\r\nSubject: spoofed\r\n\r\nhello\r\n' },
  },
  'delivery-application': {
    reply: '550 5.7.1',
    reason: 'application-refused',
    proves: ['advanced.deliveryApplication'],
    given: {
      settings: {
        advanced: {
          deliveryApplication: {
            url: `http://${asked}/`,
            secret: 'only for cases',
            timeoutSeconds: 5,
            onFailure: 'accept',
          },
        },
      },
    },
    facts: { lookups: { application: { action: 'reject', reason: 'not today' } } },
  },
}

/** Neighbours that no single command can provoke together. */
export const apart: Record<string, string> = {
  'unknown-recipient+callout': 'a domain knows its recipients from the directory or by callout, never by both',
  'relay+group-access': 'the one refuses recipients elsewhere, the other groups of ours',
  'auth-for-local-senders+sender-must-match-login': 'the one needs a client without a login, the other one with it',
}

/** Rules that only add results to the trail and never decide. Their own tests cover that. */
export const onlyTell: readonly Rule[] = ['dkim']

/** Commands that always get an answer. They have their own cases. */
export const notInOrder: readonly Stage[] = ['vrfy', 'expn']

export type Says = CaseInput['dialogue']
