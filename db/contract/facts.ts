import type { MailAddress } from './address.ts'
import type { Lookups } from './lookups.ts'
import type { HackAttempt } from './offences.ts'

/** What is known at each stage. Facts are gathered first; the decision looks at nothing else. A look-up that failed is 'not-known', never 'no'. */

/** Which door the client came in by. `smtp`: port 25 and the extra ports. */
export type Listener = 'smtp' | 'submission' | 'smtps'

export type SessionFacts = {
  /** Milliseconds since the epoch. */
  now: number
  listener: Listener
  /** The client's canonical address: behind a trusted balancer the one the PROXY header names. */
  ip: string
  /** The balancer, when there was one. */
  balancer?: string
  /** The address of ours that the client connected to (behind a balancer the one the PROXY header names): what `user@[192.0.2.1]` may mean. */
  local?: string
  /** The worker's own machine name, used when `general.hostname` is empty. */
  machine: string
  helo?: string
  tls?: { version: string; cipher: string; serverName?: string }
  /** A certificate is loaded, so TLS can be had. */
  tlsAvailable: boolean
  /** The account's address, once authenticated. */
  login?: string
  /** What others said, as far as a setting asks for it and as far as it is known at this stage. */
  lookups?: Lookups
}

export type ConnectFacts = SessionFacts & {
  /** On this worker, this one included. */
  sessionsOpen: number
  sessionsFromAddress: number
}

export type HelloFacts = SessionFacts & { verb: 'HELO' | 'EHLO'; argument: string }

export type AuthFacts = SessionFacts & {
  mechanism: string
  /** Absent before credentials were read: then only whether AUTH may begin is decided. */
  credentials?: {
    login: string
    result: 'valid' | 'invalid' | 'not-known'
    /** Why not, where it was a token: for the administrator. */
    because?: string
  }
}

export type MailFacts = SessionFacts & {
  /** As written between the angle brackets. */
  senderText: string
  /** `null`: it could not be read. `'null-sender'`: MAIL FROM:<>. */
  sender: MailAddress | 'null-sender' | null
  declaredSize?: number
  smtpUtf8: boolean
  spool: 'ready' | 'full' | 'not-known'
}

export type RcptFacts = MailFacts & {
  recipientText: string
  recipient: MailAddress | null
  /** Recipients accepted so far in this transaction. */
  recipientsSoFar: number
}

export type DataFacts = MailFacts & {
  recipients: number
  /** Octets as received, dots unstuffed, headers we add not counted. */
  size: number
  bareLineFeeds: boolean
  nulOctets: boolean
  /** Received headers in the message. */
  hops: number
}

/** Something went wrong in the session: a protocol error, a refusal, a hack attempt. */
export type FaultFacts = SessionFacts & {
  /** Protocol errors and permanent refusals of this session so far, this one included. */
  errors: number
  /** Unknown recipients among them. */
  invalidRecipients: number
  attempt?: HackAttempt
}

export type AskFacts = SessionFacts & { argument: string; address: MailAddress | null }
