import type { EventFields, EventType } from '@postern/contract/events.ts'
import type { SessionFacts } from '@postern/contract/facts.ts'
import type { Reason } from '@postern/contract/reasons.ts'
import type { Rule } from '@postern/contract/rules.ts'
import type { Verdict } from '@postern/contract/verdict.ts'
import type { Policy } from '@postern/policy/policy.ts'
import { maskClientLine, maskServerLine } from '@postern/runtime/logging/mask.ts'
import type { RecordEvent } from '@postern/runtime/worker.ts'
import type { Counters } from './counters.ts'
import { clientRecord, printable, verdictRecord } from './event-fields.ts'

/** What a refusal was about. */
export type About = { sender?: string; recipient?: string; login?: string; mechanism?: string }

/** Of the receiver. */
export type LogSink = {
  readonly policy: Policy
  readonly record: RecordEvent
  readonly counters: Counters
  /** Whether the log takes events of this type now. */
  wants(type: EventType): boolean
}

/** Protocol errors of one session that become events; the rest is counted. */
const maxErrorEvents = 10

/** Every event and counter of one session, from its connection to its end. */
export class SessionLog {
  readonly #sink: LogSink
  readonly #facts: SessionFacts
  readonly #session: string
  readonly #isVerb: (verb: string) => boolean
  readonly #openedAt = performance.now()
  /** Messages that came to their end, whatever was answered. */
  messages = 0
  #errors = 0
  /** Watched rules that were reported already. */
  #watched: Rule[] | undefined

  /** `isVerb`: whether a word is a command, so that a dialogue shows it; other words may be a secret. */
  constructor(
    sink: LogSink,
    facts: SessionFacts,
    { session, isVerb }: { session: string; isVerb: (verb: string) => boolean },
  ) {
    this.#sink = sink
    this.#facts = facts
    this.#session = session
    this.#isVerb = isVerb
  }

  get #client(): EventFields<'session.error'>['client'] {
    return clientRecord(this.#facts)
  }

  opened(): void {
    const { listener } = this.#facts
    if (this.#sink.wants('session.opened'))
      this.#sink.record('session.opened', { client: this.#client, session: this.#session, listener })
  }

  closed(): void {
    if (!this.#sink.wants('session.closed')) return
    const seconds = Math.round((performance.now() - this.#openedAt) / 100) / 10
    const { messages } = this
    this.#sink.record('session.closed', { client: this.#client, session: this.#session, messages, seconds })
  }

  /** `isResponse`: the line answers a challenge of AUTH. */
  received(line: string, isResponse: boolean): void {
    if (!this.#sink.wants('session.dialogue')) return
    const blank = line.indexOf(' ')
    const verb = (blank === -1 ? line : line.slice(0, blank)).toUpperCase()
    this.#dialogue('client', maskClientLine(line, { within: isResponse, known: this.#isVerb(verb) }))
  }

  /** Replies as they are written together. */
  sent(replies: string): void {
    if (!this.#sink.wants('session.dialogue')) return
    for (const line of replies.split('\r\n')) if (line !== '') this.#dialogue('server', maskServerLine(line))
  }

  #dialogue(from: 'client' | 'server', text: string): void {
    const client = { ip: this.#facts.ip }
    this.#sink.record('session.dialogue', { client, session: this.#session, from, text: printable(text) })
  }

  /** What watched rules would have done, whether or not a message comes of it: each rule once a session. */
  watched({ stage, trail }: Verdict): void {
    const { watch } = this.#sink.policy.settings.security
    if (watch.length === 0) return
    for (const { rule, said, because = '' } of trail) {
      if (said !== 'watched' || this.#watched?.includes(rule) || !(watch as readonly Rule[]).includes(rule)) continue
      this.#watched = [...(this.#watched ?? []), rule]
      this.#sink.record('session.watched', { client: this.#client, stage, rule, because: printable(because) })
    }
  }

  /** `reply`: as the client reads it. */
  refused(verdict: Verdict, reply: string, { sender, recipient, login, mechanism }: About): void {
    const { record, counters } = this.#sink
    const refused = { client: this.#client, verdict: verdictRecord(verdict, reply) }
    if (verdict.stage === 'connect') {
      counters.sessions_refused_total++
      record('session.refused', refused)
      return
    }
    if (verdict.stage === 'auth' && verdict.rule === 'auth-credentials') {
      counters.auth_failed_total++
      record('auth.failed', { ...refused, login: printable(login ?? ''), mechanism: mechanism ?? '' })
      return
    }
    counters.commands_refused_total++
    record('command.refused', {
      ...refused,
      ...(sender === undefined ? {} : { sender: printable(sender) }),
      ...(recipient === undefined ? {} : { recipient: printable(recipient) }),
    })
  }

  messageRefused(
    verdict: Verdict,
    reply: string,
    { sender, recipients, size }: { sender: string; recipients: readonly { address: string }[]; size: number },
  ): void {
    this.#sink.counters.messages_refused_total++
    this.#sink.record('message.refused', {
      client: this.#client,
      sender,
      recipients: recipients.map(({ address }) => address),
      size,
      verdict: verdictRecord(verdict, reply),
    })
  }

  loggedIn(login: string, mechanism: string): void {
    this.#sink.counters.auth_succeeded_total++
    this.#sink.record('auth.succeeded', { client: this.#client, login, mechanism })
  }

  protocolError(reason: Reason, detail: string, reply: string): void {
    this.#sink.counters.protocol_errors_total++
    if (this.#errors++ < maxErrorEvents) this.error(reason, detail, reply)
  }

  timedOut(detail: string, reply: string): void {
    this.#sink.counters.timeouts_total++
    this.error('timeout', detail, reply)
  }

  error(reason: Reason, detail: string, reply: string): void {
    this.#sink.record('session.error', {
      client: this.#client,
      reason,
      detail: printable(detail),
      reply: printable(reply.trimEnd()),
    })
  }
}
