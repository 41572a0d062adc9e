import type { CertificateFacts, KeyKind } from '@postern/contract/certificates.ts'
import type { WorkerStateMetric } from '@postern/contract/metrics.ts'
import type { ReplayResult } from '@postern/contract/replay.ts'
import type { Role } from '@postern/contract/roles.ts'
import type { ServiceName } from '@postern/contract/services.ts'
import type { EventLog } from '@postern/log/log.ts'
import type { ObjectStore } from '@postern/objects/object-store.ts'
import type { Change } from '@postern/store/control/change.ts'
import type { Database } from '@postern/store/database.ts'
import type { Seal } from '@postern/store/seal.ts'

/**
 * What the API needs from its host. The API itself uses only Web standards. Everything that needs Node is passed in
 * here, by `main.ts` or `lambda.ts`.
 */
export type Dependencies = {
  control: Database
  records: Database
  eventStore: EventStore
  seal: Seal
  passwords: Passwords
  certificates: CertificateMaker
  acme: AcmeAuthority
  notifyWorkers: NotifyWorkers
  metrics: Metrics
  replayer: Replayer
  log: Log
  /** Milliseconds since the epoch. */
  now: () => number
  /** Makes a new UUIDv7 in lower case. */
  newId: () => string
  /** Takes work that the answer does not wait for. */
  background: (work: Promise<unknown>) => void
  /** Returns the client's address for login limits, or `undefined` if it is unknown. */
  clientAddress: (context: unknown) => string | undefined
  /** Settings fixed by the environment: `advanced.port` → `POSTERN_SMTP_PORT=2525`. */
  fixed: Record<string, string>
  /**
   * The largest message in bytes that the platform passes in one request or answer. Absent if the platform has no
   * limit.
   */
  maxBody?: number
  /**
   * `polled`: an answer ends at once, and the client asks again for what came since, because an open answer would hold an
   * instance of a function. Default: `held`, the answer stays open.
   */
  streams?: 'held' | 'polled'
  /** Origins from which browsers may call the API. Empty unless configured. */
  corsOrigins: string[]
  version: string
  /** Returns the local syslog socket if it is missing. Used for the workers on this machine. */
  missingSyslog?: () => string | undefined
}

/** The log as files. */
export type EventStore = EventLog & {
  /** Where old days are copied before they are removed. */
  archive: ObjectStore | undefined
  /** Where messages in transit are (message-chunks.ts): the store of the log, below a folder of their own. */
  transit: ObjectStore
  /** Compresses a batch. */
  pack(text: string): Promise<Uint8Array>
  /**
   * Decompresses a batch and passes on its lines, many at once. Throws a problem for a body that is none, and what `take`
   * throws.
   */
  unpack(content: Uint8Array, take: (lines: Uint8Array) => void): Promise<void>
}

export type Passwords = {
  /** Returns an argon2id PHC string. */
  hash(password: string): Promise<string>
  verify(phc: string, password: string): Promise<boolean>
}

type KeyAndNames = { names: readonly string[]; kind: KeyKind; privateKey: string }

/** Makes and reads certificates. All texts are PEM. */
export type CertificateMaker = {
  /** Throws an Error that explains what is wrong with the chain or the key. */
  read(certificate: string, privateKey: string): CertificateFacts
  makeKey(kind: KeyKind): Promise<string>
  selfSigned(wanted: KeyAndNames & { notBefore: number; notAfter: number }): Promise<string>
  /** Makes a certificate signing request (RFC 2986). */
  request(wanted: KeyAndNames & { organization: string }): Promise<string>
}

export type AcmeAuthority = {
  /**
   * Orders a certificate and answers HTTP-01 challenges. Rejects with an Error whose message is one readable sentence.
   */
  order(order: {
    directoryUrl: string
    email: string
    /** `url` is empty before the first order. */
    account: { key: string; url: string }
    names: readonly string[]
    csr: string
    publish(token: string, answer: string): Promise<void>
    withdraw(token: string): Promise<void>
  }): Promise<{ certificate: string; accountUrl: string }>
}

export type NotifyWorkers = {
  /** Sends `{revision}` to a worker's change queue. Rejects if the queue does not accept it. */
  send(queueUrl: string, revision: number): Promise<void>
}

export type ReplayOptions = { revision: number; since: number; until: number; examples: number }

/** One replay. Calls in this order: the saved rows, the drafted changes, the batches of facts, the result. */
export type ReplayRun = {
  /** Takes NDJSON with one row per line. */
  rows(text: string): Promise<void>
  begin(changes: readonly Change[]): Promise<void>
  /** Takes a batch as stored. @returns the number of sessions replayed so far */
  facts(records: Uint8Array): Promise<number>
  result(): Promise<ReplayResult>
  /** Releases all resources. Must always be called. */
  end(): void
}
export type Replayer = (options: ReplayOptions) => ReplayRun

export type Metrics = {
  observe(request: { method: string; route: string; status: number; seconds: number }): void
  /** Returns Prometheus text with the API's own metrics and the last report of each worker. */
  text(snapshot: MetricsSnapshot): Promise<string>
  contentType: string
}

export type MetricsSnapshot = {
  revision: number
  /** From the books: outcomes reported for recipients that already had one, and the balance. */
  duplicates: number
  balance: number
  workers: {
    worker: string
    service: ServiceName
    state: Partial<Record<WorkerStateMetric, number>>
    /** Only for live workers. */
    reported: Record<string, number>
  }[]
}

/** Secrets are never logged. */
export type Log = {
  info(fields: Record<string, unknown>, message: string): void
  warn(fields: Record<string, unknown>, message: string): void
  error(fields: Record<string, unknown>, message: string): void
}

/** The caller. `actor` is the name in the audit log. */
export type Identity =
  | { type: 'user'; actor: string; role: Role; userId: string; sessionId: string; expiresAt: number }
  | {
      type: 'token'
      actor: string
      role: Role
      tokenId: string
      /** The user that the token acts for. Absent for older tokens, made before this was stored. */
      userId: string | undefined
      expiresAt: number | undefined
    }
  | { type: 'worker'; actor: string; workerId: string; service: ServiceName; expiresAt: number }
