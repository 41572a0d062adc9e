/**
 * Why an external service gave no usable answer. The message is for the operator; it never contains a secret or any
 * byte of an answer.
 */
export type HookFailureKind =
  /** The address is not allowed; no request was sent. */
  | 'forbidden'
  /** No such host, no connection, or no TLS. */
  | 'unreachable'
  | 'timeout'
  /** The response is not a valid answer, or is too long. */
  | 'nonsense'
  /** There were too many recent failures; no request was sent. */
  | 'resting'

export class HookFailure extends Error {
  override readonly name = 'HookFailure'
  readonly trouble: HookFailureKind
  constructor(trouble: HookFailureKind, message: string) {
    super(message.slice(0, 300))
    this.trouble = trouble
  }
}
