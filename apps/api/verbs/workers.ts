import { fitFor, holdsSecrets, type RowKind, rowKinds, rowsFor } from '@postern/contract/rows.ts'
import type { ServiceName } from '@postern/contract/services.ts'
import { type FactBatch, maxFactBytes, type WorkerReport } from '@postern/contract/worker-protocol.ts'
import { hasAllSince, headOf, headRevision, recordAudit } from '@postern/store/control/revisions.ts'
import { changeLines, changesPage, rowLinesById, rowsById } from '@postern/store/control/rows.ts'
import { openRow } from '@postern/store/control/secrets.ts'
import { yieldToEventLoop } from '@postern/store/database.ts'
import { storeFacts } from '@postern/store/records/facts.ts'
import { openWorkerRequests } from '@postern/store/records/worker-requests.ts'
import { enrolWorker, putReport } from '@postern/store/records/workers.ts'
import type { Dependencies, Identity } from '../dependencies.ts'
import { enrolmentOf } from '../identity/enrolment.ts'
import { audiences, type TokenKeys } from '../identity/keys.ts'
import { ProblemError } from '../problem.ts'
import { readBytes, sha256 } from '../request.ts'
import type { Call } from '../write-revision.ts'

const workerSeconds = 3600
const pageRows = 1000
const kindsWithSecrets = rowKinds.filter(holdsSecrets)

export type WorkerIdentity = Extract<Identity, { type: 'worker' }>

/** Returns the worker's identity. The adapter has already checked the scope. */
export function workerOf({ who }: Call): WorkerIdentity {
  if (who.type !== 'worker') throw new ProblemError(403, 'Only workers may do this.')
  return who
}

/** Exchanges an enrolment token for a short-lived JWT. Throws 401. */
export async function enrol(
  { parts, address }: Call,
  keys: TokenKeys,
  request: { token: string; service: ServiceName; name: string; version: string },
) {
  const hash = await sha256(request.token)
  const now = parts.now()
  const token = await enrolmentOf(parts, hash, request)
  if (!token)
    throw new ProblemError(
      401,
      `The enrolment token is not valid for the worker ${request.name} of the service ${request.service}.`,
    )
  await enrolWorker(parts.records, { id: request.name, service: request.service, now })
  await recordAudit(parts.control, {
    id: parts.newId(),
    now,
    actor: `worker:${request.name}`,
    action: 'worker.enrol',
    kind: 'worker',
    entity: `${request.name} ${request.version} with ${token.name}`,
    address,
  })
  const accessToken = await keys.sign(
    { sub: request.name, service: request.service, enrolment: hash },
    audiences.worker,
    workerSeconds,
  )
  return { workerId: request.name, accessToken, expiresIn: workerSeconds }
}

/**
 * Streams every row that a worker of this service needs, as NDJSON. The state is complete as of the revision in the
 * first line, or newer.
 */
export async function snapshot({ parts, signal }: Call, service: ServiceName): Promise<Response> {
  const head = await headOf(parts.control)
  return ndjson(signal, async function* () {
    yield `${JSON.stringify(head)}\n`
    for (const kind of rowsFor[service]) yield* rowLines(parts, { kind, service })
    // Pages may contain only part of a write made during the read. Sending the changed rows again makes the state
    // consistent.
    let seen = head.revision
    for (let now = await headRevision(parts.control); now > seen; now = await headRevision(parts.control)) {
      yield* changedLines(parts, { service, after: seen, upTo: now })
      seen = now
    }
  })
}

/** Workers of earlier releases send no `id`, only the revision number. */
type AskedAfter = { revision: number; id: string | undefined }

/**
 * Returns the changes after a revision. Throws 410 if the revision belongs to another history (after a restored
 * backup), or if some of the changes have been removed.
 */
export async function changes({ parts, signal }: Call, service: ServiceName, after: AskedAfter): Promise<Response> {
  const head = await headOf(parts.control)
  if (!(await hasAllSince(parts.control, after)))
    throw new ProblemError(
      410,
      `Revision ${after.revision} is not part of this history, or is too old. Fetch a snapshot.`,
    )
  return ndjson(signal, async function* () {
    yield `${JSON.stringify(head)}\n`
    yield* changedLines(parts, { service, after: after.revision, upTo: head.revision })
    // Housekeeping may have removed some changes during the read. Then the answer ends without its end line.
    if (!(await hasAllSince(parts.control, after))) throw new Error('history was removed during the read')
  })
}

