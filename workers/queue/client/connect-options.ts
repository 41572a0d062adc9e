import type { CertificateCheck, Trust } from './certificate.ts'
import type { DialogueLog } from './dialogue-log.ts'
import type { Refusals } from './login.ts'
import type { Peer } from './peer.ts'

/** What a connection to a next host is to be. */

export type TlsPolicy = 'none' | 'opportunistic' | 'require' | 'implicit'

/** Milliseconds for each step; the defaults are those of RFC 5321 §4.5.3.2, except for connecting. */
export type Timeouts = {
  connect: number
  greeting: number
  command: number
  data: number
  block: number
  end: number
}
export const defaultTimeouts: Timeouts = {
  connect: 30_000,
  greeting: 300_000,
  command: 300_000,
  data: 120_000,
  block: 180_000,
  end: 600_000,
}

export type ConnectOptions = {
  peer: Peer
  protocol: 'smtp' | 'lmtp'
  /** Our own name, for EHLO. */
  name: string
  /** `require` without `proof`: TLS, whoever answers. */
  tls: TlsPolicy
  /** What the certificate has to prove, under these authorities. */
  verification?: { wants: CertificateCheck; trust: Trust }
  /** With opportunistic TLS: called with what could not be verified; delivery goes on. */
  onUnverified?: (problem: string) => void
  auth?: { user: string; secret: string }
  /** Mechanisms that were refused on a connection that ended with it. */
  refusals?: Refusals
  /** Whether a host that calls itself so is this server. */
  isUs?: (name: string) => boolean
  timeouts: Timeouts
  /** Destroys the connection, at whatever it is. */
  signal?: AbortSignal
  /** Records every line of both sides, without secrets. */
  dialogueLog?: DialogueLog
}
