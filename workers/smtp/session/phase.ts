/**
 * Where a session is. One field holds it, and only `Connection.enter` changes it.
 *
 *     new → greeting → commands ⇄ response | message | handshake
 *     any of them → closing → closed
 */
export type Phase =
  /** The socket was accepted; the session is not counted yet. */
  | 'new'
  /** The connect rules are being decided, and the banner has not been sent. */
  | 'greeting'
  /** The next line is a command. */
  | 'commands'
  /** The next line answers a challenge of AUTH. */
  | 'response'
  /** Bytes of a message are expected. */
  | 'message'
  /** STARTTLS was answered, and TLS is not established. */
  | 'handshake'
  /** Nothing is read any more; the last replies are being written. */
  | 'closing'
  | 'closed'

/** Why a session that goes on is to end at the next good moment. */
export type Exit =
  /** The service stops: when the transaction has its end. */
  | 'stopping'
  /** Its address was blocked: when the message that is coming in has its answer. */
  | 'blocked'
