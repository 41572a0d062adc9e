import { setTimeout as sleep } from 'node:timers/promises'
import type { ConnectFacts, HelloFacts, MailFacts, RcptFacts } from '@postern/contract/facts.ts'
import { hostNameOf } from '@postern/contract/host-name.ts'
import type { Lookups } from '@postern/contract/lookups.ts'
import type { Rule } from '@postern/contract/rules.ts'
import type { Verdict } from '@postern/contract/verdict.ts'
import type { Examiner } from '@postern/mailauth/examiner.ts'
import { calloutFor } from '@postern/policy/decide.ts'
import type { Policy } from '@postern/policy/policy.ts'
import type { Application } from './application.ts'
import type { Callouts } from './callouts.ts'
import type { Dns } from './dns.ts'
import { askDnsbl, type Heard } from './dnsbl.ts'
import type { Greylist } from './greylist.ts'
import { askHelo } from './helo.ts'
import { askReverse } from './reverse.ts'
import { askSenderDomain } from './sender-domain.ts'

/**
 * What has to be asked before a command can be answered. The verdict says it: a rule whose fact is missing stands in the trail as
 * not known. Rules that are off, that only mark, or that do not ask about this client (White List, login) do not stand there so,
 * nor do those behind a rule that has refused already. So nothing is asked that no answer depends on.
 */

/** Of whom is asked. */
export type LookupClients = {
  dns: Dns
  greylist: Greylist
  callouts: Callouts
  application: Application
  /** Examines messages before they are answered; without it nothing is known about them. */
  examiner?: Pick<Examiner, 'sent' | 'close'>
  /** For the operator's log. */
  trouble?: (error: unknown) => void
}

type AskedOf = { connect: ConnectFacts; hello: HelloFacts; mail: MailFacts; rcpt: RcptFacts }
type Asker<Facts> = (
  facts: Facts,
  world: { lookupClients: LookupClients; policy: Policy },
) => Promise<Lookups> | Lookups

/** Milliseconds that a client waits for all look-ups of one command together. */
const patienceMs = 5_000

/** By the rule that needs the fact. */
const askers: { [stage in keyof AskedOf]: readonly [Rule, Asker<AskedOf[stage]>][] } = {
  connect: [
    // The session adds whether octets came meanwhile.
    [
      'pregreet',
      async (_, { policy }) => sleep(policy.settings.security.greetingDelaySeconds * 1000, {}, { ref: false }),
    ],
    [
      'dnsbl',
      async ({ ip }, { lookupClients, policy }) => {
        const ask = (zone: string) =>
          inTime<Heard>(askDnsbl(lookupClients.dns, ip, zone), { zone, answers: 'not-known' })
        return { dnsbl: await Promise.all(zonesThat(policy, 'reject').map(ask)) }
      },
    ],
    [
      'reverse-dns',
      async ({ ip }, { lookupClients }) => ({ reverse: await inTime(askReverse(lookupClients.dns, ip), 'not-known') }),
    ],
  ],
  hello: [
    [
      'helo-resolves',
      async ({ argument }, { lookupClients }) => ({
        helo: await inTime(askHelo(lookupClients.dns, argument), 'not-known'),
      }),
    ],
  ],
  mail: [
    [
      'sender-domain',
      async ({ sender }, { lookupClients }) => {
        const domain = sender === null || sender === 'null-sender' ? '' : sender.domain
        return { senderDomain: await inTime(askSenderDomain(lookupClients.dns, domain), 'not-known') }
      },
    ],
  ],
  rcpt: [
    // It has a time-out of its own.
    ['callout', (facts, { lookupClients, policy }) => atRoutedHost(facts, lookupClients, policy)],
    ['greylist', (facts, { lookupClients, policy }) => seen(facts, lookupClients, policy)],
  ],
}

/**
 * @returns everything that is known then, for a second decision; `undefined` when the verdict lacks nothing that can be asked.
 * Never rejects; after 5 seconds (and a greeting delay) what was not heard is not known.
 */
export function askWhatIsMissing<S extends keyof AskedOf>(
  stage: S,
  facts: AskedOf[S],
  { verdict, lookupClients, policy }: { verdict: Verdict; lookupClients: LookupClients; policy: Policy },
): Promise<Lookups> | undefined {
  if (verdict.trail === policy.proceed[stage].trail) return undefined
  const rows: readonly [Rule, Asker<AskedOf[S]>][] = askers[stage]
  const missing = rows.filter(([rule]) => verdict.trail.some((step) => step.rule === rule && step.said === 'not-known'))
  if (missing.length === 0) return undefined
  return Promise.all(missing.map(([, ask]) => ask(facts, { lookupClients, policy }))).then((heard) =>
    Object.assign({}, facts.lookups, ...heard),
  )
}

/** Lists of `security.dnsbl` with this action, each once. */
export function zonesThat({ settings }: Policy, action: 'mark' | 'reject'): string[] {
  const { dnsbl } = settings.security
  if (dnsbl.length === 0) return []
  return [...new Set(dnsbl.filter((list) => list.action === action).map(({ zone }) => zone))]
}

async function atRoutedHost(facts: RcptFacts, { callouts }: LookupClients, policy: Policy): Promise<Lookups> {
  const asked = calloutFor(facts, policy)
  if (!asked) return {}
  const name = hostNameOf(policy.settings.general.hostname, facts.machine)
  return { callout: await callouts.ask(asked.host, asked.address, name) }
}

function seen(
  { ip, now, senderText, recipient, recipientText }: RcptFacts,
  { greylist }: LookupClients,
  policy: Policy,
): Lookups {
  const patience = policy.settings.security.greylist
  if (patience === 'off') return {}
  const sight = { ip, now, sender: senderText, recipient: recipient?.text ?? recipientText }
  return { greylist: greylist.see(sight, patience) }
}

function inTime<T>(asked: Promise<T>, otherwise: T): Promise<T> {
  return new Promise((settle) => {
    const timer = setTimeout(settle, patienceMs, otherwise)
    asked.then((answer) => {
      clearTimeout(timer)
      settle(answer)
    })
  })
}
