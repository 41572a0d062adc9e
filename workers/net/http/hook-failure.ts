/** Why nothing usable came from outside. The message is for the operator; no secret and no octet of an answer stands in it. */
export type HookFailureKind =
  /** The address is out of reach: nobody was asked. */
  | 'forbidden'
  /** No such host, no connection, no TLS. */
  | 'unreachable'
  | 'timeout'
  /** What came is not an answer, or too long for one. */
  | 'nonsense'
  /** Too many failures just now: nobody was asked. */
  | 'resting'

export class HookFailure extends Error {
  override readonly name = 'HookFailure'
  readonly trouble: HookFailureKind
  constructor(trouble: HookFailureKind, message: string) {
    super(message.slice(0, 300))
    this.trouble = trouble
  }
}
