/** What became of a recipient in an attempt: one union from the client to the schedule, the DSN and the index. */

/** The host that answered. `tls`: the version, and whether the certificate was verified. */
export type Via = { host: string; address?: string; port?: number; tls?: string }

/**
 * `status` is the remote's enhanced code (RFC 3463), or ours where it sent none. `via`: who answered, where that is not the host
 * with which the attempt ended.
 */
export type Outcome = { via?: Via } & (
  | { kind: 'delivered'; status: string; reply: string; dsnPassedOn: boolean }
  /** `notBefore`: the earliest next try that the remote asked for, in milliseconds since the epoch. */
  | { kind: 'deferred'; status: string; reply: string; cause: string; notBefore?: number }
  /** `givenUp`: why there is no further try, although the last failure was temporary. */
  | { kind: 'bounced'; status: string; reply: string; cause: string; givenUp?: string }
  | { kind: 'discarded'; by: string }
)

/** Outcomes by recipient number. */
export type Outcomes = { via: Via; outcomes: Map<number, Outcome> }

export type Attempt = Outcomes & {
  durationMs: number
  /** We broke it off ourselves: it does not count as a try, and the next one is at once. */
  isBrokenOff?: true
}

export function deferredOutcome(status: string, reply: string, cause: string): Outcome {
  return { kind: 'deferred', status, reply, cause }
}

/** The same outcome for all these recipients. */
export function sameOutcome(recipients: readonly number[], outcome: Outcome, via: Via): Outcomes {
  return { via, outcomes: new Map(recipients.map((r) => [r, outcome])) }
}
