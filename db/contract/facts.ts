import type { MailAddress } from './address.ts'
import type { Lookups } from './lookups.ts'
import type { HackAttempt } from './offences.ts'

/**
 * The facts known at each stage. Facts are gathered first, and a decision uses nothing else. A failed look-up is
 * 'not-known', never 'no'.
 */

/** The listener that accepted the connection. `smtp`: port 25 and the extra ports. */
export type Listener = 'smtp' | 'submission' | 'smtps'

export type SessionFacts = {
  /** Milliseconds since the epoch. */
  now: number
  listener: Listener
  /** The client's canonical address. Behind a trusted balancer, the address in the PROXY header. */
  ip: string
  /** The address of the balancer, if there was one. */
  balancer?: string
  /**
   * The server address that the client connected to (behind a balancer, the address in the PROXY header). Needed to
   * interpret `user@[192.0.2.1]`.
   */
  local?: string
  /** The host name of the worker's machine, used if `general.hostname` is empty. */
  machine: string
  helo?: string
  tls?: { version: string; cipher: string; serverName?: string }
  /** Whether a certificate is loaded, so that TLS is available. */
  tlsAvailable: boolean
  /** The address of the account, after authentication. */
  login?: string
  /** Look-up results that a setting requests and that are known at this stage. */
  lookups?: Lookups
}

export type ConnectFacts = SessionFacts & {
  /** Number of sessions on this worker, including this one. */
  sessionsOpen: number
  sessionsFromAddress: number
}

export type HelloFacts = SessionFacts & { verb: 'HELO' | 'EHLO'; argument: string }

export type AuthFacts = SessionFacts & {
  mechanism: string
  /** Absent before the credentials are read. The decision is then only whether AUTH may begin. */
  credentials?: {
    login: string
    result: 'valid' | 'invalid' | 'not-known'
    /** Why a token was rejected, for the administrator. */
    because?: string
  }
}

export type MailFacts = SessionFacts & {
  /** The text between the angle brackets, unchanged. */
  senderText: string
  /** `null`: the address could not be parsed. `'null-sender'`: MAIL FROM:<>. */
  sender: MailAddress | 'null-sender' | null
  declaredSize?: number
  smtpUtf8: boolean
  spool: 'ready' | 'full' | 'not-known'
}

export type RcptFacts = MailFacts & {
  recipientText: string
  recipient: MailAddress | null
  /** Number of recipients accepted so far in this transaction. */
  recipientsSoFar: number
}

export type DataFacts = MailFacts & {
  recipients: number
  /** Size in bytes as received, after dot-unstuffing, without the headers that the server adds. */
  size: number
  bareLineFeeds: boolean
  nulOctets: boolean
  /** Number of Received headers in the message. */
  hops: number
}

/** Facts about a fault in the session: a protocol error, a refusal or a hack attempt. */
export type FaultFacts = SessionFacts & {
  /** Number of protocol errors and permanent refusals in this session, including this one. */
  errors: number
  /** Number of those that were unknown recipients. */
  invalidRecipients: number
  attempt?: HackAttempt
}

export type AskFacts = SessionFacts & { argument: string; address: MailAddress | null }
