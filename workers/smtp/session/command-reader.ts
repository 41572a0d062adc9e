import type { ReplyName } from '@postern/contract/replies.ts'
import type { Verdict } from '@postern/contract/verdict.ts'
import { understand } from '../commands/understand.ts'
import type { SessionContext } from './context.ts'
import type { ErrorLimits } from './error-limits.ts'
import type { LineFault } from './line-reader.ts'
import type { Replies } from './replies.ts'

/** The session, as what its client says sees it. */
export type CommandSession = SessionContext & {
  /** What the client's conduct means for the session. @returns whether it means anything */
  judge(verdict: Verdict | undefined): boolean
}

const lineFaults: Record<LineFault, { reply: ReplyName; detail: string }> = {
  'too-long': { reply: 'lineTooLong', detail: 'a command line is too long' },
  'bare-line-feed': { reply: 'bareLineFeedInCommand', detail: 'a command line with a bare CR or LF' },
  'nul-octet': { reply: 'syntaxError', detail: 'a command line with a NUL octet' },
  'not-utf8': { reply: 'syntaxError', detail: 'a command line that is neither ASCII nor UTF-8' },
}

/** What a client says: which line is a command and is carried out, which is none, and what its being none tells of the client. */
export class CommandReader {
  readonly #session: CommandSession
  readonly #answers: Replies
  readonly #conduct: ErrorLimits
  /** Empty lines with which the client began; -1 once it said something else. */
  #emptyFirst = 0
  #spokeOfAuth = false

  constructor(session: CommandSession, answers: Replies, conduct: ErrorLimits) {
    this.#session = session
    this.#answers = answers
    this.#conduct = conduct
  }

  command(text: string): void {
    const session = this.#session
    const understood = understand(text, { greeted: session.facts.helo !== undefined, secretive: this.#spokeOfAuth })
    this.#emptyFirst = text === '' && this.#emptyFirst === this.#answers.faults ? this.#emptyFirst + 1 : -1
    switch (understood.kind) {
      case 'command':
        if (understood.command.verb === 'AUTH') this.#spokeOfAuth = true
        this.#answers.understood()
        if (session.judge(this.#conduct.command(understood.command.verb))) break
        understood.command.run(session, understood.argument)
        break
      case 'proxy':
        this.#proxyLied()
        break
      case 'fault': {
        if (/^AUTH/i.test(text)) this.#spokeOfAuth = true
        const { reply, values, detail, sequence, end } = understood
        const why = { detail, ...(values && { values }), ...(sequence && { reason: 'bad-sequence' as const }) }
        session.fault(reply, end ? why : { ...why, line: text })
        if (end) {
          this.#conduct.attempted('other-protocol', detail)
          session.leave()
        }
      }
    }
  }

  badLine(fault: LineFault, text: string): void {
    // Two empty lines and a NUL: so begins a PROXY header of version 2.
    if (fault === 'nul-octet' && this.#emptyFirst === 2) {
      this.#proxyLied()
      return
    }
    this.#session.fault(lineFaults[fault].reply, { detail: lineFaults[fault].detail, line: text })
  }

  /** Only a balancer that is named in advanced.proxyProtocol is believed, and its header never comes this far. */
  #proxyLied(): void {
    this.#session.fault('proxyError', {
      values: { ip: this.#session.facts.ip },
      detail: 'PROXY header from an address that is not trusted',
    })
    this.#session.leave()
  }
}
