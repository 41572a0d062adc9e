import type { EventType } from '@postern/contract/events.ts'
import { type Rule, rulesNeverWatched, type Stage, stageNames } from '@postern/contract/rules.ts'
import { stages } from '../../workers/policy/stages.ts'
import { type Case, type CaseInput, readCase } from './case.ts'
import { apart, notInOrder, onlyTell, type Provocation, provocations } from './provocations.ts'

/** Cases generated from the table of provocations. Each is like one in a file, with its own number and name. */

type Ordered = {
  stage: Stage
  rule: Rule
  exempt: boolean
}

export const order: Ordered[] = stageNames
  .filter((stage) => !notInOrder.includes(stage))
  .flatMap((stage) =>
    stages[stage]
      .filter(({ name }) => !onlyTell.includes(name))
      .map(({ name, exemptsWhiteListed }) => ({ stage, rule: name, exempt: exemptsWhiteListed })),
  )

function provocationOf({ stage, rule }: Pick<Ordered, 'stage' | 'rule'>): Provocation | undefined {
  return provocations[`${stage}:${rule}`] ?? provocations[rule]
}

/** Errors are evaluated at any time, so the fault stage has no place in the order. */
const areNeighbours = (a: Ordered, b: Ordered) => a.stage === b.stage || (a.stage !== 'fault' && b.stage !== 'fault')

export const withoutProvocation = order.filter((one) => !provocationOf(one)).map(({ rule }) => rule)

export function casesOfTheOrder(): Case[] {
  let number = 2000
  const read = (made: Made) => readCase({ number: ++number, ...made, events: eventsOf(made) } as CaseInput, made.name)
  const known = order.filter(provocationOf)
  return [
    ...known.map((one) => read(alone(one))),
    ...known
      .filter(({ rule }) => !(rulesNeverWatched as readonly Rule[]).includes(rule))
      .map((one) => read(watched(one))),
    ...known.filter(({ exempt }) => exempt).map((one) => read(whiteListed(one))),
    ...known.slice(1).flatMap((later, i) => {
      const earlier = known[i] as Ordered
      return apart[`${earlier.rule}+${later.rule}`] || !areNeighbours(earlier, later)
        ? []
        : [read(together(earlier, later))]
    }),
  ]
}

type Made = Omit<CaseInput, 'number' | 'events'>

function alone({ stage, rule }: Ordered): Made {
  const provoked = provocationOf({ stage, rule }) as Provocation
  return {
    name: `${stage}: ${rule} decides`,
    why: `The rule ${rule} is provoked alone, so it answers.`,
    proves: provoked.proves,
    ...shared(provoked),
    dialogue: dialogue(provoked.says, {
      stage,
      reply: provoked.reply,
      before: provoked.before,
      isFault: stage === 'fault',
    }),
    verdict: { stage, rule, reason: provoked.reason as never },
  }
}

function watched({ stage, rule }: Ordered): Made {
  const provoked = provocationOf({ stage, rule }) as Provocation
  return {
    name: `${stage}: ${rule} is watched and decides nothing`,
    why: `In watch mode ${rule} is evaluated and logged; the mail goes on.`,
    proves: ['security.watch'],
    ...shared(over({ settings: { security: { watch: [rule] } } }, provoked)),
    dialogue: dialogue(provoked.says, { before: provoked.before, isFault: stage === 'fault' }),
    verdict: {
      stage: 'data',
      rule: 'accept',
      reason: 'accepted',
      ...(stage === 'data' ? { trail: { [rule]: 'watched' } } : {}),
    },
  } as Made
}

function whiteListed({ stage, rule }: Ordered): Made {
  const provoked = provocationOf({ stage, rule }) as Provocation
  return {
    name: `${stage}: ${rule} is not asked about a white-listed client`,
    why: 'Rules marked W in the catalogue are skipped for clients in the White List; without the entry it is refused (see above).',
    proves: ['list:white', ...provoked.proves],
    ...shared(over({ lists: { white: ['{ip}'] } }, provoked)),
    dialogue: dialogue(provoked.says, { before: provoked.before, isFault: stage === 'fault' }),
    verdict: {
      stage: 'data',
      rule: 'accept',
      reason: 'accepted',
      ...(stage === 'data' ? { trail: { [rule]: 'exempt' } } : {}),
    },
  } as Made
}

