import type { CertificateFacts, KeyKind } from '@postern/contract/certificates.ts'
import type { WorkerStateMetric } from '@postern/contract/metrics.ts'
import type { ReplayResult } from '@postern/contract/replay.ts'
import type { Role } from '@postern/contract/roles.ts'
import type { ServiceName } from '@postern/contract/services.ts'
import type { Change } from '@postern/store/control/change.ts'
import type { Database } from '@postern/store/database.ts'
import type { Seal } from '@postern/store/seal.ts'

/**
 * What the API needs from the machine it runs on. Everything inside keeps to Web standards; what needs Node comes in
 * here, through `main.ts` or `lambda.ts`.
 */
export type Dependencies = {
  control: Database
  records: Database
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
  /** A fresh uuidv7, lower case. */
  newId: () => string
  /** Takes work that the answer does not wait for. */
  background: (work: Promise<unknown>) => void
  /** Who is asking, for login limits; `undefined` when it cannot be known. */
  clientAddress: (context: unknown) => string | undefined
  /** Settings that the environment decides: `advanced.port` → `POSTERN_SMTP_PORT=2525`. */
  fixed: Record<string, string>
  /** Octets of a message that the way to this API passes in one request or answer; absent: no limit of its own. */
  maxBody?: number
  /** Origins that browsers may call from; none unless configured. */
  corsOrigins: string[]
  version: string
  /** The socket of the local syslog where there is none, for the workers of this machine. */
  missingSyslog?: () => string | undefined
}

export type Passwords = {
  /** A PHC string, argon2id. */
  hash(password: string): Promise<string>
  verify(phc: string, password: string): Promise<boolean>
}

type KeyAndNames = { names: readonly string[]; kind: KeyKind; privateKey: string }

/** All texts are PEM. */
export type CertificateMaker = {
  /** Throws an Error that says what is wrong with the chain or the key. */
  read(certificate: string, privateKey: string): CertificateFacts
  makeKey(kind: KeyKind): Promise<string>
  selfSigned(wanted: KeyAndNames & { notBefore: number; notAfter: number }): Promise<string>
  /** A certificate signing request (RFC 2986). */
  request(wanted: KeyAndNames & { organization: string }): Promise<string>
}

export type AcmeAuthority = {
  /** Orders a certificate and answers http-01 challenges. Rejects with an Error that is one sentence for people. */
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
  /** Says `{revision}` to a worker's change queue. Rejects when it was not taken. */
  send(queueUrl: string, revision: number): Promise<void>
}

export type ReplayOptions = { revision: number; since: number; until: number; examples: number }

/** One replay: the rows in force, what the draft changes, the batches of facts, the result; each after the one before. */
export type ReplayRun = {
  /** NDJSON, one row a line. */
  rows(text: string): Promise<void>
  begin(changes: readonly Change[]): Promise<void>
  /** A batch as stored. @returns sessions replayed so far */
  facts(records: Uint8Array): Promise<number>
  result(): Promise<ReplayResult>
  /** Lets go of what it holds; to be called in any case. */
  end(): void
}
export type Replayer = (options: ReplayOptions) => ReplayRun

export type Metrics = {
  observe(request: { method: string; route: string; status: number; seconds: number }): void
  /** Prometheus text: the API itself, and what each worker last reported. */
  text(snapshot: MetricsSnapshot): Promise<string>
  contentType: string
}

export type MetricsSnapshot = {
  revision: number
  /** Of the books: outcomes told of recipients that had one. */
  duplicates: number
  workers: {
    worker: string
    service: ServiceName
    state: Partial<Record<WorkerStateMetric, number>>
    /** Of a live worker only. */
    reported: Record<string, number>
  }[]
}

/** No secret is ever logged. */
export type Log = {
  info(fields: Record<string, unknown>, message: string): void
  warn(fields: Record<string, unknown>, message: string): void
  error(fields: Record<string, unknown>, message: string): void
}

/** Who asks. `actor` is what stands in the audit log. */
export type Identity =
  | { type: 'user'; actor: string; role: Role; userId: string; sessionId: string; expiresAt: number }
  | {
      type: 'token'
      actor: string
      role: Role
      tokenId: string
      /** The user it stands for; absent for tokens of before that was kept. */
      userId: string | undefined
      expiresAt: number | undefined
    }
  | { type: 'worker'; actor: string; workerId: string; service: ServiceName; expiresAt: number }
