import { parseMailAddress } from '@postern/contract/address.ts'
import type { Account, Domain } from '@postern/contract/directory.ts'
import type {
  AuthFacts,
  ConnectFacts,
  DataFacts,
  FaultFacts,
  MailFacts,
  RcptFacts,
  SessionFacts,
} from '@postern/contract/facts.ts'
import type { ListName } from '@postern/contract/lists.ts'
import { replies } from '@postern/contract/replies.ts'
import { emptyReplica, type Replica } from '@postern/contract/rows.ts'
import { defaultSettings, type Settings } from '@postern/contract/settings.ts'
import type { Verdict } from '@postern/contract/verdict.ts'
import { compilePolicy } from '../compile.ts'
import type { Policy } from '../policy.ts'

/** The organisation in these tests: example.org with some people, and a client from outside. */

export type Change = {
  settings?: { [group in keyof Settings]?: Partial<Settings[group]> }
  lists?: { [list in ListName]?: (string | { value: string; action?: 'grant' | 'deny'; expiresAt?: string })[] }
  domains?: (Partial<Domain> & { name: string })[]
  accounts?: (string | (Partial<Account> & { address: string }))[]
  aliases?: Record<string, string[]>
  groups?: Record<string, string[]>
}

export const noon = Date.parse('2026-11-22T12:00:00Z')

export function exampleReplica(change: Change = {}): Replica {
  const replica = emptyReplica()
  const defaults = defaultSettings()
  for (const [group, values] of Object.entries(change.settings ?? {}))
    replica.settings.set(group, { ...defaults[group as keyof Settings], ...values } as Settings[keyof Settings])
  for (const [list, entries] of Object.entries(change.lists ?? {}))
    for (const entry of entries) addEntry(replica, list as ListName, entry)
  const domains = change.domains ?? [{ name: 'example.org', aliases: ['example.net'] }]
  for (const domain of domains)
    replica.domain.set(domain.name, {
      aliases: [],
      catchAll: '',
      route: { type: 'maildir' },
      verifyRecipients: 'directory',
      ...domain,
    })
  for (const given of change.accounts ?? ['jane@example.org', 'bob@example.org']) addAccount(replica, given)
  for (const [address, to] of Object.entries(change.aliases ?? { 'sales@example.org': ['jane@example.org'] }))
    replica.alias.set(address, { address, to })
  for (const [address, members] of Object.entries(
    change.groups ?? { 'all@example.org': ['jane@example.org', 'bob@example.org'] },
  ))
    replica.group.set(address, { address, members })
  return replica
}

function addEntry(replica: Replica, list: ListName, given: string | { value: string }): void {
  const entry = typeof given === 'string' ? { value: given } : given
  replica[list].set(`${replica[list].size}`, { ...entry, createdBy: 'test', createdAt: '2026-01-01T00:00:00Z' })
}

function addAccount(replica: Replica, given: string | { address: string }): void {
  const account = typeof given === 'string' ? { address: given } : given
  replica.account.set(account.address, {
    login: '',
    secretHash: '$argon2id$',
    disabled: false,
    ...account,
  })
}

export function examplePolicy(change: Change = {}): Policy {
  return compilePolicy(exampleReplica(change), 7)
}

export function sessionFacts(facts: Partial<SessionFacts> = {}): SessionFacts {
  return { now: noon, listener: 'smtp', ip: '198.51.100.7', machine: 'mx1', tlsAvailable: true, ...facts }
}

export function connectFacts(facts: Partial<ConnectFacts> = {}): ConnectFacts {
  return { ...sessionFacts(), sessionsOpen: 1, sessionsFromAddress: 1, ...facts }
}

export function authFacts(facts: Partial<AuthFacts> = {}): AuthFacts {
  return { ...sessionFacts({ tls: { version: 'TLSv1.3', cipher: 'x' } }), mechanism: 'PLAIN', ...facts }
}

/** `senderText` makes `sender`, as the receiver does it. */
export function mailFacts({ senderText = 'eve@remote.example', ...facts }: Partial<MailFacts> = {}): MailFacts {
  const sender = senderText === '' ? ('null-sender' as const) : parseMailAddress(senderText)
  return { ...sessionFacts(), senderText, sender, smtpUtf8: false, spool: 'ready', ...facts }
}

export function rcptFacts({ recipientText = 'jane@example.org', ...facts }: Partial<RcptFacts> = {}): RcptFacts {
  const recipient = parseMailAddress(recipientText)
  return { ...mailFacts(facts), recipientText, recipient, recipientsSoFar: 0, ...facts } as RcptFacts
}

export function dataFacts(facts: Partial<DataFacts> = {}): DataFacts {
  const end = { recipients: 1, size: 1000, bareLineFeeds: false, nulOctets: false, hops: 2 }
  return { ...mailFacts(facts), ...end, ...facts } as DataFacts
}

export function faultFacts(facts: Partial<FaultFacts> = {}): FaultFacts {
  return { ...sessionFacts(), errors: 1, invalidRecipients: 0, ...facts }
}

/** What a verdict comes to: `proceed`, or the reply's code, enhanced code and name, with `close` where the connection ends. */
export function saidBy({ outcome }: Pick<Verdict, 'outcome'>): string {
  if (outcome.kind === 'proceed') return 'proceed'
  const name = outcome.kind === 'refuse' ? outcome.reply : outcome.replies[0]?.reply
  if (!name) return 'nothing'
  const { code, enhanced } = replies[name]
  return `${code} ${enhanced} ${name}${outcome.kind === 'refuse' && outcome.close ? ' close' : ''}`
}
