import { type Reply, replyText } from './reply.ts'

export type Stage =
  | 'connect'
  | 'greeting'
  | 'hello'
  /** The host is this server. */
  | 'loop'
  /** What has to be verified is not known for now. */
  | 'terms'
  | 'tls'
  | 'proof'
  | 'auth'
  | 'mail'
  | 'rcpt'
  | 'data'
  | 'body'
  | 'end'

/** The connection cannot go on. `reply`: the remote's last reply, if there is one. */
export class ConnectionFailure extends Error {
  override readonly name = 'ConnectionFailure'
  readonly stage: Stage
  readonly reply: Reply | undefined
  /** The remote did not reply in time. */
  silent = false
  constructor(stage: Stage, message: string, reply?: Reply) {
    super(message.slice(0, 500))
    this.stage = stage
    this.reply = reply
  }
  /** The remote's reply, or our message. */
  get text(): string {
    return this.reply ? replyText(this.reply) : this.message
  }
}
