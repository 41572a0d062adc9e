import { setTimeout as sleep } from 'node:timers/promises'
import { BackOff } from '@postern/contract/back-off.ts'
import { type Offence, type OffenceBatchResponse, offenceBatchResponseSchema } from '@postern/contract/offences.ts'
import type { QueuePage } from '@postern/contract/queue-mirror.ts'
import { parseRow, type Row, type RowChange } from '@postern/contract/rows.ts'
import type { ServiceName } from '@postern/contract/services.ts'
import {
  type EventBatch,
  enrolResponseSchema,
  eventBatchResponseSchema,
  type FactBatch,
  type RevisionName,
  type WorkerReport,
  workerReportResponseSchema,
} from '@postern/contract/worker-protocol.ts'
import {
  type WorkerRequest,
  type WorkerRequestAnswer,
  workerRequestListSchema,
  workerRequestSchema,
} from '@postern/contract/worker-requests.ts'

/** Pauses after a failure. */
const retryPauses = { firstMs: 200, longestMs: 5_000 }

/**
 * The worker's client for the API: it enrols, requests rows, reports, and hands over events. It holds no database
 * credential.
 */

export class ControlPlaneError extends Error {
  override name = 'ControlPlaneError'
  /** The HTTP status, or 0 if there was no response. */
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

type RequestOptions = RequestInit & { headers?: Record<string, string>; timeout?: ActivityTimeout }

type Identity = { token: string; service: ServiceName; name: string; version: string }

/** A response that was complete up to its end line. The revision is the newest one that the API had when it answered. */
export type Snapshot = RevisionName & { rows: Row[] }
export type Changes = (RevisionName & { changes: RowChange[] }) | 'snapshot-needed'

/** A request without a single byte for this long has failed. A snapshot of a million rows may take longer in total. */
const silenceMs = 15_000

export class ControlPlane {
  readonly #base: string
  readonly #identity: Identity
  #access: { token: string; renewAt: number } | undefined
  #enrolling: Promise<void> | undefined

  constructor(base: string, identity: Identity) {
    this.#base = base.replace(/\/$/, '')
    this.#identity = identity
  }

