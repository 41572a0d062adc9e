import type {
  AuthFacts,
  ConnectFacts,
  DataFacts,
  FaultFacts,
  HelloFacts,
  MailFacts,
  RcptFacts,
} from '@postern/contract/facts.ts'
import { recordOf } from '@postern/contract/session.ts'

/** Where records go: one session as JSON, and when it was. */
export type FactSink = { record(line: string, now: number): void }

/** A transaction that asks for more recipients is recorded with these. */
const maxRecipients = 1_000

/**
 * Remembers what the decisions of one session looked at, and hands it on for the replay: one record a transaction, and one
 * for a session without any. It keeps the facts that were made anyway; the record is made when the transaction has its end.
 */
export class SessionFactsRecorder {
  readonly #sink: FactSink | undefined
  #connect: ConnectFacts | undefined
  #hello: HelloFacts | undefined
  #auth: AuthFacts | undefined
  #mail: MailFacts | undefined
  #rcpts: RcptFacts[] = []
  #fault: FaultFacts | undefined
  /** Something was decided that no record tells yet. */
  #news = false

  constructor(sink: FactSink | undefined) {
    this.#sink = sink
  }

  connect(facts: ConnectFacts): ConnectFacts {
    this.#connect = facts
    this.#news = true
    return facts
  }

  hello(facts: HelloFacts): HelloFacts {
    this.#end()
    this.#hello = facts
    this.#news = true
    return facts
  }

  auth(facts: AuthFacts): AuthFacts {
    this.#end()
    this.#auth = facts
    this.#news = true
    return facts
  }

  mail(facts: MailFacts): MailFacts {
    this.#end()
    this.#mail = facts
    this.#news = true
    return facts
  }

  rcpt(facts: RcptFacts): RcptFacts {
    if (this.#sink && this.#rcpts.length < maxRecipients) this.#rcpts.push(facts)
    return facts
  }

  data(facts: DataFacts): DataFacts {
    this.#write(facts)
    return facts
  }

  /** Goes into the next record: the last error, and a hack attempt whatever error follows it. */
  fault(facts: FaultFacts): FaultFacts {
    const attempt = facts.attempt ?? this.#fault?.attempt
    this.#fault = attempt === facts.attempt ? facts : { ...facts, ...(attempt && { attempt }) }
    this.#news = true
    return facts
  }

  /** The session is over. */
  close(): void {
    if (this.#news) this.#write(undefined)
    this.#connect = undefined
  }

  /** The transaction before, which came to no message. */
  #end(): void {
    if (this.#mail && this.#news) this.#write(undefined)
  }

  #write(data: DataFacts | undefined): void {
    const connect = this.#connect
    if (this.#sink && connect) {
      const facts = {
        connect,
        hello: this.#hello,
        auth: this.#auth,
        mail: this.#mail,
        rcpts: this.#rcpts,
        data,
        fault: this.#fault,
      }
      const record = recordOf(facts)
      this.#sink.record(JSON.stringify(record), record.now ?? connect.now)
    }
    this.#mail = undefined
    this.#fault = undefined
    if (this.#rcpts.length > 0) this.#rcpts = []
    this.#news = false
  }
}
