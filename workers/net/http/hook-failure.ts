/** Why nothing usable came from outside. The message is for the operator; no secret and no octet of an answer stands in it. */
export type HookTrouble =
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
  readonly trouble: HookTrouble
  constructor(trouble: HookTrouble, message: string) {
    super(message.slice(0, 300))
    this.trouble = trouble
  }
}
