import { type Lookups, lookupsSchema } from '@postern/contract/lookups.ts'
import type { ReplayChange, ReplayResult, ReplaySaid } from '@postern/contract/replay.ts'
import { replies } from '@postern/contract/replies.ts'
import { type Rule, ruleRow } from '@postern/contract/rules.ts'
import type { SessionRecord } from '@postern/contract/session-facts.ts'
import type { RcptVerdict, Verdict } from '@postern/contract/verdict.ts'
import type { Policy } from './policy.ts'
import { type Step, simulateSession } from './simulate-session.ts'

/**
 * Replays recorded sessions under two policies and compares the verdicts. If a rule of the draft needs data that the
 * record lacks, this is noted and never guessed.
 */

const slots = 60
const maxKinds = 200

type Slots = { from: number; width: number; sessions: number[]; changed: number[] }

export class Replay {
  readonly #before: Policy
  readonly #after: Policy
  readonly #examples: number
  readonly #slots: Slots
  readonly #changes = new Map<string, ReplayChange>()
  readonly #unanswered = new Map<Rule, { sessions: number; answers: number }>()
  readonly #notKnown = { sessions: 0, answers: 0 }
  readonly #missing = new Set<keyof Lookups>()
  /** Prototype of the record's look-ups. A rule that reads a missing look-up leaves a note here. */
  readonly #absent: Lookups
  readonly #absentRates: object
  readonly #absentCounts: object
  #sessions = 0
  #verdicts = 0
  #changedSessions = 0
  #changedVerdicts = 0
  #unreadable = 0

  constructor(before: Policy, after: Policy, options: { examples: number; since: number; until: number }) {
    this.#before = before
    this.#after = after
    this.#examples = options.examples
    const width = Math.max(1, Math.ceil((options.until - options.since) / slots))
    const none = () => new Array<number>(slots).fill(0)
    this.#slots = { from: options.since, width, sessions: none(), changed: none() }
    const note = (key: keyof Lookups) => () => {
      this.#missing.add(key)
      return undefined
    }
    const noting = (keys: string[], fact?: keyof Lookups) =>
      Object.create(
        null,
        Object.fromEntries(keys.map((key) => [key, { get: note(fact ?? (key as keyof Lookups)), enumerable: false }])),
      ) as object
    this.#absent = noting(Object.keys(lookupsSchema.shape)) as Lookups
    this.#absentRates = noting(['client', 'login', 'quota'], 'rates')
    this.#absentCounts = noting(['connections', 'messages', 'recipients'], 'rates')
  }

  get sessions(): number {
    return this.#sessions
  }

  /** Replays one line of a batch. */
  line(text: string): void {
    let session: SessionRecord
    try {
      session = JSON.parse(text) as SessionRecord
    } catch {
      this.#unreadable++
      return
    }
    if (typeof session?.ip !== 'string') this.#unreadable++
    else this.#take(session)
  }

