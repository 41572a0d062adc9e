import type { SessionContext } from '../session/context.ts'

/** One command a row; the protocol's rules about it are columns. */
export type Command = {
  verb: string
  /** Shown by HELP. */
  syntax: string
  /** RFC 5321 §4.1.4: only after HELO or EHLO. */
  afterHello: boolean
  argument: 'none' | 'optional' | 'required'
  /** Octets a line may have with its CRLF: 512 (RFC 5321 §4.5.3.1.4) and what the extensions add. */
  longest: number
  run(session: SessionContext, argument: string): void
}

export const plainLine = 512
