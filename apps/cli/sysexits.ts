/** Exit codes that callers of sendmail expect (sysexits.h). */
export const sysexits = {
  usage: 64,
  data: 65,
  noInput: 66,
  noUser: 67,
  internal: 70,
  tryAgain: 75,
  noPermission: 77,
  config: 78,
} as const

/** Ends the command with this exit code and prints the message. */
export class Exit extends Error {
  override name = 'Exit'
  readonly code: number
  constructor(code: number, message: string) {
    super(message)
    this.code = code
  }
}