function together(earlier: Ordered, later: Ordered): Made {
  const first = provocationOf(earlier) as Provocation
  const second = provocationOf(later) as Provocation
  const says = { ...second.says, ...first.says, ...first.withNext }
  const both = { ...over(first.given ?? {}, second), facts: facts(first, second) }
  return {
    name: `order: ${earlier.rule} answers before ${later.rule}`,
    why: 'Both rules are provoked by the same client; the check order of the catalogue says who answers.',
    proves: [],
    ...shared(both as Provocation),
    dialogue: dialogue(says, {
      stage: earlier.stage,
      reply: first.reply,
      before: first.before ?? second.before,
      isFault: earlier.stage === 'fault',
    }),
    verdict: { stage: earlier.stage, rule: earlier.rule, reason: first.reason as never },
  }
}

/** Returns a provocation with additional settings. */
function over(given: NonNullable<Provocation['given']>, provoked: Provocation): Provocation {
  const settings: Record<string, object> = { ...provoked.given?.settings }
  for (const [group, values] of Object.entries(given.settings ?? {}))
    settings[group] = { ...settings[group], ...values }
  const lists = { ...provoked.given?.lists, ...given.lists }
  const groups = given.groups ?? provoked.given?.groups
  const domains = given.domains ?? provoked.given?.domains
  return {
    ...provoked,
    given: { settings, lists, ...(groups ? { groups } : {}), ...(domains ? { domains } : {}) },
  }
}

function facts(first: Provocation, second: Provocation): Record<string, unknown> {
  const lookups = { ...(second.facts?.lookups as object), ...(first.facts?.lookups as object) }
  return { ...second.facts, ...first.facts, ...(Object.keys(lookups).length > 0 ? { lookups } : {}) }
}

function shared({ given, facts: known }: Provocation): Pick<Made, 'given' | 'facts'> {
  return {
    given: (given ?? {}) as never,
    facts: (known ?? {}) as never,
  }
}

/** Returns the usual dialogue, up to the refused line. */
function dialogue(
  says: Provocation['says'] = {},
  end: { stage?: Stage; reply?: string; before?: string | undefined; isFault?: boolean },
): [string, string][] {
  const lines: [Stage | null, string, string][] = [
    ['connect', '', '220'],
    ...(end.isFault ? [['fault', '(fault)', ''] as [Stage, string, string]] : []),
    ['hello', says.hello ?? 'EHLO client.test', '250'],
    ...(says.auth ? [['auth', says.auth, '235'] as [Stage, string, string]] : []),
    ['mail', says.mail ?? 'MAIL FROM:<eve@remote.example>', '250 2.1.0'],
    ...(end.before ? [[null, end.before, '250 2.1.5'] as [null, string, string]] : []),
    ['rcpt', says.rcpt ?? 'RCPT TO:<jane@example.org>', '250 2.1.5'],
    [null, 'DATA', '354'],
    ['data', says.message ?? 'Subject: a case\r\n\r\nhello\r\n', '250 2.0.0'],
  ]
  const last = lines.findIndex(([stage]) => stage === end.stage)
  const upTo = end.stage === undefined ? lines : lines.slice(0, last + 1)
  return upTo.map(([stage, said, reply]) => [said, stage === end.stage ? (end.reply ?? reply) : reply])
}

/** Events recorded before and for the verdict. */
function eventsOf({ given, facts = {}, dialogue, verdict: { stage, rule } }: Made): EventType[] {
  const { errors = 0, invalidRecipients = 0 } = facts as { errors?: number; invalidRecipients?: number }
  const isWatched = 'watch' in ((given as Provocation['given'])?.settings?.security ?? {})
  const events: (EventType | false)[] = [
    errors > invalidRecipients && 'session.error',
    isWatched && 'session.watched',
    invalidRecipients > 0 && 'command.refused',
    dialogue.some(([says, reply]) => says.startsWith('AUTH ') && reply === '235') && 'auth.succeeded',
    (rule === 'pregreet' || rule === 'hack-attempt') && 'address.blocked',
    // It only slows the session down.
    rule !== 'soft-error-limit' && eventOf(stage, rule),
  ]
  return [...new Set(events.filter((event) => event !== false))]
}

function eventOf(stage: Stage, rule: Rule): EventType {
  if (rule === 'accept') return 'message.accepted'
  if (stage === 'connect') return 'session.refused'
  if (rule === 'auth-credentials') return 'auth.failed'
  return stage === 'data' ? 'message.refused' : 'command.refused'
}
