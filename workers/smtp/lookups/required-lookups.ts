import { setTimeout as sleep } from 'node:timers/promises'
import type { ApplicationQuestion } from '@postern/contract/delivery-application.ts'
import type { AuthFacts, ConnectFacts, DataFacts, HelloFacts, MailFacts, RcptFacts } from '@postern/contract/facts.ts'
import { hostNameOf } from '@postern/contract/host-name.ts'
import type { Lookups } from '@postern/contract/lookups.ts'
import type { Rule } from '@postern/contract/rules.ts'
import type { Verdict } from '@postern/contract/verdict.ts'
import { calloutFor } from '@postern/policy/decide.ts'
import type { Policy } from '@postern/policy/policy.ts'
import { askDnsbl, type DnsblAnswer } from './dnsbl.ts'
import { askHelo } from './helo.ts'
import type { LookupClients } from './lookup-clients.ts'
import { verifyMessage } from './mailauth.ts'
import { askReverse } from './reverse-dns.ts'
import { askSenderDomain } from './sender-domain.ts'

/**
 * What has to be looked up before a command can be answered. The verdict names it: a rule that lacks a fact is in the trail as
 * not known. Rules that are off, that only mark, or that exempt this client are not, nor are those behind a rule that has
 * refused. So nothing is looked up that no answer depends on.
 */

export type FactsOf = {
  connect: ConnectFacts
  hello: HelloFacts
  auth: AuthFacts
  mail: MailFacts
  rcpt: RcptFacts
  data: DataFacts
}
export type LookupStage = keyof FactsOf

/** The message at end of data, for the look-ups that need it. */
export type MessageSource = { read(): AsyncIterable<Buffer>; question(facts: DataFacts): ApplicationQuestion }

type LookupOptions = { clients: LookupClients; policy: Policy; message?: MessageSource | undefined }
type Lookup<Facts> = (facts: Facts, options: LookupOptions) => Promise<Lookups> | Lookups
/** `last`: only when no other look-up of the stage is left. */
type Row<Facts> = { rules: readonly Rule[]; last?: true; lookUp: Lookup<Facts> }

/** How long a client waits for the DNS look-ups of one command. */
const timeoutMs = 5_000

/** By the rules that need the fact. */
const rows: { readonly [stage in LookupStage]: readonly Row<FactsOf[stage]>[] } = {
  connect: [
    // The session adds whether the client talked meanwhile.
    {
      rules: ['pregreet'],
      lookUp: async (_, { policy }) => sleep(policy.settings.security.greetingDelaySeconds * 1000, {}, { ref: false }),
    },
    {
      rules: ['dnsbl'],
      async lookUp({ ip }, { clients, policy }) {
        const ask = (zone: string) =>
          inTime<DnsblAnswer>(askDnsbl(clients.dns, ip, zone), { zone, answers: 'not-known' })
        return { dnsbl: await Promise.all(dnsblZones(policy, 'reject').map(ask)) }
      },
    },
    {
      rules: ['reverse-dns'],
      lookUp: async ({ ip }, { clients }) => ({ reverseDns: await inTime(askReverse(clients.dns, ip), 'not-known') }),
    },
  ],
  hello: [
    {
      rules: ['helo'],
      lookUp: async ({ argument }, { clients }) => ({
        helo: await inTime(askHelo(clients.dns, argument), 'not-known'),
      }),
    },
  ],
  auth: [],
  mail: [
    {
      rules: ['sender-domain'],
      async lookUp({ sender }, { clients }) {
        const domain = sender === null || sender === 'null-sender' ? '' : sender.domain
        return { senderDomain: await inTime(askSenderDomain(clients.dns, domain), 'not-known') }
      },
    },
  ],
  rcpt: [
    // Callouts have a time-out of their own.
    { rules: ['callout'], lookUp: callOut },
    { rules: ['greylist'], lookUp: seeGreylist },
  ],
  data: [
    { rules: ['spf', 'dkim', 'dmarc'], lookUp: verifyMessage },
    { rules: ['delivery-application'], last: true, lookUp: askApplication },
  ],
}

/**
 * @returns everything that is known then, for the next decision; `undefined` when the verdict lacks nothing that can be looked
 * up. Never rejects before the end of data; there it does when the message cannot be read.
 */
export function lookUpRequired<S extends LookupStage>(
  stage: S,
  facts: FactsOf[S],
  { verdict, asked, ...options }: LookupOptions & { verdict: Verdict; asked: Set<Rule> },
): Promise<Lookups> | undefined {
  // A whole message costs more to verify than a refusal that is certain already.
  if (stage === 'data' && verdict.outcome.kind !== 'proceed') return undefined
  const isMissing = (rule: Rule) =>
    !asked.has(rule) && verdict.trail.some((step) => step.rule === rule && step.said === 'not-known')
  const all: readonly Row<FactsOf[S]>[] = rows[stage]
  const missing = all.filter(({ rules }) => rules.some(isMissing))
  const first = missing.filter(({ last }) => !last)
  const now = first.length > 0 ? first : missing
  if (now.length === 0) return undefined
  for (const { rules } of now) for (const rule of rules) asked.add(rule)
  return Promise.all(now.map(({ lookUp }) => lookUp(facts, options))).then((found) =>
    Object.assign({}, facts.lookups, ...found),
  )
}

/** Lists of `security.dnsbl` with this action, each once. */
export function dnsblZones({ settings }: Policy, action: 'mark' | 'reject'): string[] {
  const { dnsbl } = settings.security
  if (dnsbl.length === 0) return []
  return [...new Set(dnsbl.filter((list) => list.action === action).map(({ zone }) => zone))]
}

async function callOut(facts: RcptFacts, { clients, policy }: LookupOptions): Promise<Lookups> {
  const callout = calloutFor(facts, policy)
  if (!callout) return {}
  const name = hostNameOf(policy.settings.general.hostname, facts.machine)
  return { callout: await clients.callouts.ask(callout.host, callout.address, name) }
}

function seeGreylist(
  { ip, now, senderText, recipient, recipientText }: RcptFacts,
  { clients, policy }: LookupOptions,
): Lookups {
  const settings = policy.settings.security.greylist
  if (settings === 'off') return {}
  const triplet = { ip, now, sender: senderText, recipient: recipient?.text ?? recipientText }
  return { greylist: clients.greylist.see(triplet, settings) }
}

async function askApplication(facts: DataFacts, { clients, policy, message }: LookupOptions): Promise<Lookups> {
  const setting = policy.settings.advanced.deliveryApplication
  if (setting === 'off' || !message) return {}
  return clients.application.ask(setting, { question: message.question(facts), body: () => message.read() })
}

function inTime<T>(lookup: Promise<T>, otherwise: T): Promise<T> {
  return new Promise((settle) => {
    const timer = setTimeout(settle, timeoutMs, otherwise)
    lookup.then((answer) => {
      clearTimeout(timer)
      settle(answer)
    })
  })
}
