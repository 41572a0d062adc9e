import type {
  AuthFacts,
  ConnectFacts,
  DataFacts,
  FaultFacts,
  HelloFacts,
  MailFacts,
  RcptFacts,
} from '@postern/contract/facts.ts'
import { recordOf } from '@postern/contract/session-facts.ts'

/** Where records go: one session as JSON, and when it was. */
export type FactSink = { record(line: string, now: number): void }

/** A transaction that asks for more recipients is recorded with these. */
const maxRecipients = 1_000

type StageFacts = { connect: ConnectFacts; hello: HelloFacts; auth: AuthFacts; mail: MailFacts }

/**
 * Keeps what the decisions of one session were about and hands it on for the replay: one record a transaction, and one for a
 * session without any. It keeps the facts that were made anyway; the record is made at the end of the transaction.
 */
export class SessionFactsRecorder {
  readonly #sink: FactSink | undefined
  #stages: { [stage in keyof StageFacts]?: StageFacts[stage] | undefined } = {}
  #rcpts: RcptFacts[] = []
  #fault: FaultFacts | undefined
  /** Something was decided that is in no record yet. */
  #isDirty = false

  constructor(sink: FactSink | undefined) {
    this.#sink = sink
  }

  /** A new HELO, login or MAIL ends a transaction that came to no message. */
  record<S extends keyof StageFacts | 'rcpt'>(stage: S, facts: (StageFacts & { rcpt: RcptFacts })[S]): void {
    if (stage === 'rcpt') {
      if (this.#sink && this.#rcpts.length < maxRecipients) this.#rcpts.push(facts as RcptFacts)
      return
    }
    if (this.#stages.mail && this.#isDirty) this.#write(undefined)
    this.#stages[stage as keyof StageFacts] = facts as never
    this.#isDirty = true
  }

  /** The message is decided, and with it the transaction. */
  data(facts: DataFacts): void {
    this.#write(facts)
  }

  /** Goes into the next record: the last error, and a hack attempt whatever error follows it. */
  fault(facts: FaultFacts): void {
    const attempt = facts.attempt ?? this.#fault?.attempt
    this.#fault = attempt === facts.attempt ? facts : { ...facts, ...(attempt && { attempt }) }
    this.#isDirty = true
  }

  /** The session is over. */
  close(): void {
    if (this.#isDirty) this.#write(undefined)
    this.#stages = {}
  }

  #write(data: DataFacts | undefined): void {
    const { connect, hello, auth, mail } = this.#stages
    if (this.#sink && connect) {
      const record = recordOf({ connect, hello, auth, mail, rcpts: this.#rcpts, data, fault: this.#fault })
      this.#sink.record(JSON.stringify(record), record.now ?? connect.now)
    }
    this.#stages.mail = undefined
    this.#fault = undefined
    if (this.#rcpts.length > 0) this.#rcpts = []
    this.#isDirty = false
  }
}