  /** Exchanges the enrolment token for a short-lived JWT. All callers that wait share one request. */
  enrol(): Promise<void> {
    this.#enrolling ??= this.#enrol().finally(() => {
      this.#enrolling = undefined
    })
    return this.#enrolling
  }

  async #enrol(): Promise<void> {
    const response = await this.#fetch('/v1/worker/enrol', { method: 'POST', body: JSON.stringify(this.#identity) })
    const { accessToken, expiresIn } = enrolResponseSchema.parse(await response.json())
    this.#access = { token: accessToken, renewAt: performance.now() + expiresIn * 800 }
  }

  async snapshot(): Promise<Snapshot> {
    const rows: Row[] = []
    const name = await this.#stream('/v1/worker/snapshot', (line) => rows.push(parseRow(line)))
    return { ...name, rows }
  }

  async changes(after: RevisionName): Promise<Changes> {
    const changes: RowChange[] = []
    // A row that does not parse is ignored if a later row of the same name parses. Operators can repair a row in this
    // way.
    const unparsable = new Map<string, unknown>()
    try {
      const path = `/v1/worker/changes?after=${after.revision}&id=${encodeURIComponent(after.id)}`
      const head = await this.#stream(path, (line) => {
        const name = `${String(line.kind)} ${String(line.id)}`
        try {
          changes.push({ ...parseRow(line), revision: Number(line.revision) })
          unparsable.delete(name)
        } catch (error) {
          unparsable.set(name, error)
        }
      })
      for (const error of unparsable.values()) throw error
      return { ...head, changes }
    } catch (error) {
      if (error instanceof ControlPlaneError && error.status === 410) return 'snapshot-needed'
      throw error
    }
  }

  async report(report: WorkerReport): Promise<{ revision: number; revisionId: string; requests: number }> {
    const response = await this.#authorized('/v1/worker/report', JSON.stringify(report))
    return workerReportResponseSchema.parse(await response.json())
  }

  async requests(): Promise<string[]> {
    return workerRequestListSchema.parse(await (await this.#authorized('/v1/worker/requests')).json()).ids
  }

  async request(id: string): Promise<WorkerRequest> {
    return workerRequestSchema.parse(
      await (await this.#authorized(`/v1/worker/requests/${encodeURIComponent(id)}`)).json(),
    )
  }

  async answer(id: string, answer: WorkerRequestAnswer): Promise<void> {
    await this.#authorized(`/v1/worker/requests/${encodeURIComponent(id)}/answer`, JSON.stringify(answer))
  }

  /** Returns bytes of the message to store. */
  async chunk(id: string, n: number): Promise<Buffer> {
    const response = await this.#authorized(`/v1/worker/requests/${encodeURIComponent(id)}/chunks/${n}`)
    return Buffer.from(await response.arrayBuffer())
  }

  /** Sends bytes of the message to show; at most `chunkBytes`. */
  async sendChunk(id: string, n: number, bytes: Buffer<ArrayBuffer>): Promise<void> {
    await this.#authorized(`/v1/worker/requests/${encodeURIComponent(id)}/chunks/${n}`, bytes)
  }

  /** Returns the number up to which storage has this log. */
  async storedEvents(log: string): Promise<number> {
    const response = await this.#authorized(`/v1/worker/events?log=${log}`)
    return eventBatchResponseSchema.parse(await response.json()).acknowledged
  }

  /** Returns the number up to which storage has the log; below the batch if it was not stored. */
  async sendEvents({ log, after, first, last, content }: EventBatch): Promise<number> {
    const path = `/v1/worker/events?log=${log}&after=${after}&first=${first}&last=${last}`
    const response = await this.#authorized(path, content)
    return eventBatchResponseSchema.parse(await response.json()).acknowledged
  }

  /** Sends at most 500 offences. A repeated batch is counted once. */
  async sendOffences(offences: readonly Offence[]): Promise<OffenceBatchResponse> {
    const response = await this.#authorized('/v1/worker/offences', JSON.stringify({ offences }))
    return offenceBatchResponseSchema.parse(await response.json())
  }

  /** Resolves when storage has the batch. */
  async sendFacts({ id, since, until, sessions, dropped, records }: FactBatch): Promise<void> {
    const path = `/v1/worker/facts?id=${id}&since=${since}&until=${until}&sessions=${sessions}&dropped=${dropped}`
    await (await this.#authorized(path, records)).body?.cancel()
  }

  /** `everything`: the API does not have what this page follows. */
  async sendQueuePage(page: QueuePage): Promise<'stored' | 'everything'> {
    try {
      await (await this.#authorized('/v1/worker/queue', JSON.stringify(page))).body?.cancel()
      return 'stored'
    } catch (error) {
      if (error instanceof ControlPlaneError && error.status === 409) return 'everything'
      throw error
    }
  }

  async runQueue(domain: string, by: string): Promise<void> {
    await this.#authorized('/v1/worker/etrn', JSON.stringify({ domain, by }))
  }

  async #authorized(
    path: string,
    body?: string | Uint8Array<ArrayBuffer>,
    timeout = new ActivityTimeout(),
  ): Promise<Response> {
    if (!this.#access || performance.now() > this.#access.renewAt) await this.enrol()
    let used: string | undefined
    const send = () => {
      used = this.#access?.token
      return this.#fetch(path, {
        method: body === undefined ? 'GET' : 'POST',
        ...(body === undefined ? {} : { body }),
        headers: { authorization: `Bearer ${used}` },
        timeout,
      })
    }
    try {
      return await send()
    } catch (error) {
      if (!(error instanceof ControlPlaneError && error.status === 401)) throw error
      // Another request may have renewed the token in the meantime.
      if (used === this.#access?.token) await this.enrol()
      return await send()
    }
  }

  async #fetch(path: string, { timeout = new ActivityTimeout(), ...init }: RequestOptions): Promise<Response> {
    let response: Response
    timeout.renew()
    try {
      response = await fetch(this.#base + path, {
        ...init,
        headers: { 'content-type': 'application/json', ...init.headers },
        signal: timeout.signal,
      })
    } catch (error) {
      throw new ControlPlaneError(0, `${path}: ${reasonOf(error)}`)
    }
    if (response.ok) return response
    const text = (await response.text().catch(() => '')).slice(0, 300)
    throw new ControlPlaneError(response.status, `${path}: ${response.status} ${text}`)
  }

  /** Reads NDJSON with a head line and an end line. Without the end line, nothing of it may be used. */
  async #stream(path: string, take: (line: Record<string, unknown>) => void): Promise<RevisionName> {
    const timeout = new ActivityTimeout()
    const response = await this.#authorized(path, undefined, timeout)
    let head: RevisionName | undefined
    let ended = false
    for await (const line of linesOf(response, timeout)) {
      const value = JSON.parse(line) as Record<string, unknown>
      if (!head) head = { revision: Number(value.revision), id: String(value.id) }
      else if (value.end === true) ended = true
      else take(value)
    }
    if (!head || !Number.isInteger(head.revision) || !ended)
      throw new ControlPlaneError(0, `${path}: the response was incomplete`)
    return head
  }
}

/** Aborts a request that has been silent for too long. */
class ActivityTimeout {
  readonly #controller = new AbortController()
  #timer: NodeJS.Timeout | undefined

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Restarts the time limit after received data. */
  renew(): void {
    clearTimeout(this.#timer)
    const silent = () => this.#controller.abort(new Error(`no data for ${silenceMs / 1000} s`))
    this.#timer = setTimeout(silent, silenceMs).unref()
  }
}

/**
 * Yields the chunks of a response. A connection that breaks during a response is reported as a network error, not as an
 * error in the settings.
 */
async function* chunksOf(response: Response): AsyncGenerator<Uint8Array> {
  try {
    yield* response.body as unknown as AsyncIterable<Uint8Array>
  } catch (error) {
    throw new ControlPlaneError(0, `${new URL(response.url).pathname}: ${reasonOf(error)}`)
  }
}

async function* linesOf(response: Response, timeout: ActivityTimeout): AsyncGenerator<string> {
  let rest = ''
  const decoder = new TextDecoder()
  for await (const chunk of chunksOf(response)) {
    timeout.renew()
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) if (line !== '') yield line
  }
  rest += decoder.decode()
  if (rest !== '') yield rest
}

/** Returns the innermost message of a failed fetch, because "fetch failed" does not help an administrator. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const cause = error.cause
  return cause instanceof Error ? cause.message || error.message : error.message
}

/** Retries until the call succeeds or `signal` fires: 0.2 s after the first failure, doubling up to 5 s. */
export async function untilItWorks<T>(
  call: () => Promise<T>,
  signal: AbortSignal,
  failed: (error: unknown) => void,
): Promise<T> {
  const backOff = new BackOff(retryPauses)
  for (;;) {
    try {
      return await call()
    } catch (error) {
      failed(error)
      await sleep(backOff.next(), undefined, { signal })
    }
  }
}
