import type { ReplyName } from '@postern/contract/replies.ts'
import { parseLine } from '../commands/parse-line.ts'
import type { ErrorLimits } from './error-limits.ts'
import type { LineFault } from './line-reader.ts'
import type { Replies } from './replies.ts'
import type { SessionView } from './view.ts'

const lineFaults: Record<LineFault, { reply: ReplyName; detail: string }> = {
  'too-long': { reply: 'lineTooLong', detail: 'a command line is too long' },
  'bare-line-feed': { reply: 'bareLineFeedInCommand', detail: 'a command line with a bare CR or LF' },
  'nul-octet': { reply: 'syntaxError', detail: 'a command line with a NUL octet' },
  'not-utf8': { reply: 'syntaxError', detail: 'a command line that is neither ASCII nor UTF-8' },
}

/** The command lines of one session: runs what is a command, and answers what is none. */
export class CommandReader {
  readonly #session: SessionView
  readonly #replies: Replies
  readonly #limits: ErrorLimits
  /** Empty lines with which the client began; -1 once it sent something else. */
  #emptyFirst = 0
  #hasTriedAuth = false

  constructor(session: SessionView, replies: Replies, limits: ErrorLimits) {
    this.#session = session
    this.#replies = replies
    this.#limits = limits
  }

  command(text: string): void {
    const session = this.#session
    const parsed = parseLine(text, { greeted: session.facts.helo !== undefined, afterAuth: this.#hasTriedAuth })
    this.#emptyFirst = text === '' && this.#emptyFirst === this.#replies.errors ? this.#emptyFirst + 1 : -1
    switch (parsed.kind) {
      case 'command':
        if (parsed.command.verb === 'AUTH') this.#hasTriedAuth = true
        this.#replies.understood()
        if (session.judge(this.#limits.command(parsed.command.verb))) break
        parsed.command.run(session, parsed.argument)
        break
      case 'proxy':
        this.#refuseProxyHeader()
        break
      case 'error': {
        if (/^AUTH/i.test(text)) this.#hasTriedAuth = true
        const { reply, values, detail, sequence, close } = parsed
        const error = { detail, ...(values && { values }), ...(sequence && { reason: 'bad-sequence' as const }) }
        session.protocolError(reply, close ? error : { ...error, line: text })
        if (close) {
          this.#limits.hackAttempt('other-protocol', detail)
          session.leave()
        }
      }
    }
  }

  badLine(fault: LineFault, text: string): void {
    // A PROXY header of version 2 begins with two empty lines and a NUL.
    if (fault === 'nul-octet' && this.#emptyFirst === 2) {
      this.#refuseProxyHeader()
      return
    }
    this.#session.protocolError(lineFaults[fault].reply, { detail: lineFaults[fault].detail, line: text })
  }

  /** The header of a balancer named in advanced.proxyProtocol is read before the session begins; any other is refused. */
  #refuseProxyHeader(): void {
    this.#session.protocolError('proxyError', {
      values: { ip: this.#session.facts.ip },
      detail: 'PROXY header from an address that is not trusted',
    })
    this.#session.leave()
  }
}