  #take(session: SessionRecord): void {
    session.lookups = { __proto__: this.#absent, ...session.lookups } as Lookups
    if (Object.hasOwn(session.lookups, 'rates')) session.lookups.rates = this.#withAbsentRates(session.lookups.rates)
    const before = simulateSession(session, this.#before)
    this.#missing.clear()
    const after = simulateSession(session, this.#after)
    this.#findUnanswered(after, session)
    const { from, width, sessions, changed } = this.#slots
    const slot = Math.min(slots - 1, Math.max(0, Math.floor(((session.now ?? from) - from) / width)))
    this.#sessions++
    sessions[slot] = (sessions[slot] ?? 0) + 1
    const differing = this.#compare(session, before, after)
    if (differing === 0) return
    this.#changedSessions++
    this.#changedVerdicts += differing
    changed[slot] = (changed[slot] ?? 0) + 1
  }

  /** Some counters may have been recorded without others. */
  #withAbsentRates(rates: Lookups['rates']): Lookups['rates'] {
    const counts = (of: object | undefined) => of && { __proto__: this.#absentCounts, ...of }
    const { client, login } = rates ?? {}
    return {
      __proto__: this.#absentRates,
      ...rates,
      ...(client && { client: counts(client) }),
      ...(login && { login: counts(login) }),
    } as Lookups['rates']
  }

  /** Finds rules that could not decide because the record lacks data that they asked for. */
  #findUnanswered(after: Step[], session: SessionRecord): void {
    const inSession = new Set<Rule>()
    for (const { verdict } of after) {
      if (verdict === this.#after.proceed[verdict.stage]) continue
      const rules = verdict.trail
        .filter(({ rule, said }) => said === 'not-known' && this.#isAbsent(ruleRow(rule).reads, session))
        .map(({ rule }) => rule)
      if (rules.length === 0) continue
      this.#notKnown.answers++
      for (const rule of rules) {
        const count = this.#unanswered.get(rule) ?? { sessions: 0, answers: 0 }
        count.answers++
        if (!inSession.has(rule)) count.sessions++
        inSession.add(rule)
        this.#unanswered.set(rule, count)
      }
    }
    if (inSession.size > 0) this.#notKnown.sessions++
  }

  /**
   * Returns whether the record lacks a look-up. A look-up that failed is recorded as not known and would fail again. A
   * new block list was never queried.
   */
  #isAbsent(fact: keyof Lookups | undefined, { lookups }: SessionRecord): boolean {
    if (fact === undefined) return false
    if (this.#missing.has(fact)) return true
    if (fact !== 'dnsbl') return false
    const asked = new Set(lookups?.dnsbl?.map(({ zone }) => zone))
    return this.#after.settings.security.dnsbl.some(({ zone, action }) => action === 'reject' && !asked.has(zone))
  }

  /** Compares the two sides command by command. A command that only one side reached is a consequence, not a change. */
  #compare(session: SessionRecord, before: Step[], after: Step[]): number {
    this.#verdicts += Math.max(before.length, after.length)
    let differing = 0
    for (let i = 0; i < Math.min(before.length, after.length); i++) {
      const [was, is] = [before[i] as Step, after[i] as Step]
      if (isSame(was.verdict, is.verdict)) continue
      differing++
      this.#note(session, was, is)
    }
    return differing
  }

  #note(session: SessionRecord, was: Step, is: Step): void {
    const { stage } = is.verdict
    const [before, after] = [saidBy(was.verdict), saidBy(is.verdict)]
    const key = `${stage} ${before.rule} ${before.reply} ${after.rule} ${after.reply}`
    let change = this.#changes.get(key)
    if (!change) {
      if (this.#changes.size >= maxKinds) return
      const elsewhere = before.reply === 'proceed' && after.reply === 'proceed'
      change = { stage, before, after, elsewhere, count: 0, examples: [] }
      this.#changes.set(key, change)
    }
    change.count++
    if (change.examples.length < this.#examples) change.examples.push(exampleOf(session, was, is))
  }

  result(): ReplayResult {
    const { from, width, sessions, changed } = this.#slots
    return {
      sessions: this.#sessions,
      verdicts: this.#verdicts,
      changedSessions: this.#changedSessions,
      changedVerdicts: this.#changedVerdicts,
      changes: [...this.#changes.values()].sort((a, b) => b.count - a.count),
      notKnown: this.#notKnown,
      notAnswerable: [...this.#unanswered]
        .map(([rule, count]) => ({ rule, fact: ruleRow(rule).reads ?? '', ...count }))
        .sort((a, b) => b.sessions - a.sessions),
      timeline: sessions.map((count, i) => ({
        at: new Date(from + i * width).toISOString(),
        sessions: count,
        changed: changed[i] ?? 0,
      })),
      unreadable: this.#unreadable,
    }
  }
}

function isSame(a: Verdict, b: Verdict): boolean {
  if (a === b) return true
  if (a.rule !== b.rule || a.outcome.kind !== b.outcome.kind) return false
  if (a.outcome.kind === 'refuse' && b.outcome.kind === 'refuse')
    return a.outcome.reply === b.outcome.reply && a.outcome.close === b.outcome.close
  if (a.outcome.kind === 'answer' && b.outcome.kind === 'answer')
    return JSON.stringify(a.outcome.replies) === JSON.stringify(b.outcome.replies)
  return goesWhere(a) === goesWhere(b)
}

function goesWhere(verdict: Verdict): string {
  const { recipients } = verdict as Partial<RcptVerdict>
  if (!recipients || recipients.length === 0) return ''
  if (recipients.length === 1) return `${recipients[0]?.address} ${recipients[0]?.via ?? ''}`
  return recipients.map(({ address, via }) => `${address} ${via ?? ''}`).join()
}

function saidBy({ rule, outcome }: Verdict): ReplaySaid {
  if (outcome.kind === 'proceed') return { rule, reply: 'proceed', close: false }
  const name = outcome.kind === 'refuse' ? outcome.reply : outcome.replies[0]?.reply
  if (!name) return { rule, reply: '', close: false }
  const { code, enhanced, text } = replies[name]
  return {
    rule,
    reply: `${code} ${enhanced ? `${enhanced} ` : ''}${text}`,
    close: outcome.kind === 'refuse' && outcome.close,
  }
}

function exampleOf(session: SessionRecord, was: Step, is: Step): ReplayChange['examples'][number] {
  const { stage } = is.verdict
  return {
    at: new Date(session.now ?? 0).toISOString(),
    ip: session.ip,
    ...(session.helo === undefined ? {} : { helo: session.helo }),
    ...(session.login === undefined ? {} : { login: session.login }),
    ...(session.mailFrom === undefined ? {} : { sender: session.mailFrom }),
    ...(stage === 'rcpt' && is.about !== undefined ? { recipient: is.about } : {}),
    before: was.verdict.explanation[0] ?? '',
    after: is.verdict.explanation[0] ?? '',
  }
}