async function* rowLines(
  parts: Dependencies,
  { kind, service }: { kind: RowKind; service: ServiceName },
): AsyncGenerator<string> {
  for (let after = ''; ; ) {
    const page = { after, limit: pageRows }
    if (holdsSecrets(kind)) {
      const rows = await rowsById(parts.control, kind, page)
      yield await linesOf(parts, rows, service)
      after = rows.at(-1)?.id ?? after
      if (rows.length < pageRows) return
    } else {
      const { n, last, text } = await rowLinesById(parts.control, kind, page)
      if (text) yield text
      after = last ?? after
      if (n < pageRows) return
    }
  }
}

async function* changedLines(
  parts: Dependencies,
  { service, after, upTo }: { service: ServiceName; after: number; upTo: number },
): AsyncGenerator<string> {
  let from = { revision: after, seq: Number.MAX_SAFE_INTEGER }
  for (;;) {
    const asked = { kinds: rowsFor[service], after: from, upTo, limit: pageRows }
    const lines = await changeLines(parts.control, asked, kindsWithSecrets)
    if (lines) {
      if (lines.text) yield lines.text
      if (lines.n < pageRows) return
      from = { revision: lines.revision, seq: lines.seq }
      continue
    }
    const page = await changesPage(parts.control, asked)
    const rows = page.map(({ after: value, ...row }) => ({ ...row, value }))
    yield await linesOf(parts, rows, service)
    const last = page.at(-1)
    if (!last || page.length < pageRows) return
    from = last
  }
}

type Line = { kind: RowKind; id: string; revision: number; value: string | null }

/** Renders rows for the wire, with the secrets that this service needs unsealed. */
async function linesOf({ seal }: Dependencies, rows: Line[], service: ServiceName): Promise<string> {
  const lines = rows.map(async ({ kind, id, revision, value }) => {
    const open =
      value === null || !holdsSecrets(kind)
        ? value
        : JSON.stringify(fitFor(service, { kind, id }, await openRow({ kind, id }, value, seal)))
    return `{"kind":"${kind}","id":${JSON.stringify(id)},"revision":${revision},"value":${open}}\n`
  })
  return (await Promise.all(lines)).join('')
}

/** Streams NDJSON. A missing end line means that the stream is incomplete. */
function ndjson(signal: AbortSignal, pieces: () => AsyncGenerator<string>): Response {
  const encoder = new TextEncoder()
  const source = pieces()
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await source.next()
      if (!done && !signal.aborted) {
        controller.enqueue(encoder.encode(value))
        await yieldToEventLoop()
        return
      }
      if (done) controller.enqueue(encoder.encode('{"end":true}\n'))
      controller.close()
    },
    async cancel() {
      await source.return(undefined)
    },
  })
  return new Response(body, { headers: { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' } })
}

/** Stores a worker's report and answers with the newest revision. */
export async function report(
  call: Call,
  said: WorkerReport,
): Promise<{ revision: number; revisionId: string; requests: number }> {
  const { workerId, service } = workerOf(call)
  if (said.service !== service)
    throw new ProblemError(403, `${workerId} is enrolled for ${service}, not ${said.service}.`)
  await putReport(call.parts.records, { id: workerId, report: said, now: call.parts.now() })
  const { length: requests } = await openWorkerRequests(call.parts.records, workerId, 1)
  const { revision, id: revisionId } = await headOf(call.parts.control)
  return { revision, revisionId, requests }
}

/** Stores a batch of facts for the replay, once. */
export async function takeFacts(call: Call, about: Omit<FactBatch, 'records'>, request: Request): Promise<void> {
  const records = await readBytes(request, maxFactBytes)
  await storeFacts(call.parts.records, workerOf(call).workerId, { ...about, records })
  await yieldToEventLoop()
}
